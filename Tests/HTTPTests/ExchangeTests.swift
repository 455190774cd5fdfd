import Model
import Reactor
import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct ExchangeTests {
    private static let sizes = [0, 1, 64 * 1024, 5 * 1024 * 1024]

    /// Pieces of an odd size, as a producer gives them.
    static func pieces(_ bytes: [UInt8], of size: Int) -> @Sendable () async throws -> [UInt8]? {
        let rest = Locked(bytes[...])
        return {
            rest.withLock { rest in
                guard !rest.isEmpty else { return nil }
                let piece = Array(rest.prefix(size))
                rest = rest.dropFirst(size)
                return piece
            }
        }
    }

    @Test("bodies arrive whole in both framings and as bytes, on one kept-alive connection", arguments: sizes)
    func bodies(size: Int) async throws {
        let bytes = patterned(size)
        try await withServer { request in
            switch request.segments.first {
            case "bytes": HTTPResponse(.ok, .bytes, bytes)
            case "length": HTTPResponse(.ok, body: .stream(length: Int64(size), next: Self.pieces(bytes, of: 99_991)))
            default: HTTPResponse(.ok, body: .stream(length: nil, next: Self.pieces(bytes, of: 10_007)))
            }
        } _: { endpoint, _ in
            let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
            for path in ["/bytes", "/length", "/chunked", "/bytes"] {
                let response = try await connection.send(HTTPClientRequest(.get, path))
                #expect(response.status == .ok)
                #expect(response.contentLength == (path == "/chunked" ? nil : Int64(size)))
                #expect(try await response.body.collect() == bytes)
                #expect(try await response.body.next() == nil)
            }
            #expect(await connection.isIdle)
            await connection.close()
        }
    }

    @Test("a request's body arrives whole, by length and chunked")
    func requestBodies() async throws {
        try await withServer { request in
            HTTPResponse(.ok, .bytes, request.body)
        } _: { endpoint, _ in
            let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
            for size in [0, 1, 64 * 1024, 4 * 1024 * 1024] {
                let bytes = patterned(size)
                let response = try await connection.send(HTTPClientRequest(.post, "/", body: bytes))
                #expect(try await response.body.collect() == bytes)
            }
            await connection.close()
            let answer = try await rawExchange(
                endpoint,
                "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3\r\nabc\r\n00a;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\nabc0123456789"))
        }
    }
}
