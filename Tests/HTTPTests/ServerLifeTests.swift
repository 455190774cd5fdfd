import Glibc
import Model
import Reactor
import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct ServerLifeTests {
    /// Serves GET / by waiting for ever, and tells when that wait is cancelled.
    private static func waiting(_ begun: Bell, _ cancelled: Bell) -> HTTPServer.Handler {
        { request in
            let wait: @Sendable () async throws -> [UInt8]? = {
                begun.ring()
                do { try await testLoop.sleep(for: .seconds(3600)) } catch {
                    cancelled.ring()
                    throw error
                }
                return nil
            }
            switch request.path {
            case "/events": return .events(wait)
            case "/stream": return HTTPResponse(.ok, body: .stream(length: nil, next: wait))
            default:
                do { _ = try await wait() } catch { return .text("cancelled") }
                return .text("never")
            }
        }
    }

    @Test(
        "a client that goes away cancels its handler or its stream", arguments: ["/handler", "/stream", "/events"],
        [true, false])
    func clientGone(path: String, byReset: Bool) async throws {
        let (begun, cancelled) = (Bell(), Bell())
        var settings = HTTPServer.Settings()
        settings.halfClosedTime = .milliseconds(20)
        try await withServer(settings, handler: Self.waiting(begun, cancelled)) { endpoint, server in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
            await begun.wait()
            if byReset { await peer.channel.reset() } else { await peer.close() }
            await cancelled.wait()
            while await server.counts.open > 0 { await Task.yield() }
        }
    }

    @Test("a peer that has ended its side still gets its answer")
    func halfClosed() async throws {
        try await withServer { request in
            do { try await testLoop.sleep(for: .milliseconds(50)) } catch { return .text("cancelled") }
            return HTTPResponse(
                .ok, body: .stream(length: nil, next: ExchangeTests.pieces(patterned(3_000_000), of: 70_000)))
        } _: { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await peer.halfClose()
            let answer = try await peer.readBytesToEnd()
            #expect(answer.count > 3_000_000 && answer.suffix(7) == Array("\r\n0\r\n\r\n".utf8)[...])
            await peer.close()
        }
    }

    @Test(
        "a connection that ends in the middle of a request is let go",
        arguments: ["", "GET /", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"])
    func endsInRequest(text: String) async throws {
        try await withServer { _ in
            .text("x")
        } _: { endpoint, server in
            let peer = try await RawPeer.connect(endpoint)
            try await peer.send(text)
            await peer.halfClose()
            #expect(try await peer.readToEnd() == "")
            await peer.close()
            while await server.counts.open > 0 { await Task.yield() }
        }
    }

    @Test(
        "a producer that fails, stops early or gives too much cuts the connection",
        arguments: ["/throws", "/short", "/long", "/chunked"])
    func producers(path: String) async throws {
        struct Broken: Error {}
        try await withServer { request in
            let pieces = ExchangeTests.pieces(patterned(200_000), of: 50_000)
            return switch request.path {
            case "/short": HTTPResponse(.ok, body: .stream(length: 200_001, next: pieces))
            case "/long": HTTPResponse(.ok, body: .stream(length: 199_999, next: pieces))
            default:
                HTTPResponse(
                    .ok,
                    body: .stream(length: request.path == "/chunked" ? nil : 300_000) {
                        guard let piece = try await pieces() else { throw Broken() }
                        return piece
                    })
            }
        } _: { endpoint, _ in
            let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
            let response = try await connection.send(HTTPClientRequest(.get, path))
            let error = await #expect(throws: HTTPClientError.self) { _ = try await response.body.collect() }
            #expect(error?.kind == .cutShort)
            let raw = try await RawPeer.connect(endpoint)
            try await raw.send("GET \(path) HTTP/1.0\r\n\r\n")
            if path == "/chunked" {
                // Without chunks only a reset tells the end from a loss.
                await #expect(throws: ChannelFailure.self) { _ = try await raw.readToEnd() }
            } else {
                _ = try? await raw.readToEnd()
            }
            await raw.close()
        }
    }

    @Test("a stop lets a running response finish, closes what is idle, and ends event streams in good order")
    func gracefulStop() async throws {
        let (begun, go) = (Bell(), Bell())
        let server = HTTPServer(on: testLoop) { request in
            if request.path == "/events" {
                return .events {
                    try await testLoop.sleep(for: .seconds(3600)); return nil
                }
            }
            if request.path == "/slow" {
                begun.ring()
                await go.wait()
            }
            return .text("done")
        }
        let endpoint = try await server.listen(on: #require(Endpoint("127.0.0.1:0")))
        let running = testLoop.spawn { await server.run() }
        let (idle, slow, events) = (
            try await RawPeer.connect(endpoint), try await RawPeer.connect(endpoint),
            try await RawPeer.connect(endpoint)
        )
        try await idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try await idle.read(until: "done")
        try await events.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try await events.read(until: "\r\n\r\n")
        try await slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        await server.stop(within: .seconds(10))
        #expect(try await idle.readToEnd() == "")
        #expect(try await events.readToEnd() == "0\r\n\r\n")
        go.ring()
        let answer = try await slow.readToEnd()
        #expect(answer.hasSuffix("\r\n\r\ndone") && answer.contains("Connection: close"))
        for peer in [idle, slow, events] { await peer.close() }
        _ = await running.result
        #expect(await server.counts.open == 0)
    }

    @Test("a stop cuts what is not done in time, and so does cancellation", arguments: [true, false])
    func cut(byStop: Bool) async throws {
        let (begun, cancelled) = (Bell(), Bell())
        let server = HTTPServer(on: testLoop, handler: Self.waiting(begun, cancelled))
        let endpoint = try await server.listen(on: #require(Endpoint("127.0.0.1:0")))
        let running = testLoop.spawn { await server.run() }
        let peer = try await RawPeer.connect(endpoint)
        try await peer.send("GET /handler HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        if byStop { await server.stop(within: .milliseconds(50)) } else { running.cancel() }
        await cancelled.wait()
        _ = await running.result
        await peer.close()
        await #expect(throws: (any Error).self) { _ = try await RawPeer.connect(endpoint) }
    }

    @Test("a server that is stopped before it runs does not run")
    func stoppedBefore() async throws {
        let server = HTTPServer(on: testLoop) { _ in .text("x") }
        let endpoint = try await server.listen(on: #require(Endpoint("127.0.0.1:0")))
        await server.stop(within: .seconds(10))
        await server.run()
        await #expect(throws: (any Error).self) { _ = try await RawPeer.connect(endpoint) }
    }

    @Test("a hundred clients at once are each answered")
    func parallel() async throws {
        var settings = HTTPServer.Settings()
        settings.connectionsPerAddress = 100
        try await withServer(settings) { request in
            HTTPResponse(.ok, .bytes, request.body)
        } _: { endpoint, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<100 {
                    group.addTask {
                        let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
                        for round in 0..<5 {
                            let body = patterned(client * 331 + round * 7)
                            let response = try await connection.send(HTTPClientRequest(.post, "/", body: body))
                            #expect(try await response.body.collect() == body)
                        }
                        await connection.close()
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("events go from a producer to a reader")
    func events() async throws {
        let sent = (0..<500).map { ServerSentEvent(name: "chunk", data: "{\"n\":\($0)}", id: "e-\($0)") }
        try await withServer { _ in
            let rest = Locked(sent[...])
            return .events {
                rest.withLock { rest in
                    guard let next = rest.popFirst() else { return nil }
                    return next.bytes + ServerSentEvent.comment()
                }
            }
        } _: { endpoint, _ in
            let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
            let response = try await connection.send(HTTPClientRequest(.get, "/"))
            #expect(response.headers["Content-Type"] == "text/event-stream")
            var parser = ServerSentEventParser()
            var read: [ServerSentEvent] = []
            while let bytes = try await response.body.next() { read += try parser.consume(bytes) }
            #expect(read == sent && parser.commentCount == 500)
            await connection.close()
        }
    }
}
