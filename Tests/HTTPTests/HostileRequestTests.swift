import Model
import Reactor
import Synchronization
import Testing

@testable import HTTP

/// A request that must be refused, and how.
struct Refusal: Sendable, CustomTestStringConvertible {
    let name: String
    let request: String
    let status: Int
    var testDescription: String { name }

    init(_ name: String, _ status: Int, _ request: String) {
        self.name = name
        self.status = status
        self.request = request
    }

    /// A GET whose only oddity is `header`.
    init(_ name: String, _ status: Int, header: String) {
        self.init(name, status, "GET / HTTP/1.1\r\nHost: a\r\n\(header)\r\n\r\n")
    }

    init(_ name: String, _ status: Int, target: String) {
        self.init(name, status, "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    init(_ name: String, _ status: Int, chunked body: String) {
        self.init(name, status, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)")
    }

    static let heads = [
        Refusal("a space before the colon", 400, header: "X : 1"),
        Refusal("a space before the colon of a length", 400, header: "Content-Length : 5"),
        Refusal("a tab before the colon", 400, header: "X\t: 1"),
        Refusal("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
        Refusal("two Hosts", 400, header: "Host: b"),
        Refusal("a Host with user information", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        Refusal("a Host that is a list", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        Refusal("a Host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        Refusal("length and coding", 400, header: "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        Refusal("coding and length", 400, header: "Transfer-Encoding: chunked\r\nContent-Length: 5"),
        Refusal("two lengths", 400, header: "Content-Length: 5\r\nContent-Length: 5"),
        Refusal("two different lengths", 400, header: "Content-Length: 5\r\nContent-Length: 6"),
        Refusal("a length that is a list", 400, header: "Content-Length: 5, 5"),
        Refusal("a signed length", 400, header: "Content-Length: +5"),
        Refusal("a negative length", 400, header: "Content-Length: -1"),
        Refusal("a hexadecimal length", 400, header: "Content-Length: 0x5"),
        Refusal("an empty length", 400, header: "Content-Length:"),
        Refusal("a length beyond 64 bits", 400, header: "Content-Length: 99999999999999999999"),
        Refusal("another coding", 501, header: "Transfer-Encoding: gzip, chunked"),
        Refusal("an obfuscated coding", 501, header: "Transfer-Encoding: xchunked"),
        Refusal("a quoted coding", 501, header: "Transfer-Encoding: \"chunked\""),
        Refusal("chunked and identity", 400, header: "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        Refusal("a coding in HTTP/1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Refusal("a bare LF after the request line", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        Refusal("a bare LF after a header", 400, "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"),
        Refusal("a bare LF at the end", 400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        Refusal("a bare CR in a header", 400, header: "X: a\rY: b"),
        Refusal("a bare CR in an empty header", 400, header: "X:\rTransfer-Encoding: chunked"),
        Refusal("a bare CR before the end", 400, "GET / HTTP/1.1\r\nHost: a\r\n\rX: 1\r\n\r\n"),
        Refusal("a folded header", 400, header: "X: a\r\n b"),
        Refusal("a folded coding", 400, header: "Transfer-Encoding:\r\n chunked"),
        Refusal("a space before the first header", 400, "GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n"),
        Refusal("a NUL in a header", 400, header: "X: a\0b"),
        Refusal("a control character in a header", 400, header: "X: a\u{1}b"),
        Refusal("a header without a colon", 400, header: "X"),
        Refusal("a header without a name", 400, header: ": 1"),
        Refusal("a header's name with a bracket", 400, header: "X(): 1"),
        Refusal("two empty lines first", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refusal("two spaces after the method", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refusal("two spaces before the version", 400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refusal("HTTP/2", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        Refusal("HTTP/1.2", 505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        Refusal("HTTP/0.9", 400, "GET /\r\n\r\n"),
        Refusal("another protocol", 400, "GET / RTSP/1.0\r\nHost: a\r\n\r\n"),
        Refusal("the preface of HTTP/2", 400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Refusal("TLS", 400, "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}"),
        Refusal("CONNECT", 501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refusal("TRACE", 501, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refusal("a method in lower case", 400, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refusal("another expectation", 417, header: "Expect: 200-ok"),
        Refusal(
            "too many headers", 431, header: (0...Limits.headerCount).map { "X\($0): 1" }.joined(separator: "\r\n")),
        Refusal("too long a header", 431, header: "X: " + String(repeating: "x", count: Limits.headBytes)),
        Refusal("too long a target", 414, target: "/" + String(repeating: "x", count: Limits.headBytes)),
        Refusal("too long a body", 413, header: "Content-Length: \(Limits.requestBodyBytes + 1)"),
    ]

    static let targets = [
        Refusal("a target without a slash", 400, target: "foo"),
        Refusal("an asterisk", 400, target: "*"),
        Refusal("another scheme", 400, target: "ftp://a/"),
        Refusal("an absolute target with user information", 400, target: "http://u@a/"),
        Refusal("a fragment", 400, target: "/a#b"),
        Refusal("a dot segment", 400, target: "/a/./b"),
        Refusal("two dots", 400, target: "/a/../b"),
        Refusal("encoded dots", 400, target: "/a/%2e%2E/b"),
        Refusal("a NUL", 400, target: "/a%00"),
        Refusal("a broken escape", 400, target: "/a%zz"),
        Refusal("half an escape", 400, target: "/a%4"),
        Refusal("no UTF-8", 400, target: "/%ff"),
        Refusal("a NUL in the query", 400, target: "/?a=%00"),
    ]

    static let chunks = [
        Refusal("a chunk's size that is no number", 400, chunked: "xyz\r\nabc\r\n0\r\n\r\n"),
        Refusal("a chunk's size with a sign", 400, chunked: "+3\r\nabc\r\n0\r\n\r\n"),
        Refusal("a chunk's size with a prefix", 400, chunked: "0x3\r\nabc\r\n0\r\n\r\n"),
        Refusal("a chunk's size beyond 64 bits", 400, chunked: "11111111111111111\r\nabc\r\n0\r\n\r\n"),
        Refusal("a space after a chunk's size", 400, chunked: "3 \r\nabc\r\n0\r\n\r\n"),
        Refusal("a bare LF after a chunk's size", 400, chunked: "3\nabc\r\n0\r\n\r\n"),
        Refusal("a bare CR after a chunk's size", 400, chunked: "3\rabc\r\n0\r\n\r\n"),
        Refusal("no CR LF after a chunk", 400, chunked: "3\r\nabcde\r\n0\r\n\r\n"),
        Refusal("a bare LF after a chunk", 400, chunked: "3\r\nabc\n0\r\n\r\n"),
        Refusal("a bare LF for the end", 400, chunked: "3\r\nabc\r\n0\r\n\n"),
        Refusal("an endless extension", 413, chunked: "3;x=" + String(repeating: "y", count: 8192)),
        Refusal("endless zeros", 413, chunked: String(repeating: "0", count: 8192)),
        Refusal(
            "too long a chunked body", 413,
            chunked: "\(String(Limits.requestBodyBytes + 1, radix: 16))\r\n"
                + String(repeating: "x", count: Limits.requestBodyBytes + 1)),
    ]
}

@Suite(.timeLimit(.minutes(1))) struct HostileRequestTests {
    @Test(
        "is refused, never reaches the handler, and ends the connection",
        arguments: Refusal.heads + Refusal.targets + Refusal.chunks)
    func refused(refusal: Refusal) async throws {
        let handled = Atomic<Int>(0)
        try await withServer { _ in
            handled.add(1, ordering: .relaxed)
            return .text("handled")
        } _: { endpoint, _ in
            // What is refused for its size is cut off there.
            let rest = refusal.status == 413 ? "" : "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            let answer = try await rawExchange(endpoint, refusal.request + rest)
            #expect(answer.statusCode == refusal.status, "\(answer.prefix(400))")
            #expect(answer.contains("\r\nConnection: close\r\n"))
            #expect(answer.contains("\"error_code\":\"") && answer.contains("\"timestamp\":\"2"))
            #expect(answer.components("\r\nContent-Length:").count == 2, "one answer, and no second to what follows")
        }
        #expect(handled.load(ordering: .relaxed) == 0)
    }

    @Test("an upgrade is not taken, so nothing is smuggled behind it")
    func upgrade() async throws {
        try await withServer { request in
            .text(request.path)
        } _: { endpoint, _ in
            let answer = try await rawExchange(
                endpoint,
                "GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
                    + "GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.contains("\r\n\r\n/aHTTP/1.1 200 OK\r\n") && answer.hasSuffix("\r\n\r\n/b"))
        }
    }
}
