import Model
import Reactor
import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct ConformanceTests {
    private static let echo: HTTPServer.Handler = { request in
        switch request.segments.first {
        case "nothing": HTTPResponse(.noContent)
        case "same": HTTPResponse(.notModified, headers: ["ETag": "\"a\""])
        case "stream":
            HTTPResponse(.ok, body: .stream(length: nil, next: ExchangeTests.pieces(Array("abc".utf8), of: 2)))
        case "length": HTTPResponse(.ok, body: .stream(length: 3, next: ExchangeTests.pieces(Array("abc".utf8), of: 2)))
        default: .text("\(request.method.rawValue) \(request.path) \(request.headers["Host"] ?? "-")")
        }
    }

    private func ask(_ request: String) async throws -> String {
        let answer = Locked("")
        try await withServer(handler: Self.echo) { endpoint, _ in
            let text = try await rawExchange(endpoint, request)
            answer.withLock { $0 = text }
        }
        return answer.withLock { $0 }
    }

    @Test("requests that are sent at once are answered in their order on one connection")
    func pipelining() async throws {
        let answer = try await ask(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                + "GET /stream HTTP/1.1\r\nHost: a\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n"
                + "GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /5 HTTP/1.1\r\nHost: a\r\n\r\n")
        let bodies = answer.components("HTTP/1.1 200 OK\r\n").map {
            $0.components("\r\n\r\n").dropFirst().joined(separator: "|")
        }
        #expect(bodies == ["", "GET /1 a", "POST /2 a", "2\r\nab\r\n1\r\nc\r\n0|", "", "GET /4 a"])
    }

    @Test("HEAD gets the headers of GET and no body", arguments: ["/x", "/stream", "/length"])
    func head(path: String) async throws {
        func headers(_ method: String) async throws -> [String] {
            let answer = try await ask("\(method) \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let parts = answer.components("\r\n\r\n")
            if method == "HEAD" { #expect(parts.dropFirst().joined() == "") }
            return parts[0].components("\r\n").filter { !$0.hasPrefix("Date") }
        }
        // "HEAD /x a" is one byte longer than "GET /x a".
        let (head, get) = (try await headers("HEAD"), try await headers("GET"))
        #expect(head.count == get.count && head.count >= 3)
        if path != "/x" { #expect(head == get) }
    }

    @Test("204 and 304 have neither body nor length")
    func bodiless() async throws {
        for path in ["/nothing", "/same"] {
            let answer = try await ask("GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\n") && !answer.contains("Content-Length") && !answer.contains("Transfer-"))
        }
    }

    @Test("HTTP/1.0 is answered without chunks, and closed unless it asks to stay")
    func oldVersion() async throws {
        let closed = try await ask("GET /x HTTP/1.0\r\n\r\nGET /y HTTP/1.0\r\n\r\n")
        #expect(closed.hasSuffix("GET /x -") && closed.contains("Connection: close"))
        let streamed = try await ask("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(streamed.hasSuffix("\r\n\r\nabc") && streamed.contains("Connection: close"))
        let kept = try await ask("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /y HTTP/1.0\r\n\r\n")
        #expect(kept.contains("Connection: keep-alive") && kept.hasSuffix("GET /y -"))
    }

    @Test("the absolute form's authority stands for the Host")
    func absoluteForm() async throws {
        let answer = try await ask("GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(answer.hasSuffix("GET /x b:80"))
        #expect(try await ask("GET http://b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").hasSuffix("GET / b"))
    }

    @Test("one empty line before a request is forgiven")
    func emptyLine() async throws {
        #expect(try await ask("\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").statusCode == 200)
    }

    @Test("a body is asked for with 100 where that is expected, and not where it is refused")
    func expectation() async throws {
        try await withServer { request in
            .text("\(request.body.count)")
        } _: { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length:"
            try await peer.send("\(head) 3\r\n\r\n")
            #expect(try await peer.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await peer.send("abc")
            #expect(try await peer.readToEnd().hasSuffix("\r\n\r\n3"))
            await peer.close()
            #expect(try await rawExchange(endpoint, "\(head) 99999999\r\n\r\n").statusCode == 413)
        }
    }

    @Test("every response has a Date")
    func date() async throws {
        let answer = try await ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(answer.components("\r\n").contains { $0.hasPrefix("Date: ") && $0.hasSuffix(" GMT") })
    }
}

extension String {
    /// The parts between separators, with empty ones.
    func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
