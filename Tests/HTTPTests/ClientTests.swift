import Glibc
import Model
import Reactor
import Testing

@testable import HTTP

/// A server that says exactly what it is told to each connection, whatever it is asked.
actor CannedServer {
    private let listener: Listener
    private var watch: DescriptorWatch?
    private let answer: [UInt8]
    private let closes: Bool
    private var channels: [Channel] = []
    nonisolated var unownedExecutor: UnownedSerialExecutor { testLoop.asUnownedSerialExecutor() }
    let endpoint: Endpoint

    init(_ answer: String, closes: Bool) throws {
        let listener = try Listener.tcp(#require(Endpoint("127.0.0.1:0")))
        endpoint = try #require(listener.endpoint)
        self.listener = listener
        self.answer = Array(answer.utf8)
        self.closes = closes
    }

    isolated deinit {}

    func start() {
        let raw = listener.descriptor.raw
        let watch = DescriptorWatch(on: testLoop, descriptor: raw, for: .read) { [unowned self] in
            assumeIsolated { $0.accept(raw) }
        }
        watch.resume()
        self.watch = watch
    }

    private func accept(_ raw: Int32) {
        while let accepted = try? SocketCalls.accept(raw) {
            let channel = Channel.adopt(accepted.takeDescriptor(), on: testLoop, timing: Channel.Timing())
            channels.append(channel)
            testLoop.spawn { try await self.serve(channel) }
        }
    }

    private func serve(_ channel: Channel) async throws {
        let deadline = SystemClock.monotonic().advanced(by: .seconds(10))
        guard try await channel.read(by: deadline) != nil else { return }
        try await channel.write(answer)
        if closes { try await channel.finish(by: deadline) }
    }

    func stop() async {
        watch = nil
        for channel in channels { await channel.close() }
    }
}

/// What a server says, and what its client must make of it.
struct Answer: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let closes: Bool
    let kind: HTTPClientError.Kind
    var testDescription: String { name }

    init(_ name: String, _ kind: HTTPClientError.Kind, _ text: String, closes: Bool = true) {
        self.name = name
        self.kind = kind
        self.text = text
        self.closes = closes
    }

    static let all = [
        Answer("nothing", .closedBeforeResponse, ""),
        Answer("garbage", .malformed, "220 smtp.example ESMTP\r\n"),
        Answer("half a head", .broken, "HTTP/1.1 200 OK\r\nX: 1\r\n"),
        Answer("an endless header", .malformed, "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 100_000)),
        Answer("endless headers", .malformed, "HTTP/1.1 200 OK\r\n" + String(repeating: "X: 1\r\n", count: 1000)),
        Answer("endless interim answers", .malformed, String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 1000)),
        Answer("another protocol", .malformed, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        Answer("less than declared", .cutShort, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd"),
        Answer("an unfinished chunk", .cutShort, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        Answer("no last chunk", .cutShort, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        Answer("more than declared", .surplus, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd"),
        Answer("a second answer", .surplus, "HTTP/1.1 204 X\r\n\r\nHTTP/1.1 204 X\r\n\r\n"),
        Answer(
            "length and coding", .malformed, "HTTP/1.1 200 X\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
        Answer("a bad chunk", .malformed, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        Answer("silence", .headTimeout, "", closes: false),
        Answer("a body that stops", .bodyTimeout, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", closes: false),
        Answer(
            "too large a body", .bodyTooLarge,
            "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + String(repeating: "x", count: 2000)),
    ]
}

@Suite(.timeLimit(.minutes(1))) struct ClientTests {
    private static func settings(_ faults: FaultTally) -> HTTPConnection.Settings {
        var settings = HTTPConnection.Settings()
        settings.headTime = .milliseconds(100)
        settings.bodyTime = .milliseconds(100)
        settings.faults = faults
        return settings
    }

    @Test("a server's faults are told apart, counted, and end the connection", arguments: Answer.all)
    func faults(answer: Answer) async throws {
        let server = try CannedServer(answer.text, closes: answer.closes)
        await server.start()
        let faults = FaultTally()
        let connection = try await HTTPConnection.open(
            to: server.endpoint, on: testLoop, settings: Self.settings(faults))
        let error = await #expect(throws: HTTPClientError.self) {
            let response = try await connection.send(HTTPClientRequest(.get, "/"))
            _ = try await response.body.collect(limit: 1000)
            // A surplus may only show when the connection is used again.
            _ = try await connection.send(HTTPClientRequest(.get, "/"))
        }
        #expect(error?.kind == answer.kind, "\(String(describing: error))")
        if answer.kind != .bodyTooLarge { #expect(faults[answer.kind] == 1) }
        #expect(await !connection.isIdle)
        await #expect(throws: HTTPClientError.self) { _ = try await connection.send(HTTPClientRequest(.get, "/")) }
        await connection.close()
        await server.stop()
    }

    @Test("interim answers are passed over, and a body without a length lasts until the end")
    func interim() async throws {
        let server = try CannedServer(
            "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc", closes: true)
        await server.start()
        let connection = try await HTTPConnection.open(to: server.endpoint, on: testLoop)
        let response = try await connection.send(HTTPClientRequest(.get, "/"))
        #expect(try await response.body.collect() == Array("abc".utf8))
        #expect(await !connection.isIdle)
        await connection.close()
        await server.stop()
    }

    @Test("nobody there is unreachable; a name that leads nowhere is unresolved")
    func unreachable() async throws {
        let faults = FaultTally()
        // Bound, so that nobody else gets the port, and not listening.
        let bound = try SocketCalls.open(family: AF_INET)
        let raw = bound.raw
        let address = try #require(SocketAddress(numeric: "127.0.0.1", port: 0))
        #expect(address.withSockaddr { bind(raw, $0, $1) } == 0)
        let free = SocketAddress(filledBy: { getsockname(raw, $0, $1) })?.endpoint
        await #expect(throws: HTTPClientError.unreachable(SyscallError("connect", code: ECONNREFUSED))) {
            _ = try await HTTPConnection.open(to: #require(free), on: testLoop, settings: Self.settings(faults))
        }
        let error = await #expect(throws: HTTPClientError.self) {
            _ = try await HTTPConnection.open(
                // Too long a label for any resolver to ask the network about.
                to: Endpoint(host: String(repeating: "x", count: 80), port: 1), on: testLoop,
                settings: Self.settings(faults))
        }
        #expect(error?.kind == .unresolved && faults[.unresolved] == 1 && faults[.unreachable] == 1)
        await #expect(throws: HTTPClientError.unreachable(SyscallError("connect", code: ENOENT))) {
            _ = try await HTTPConnection.open(toUnixSocket: "/tmp/no-such-socket", on: testLoop)
        }
    }

    @Test("a name is resolved without holding up the loop")
    func resolves() async throws {
        try await withServer { request in
            .text(request.headers["Host"] ?? "")
        } _: { endpoint, _ in
            let connection = try await HTTPConnection.open(
                to: Endpoint(host: "localhost", port: endpoint.port), on: testLoop)
            let body = try await connection.send(HTTPClientRequest(.get, "/")).body.collect()
            #expect(String(decoding: body, as: UTF8.self) == "localhost:\(endpoint.port)")
            await connection.close()
        }
    }

    @Test("cancelling the task closes the connection, in the head and in the body")
    func cancellation() async throws {
        let begun = Bell()
        try await withServer { request in
            if request.path == "/head" {
                begun.ring()
                do { try await testLoop.sleep(for: .seconds(3600)) } catch { return .text("cancelled") }
            }
            return HTTPResponse(
                .ok,
                body: .stream(length: nil) {
                    begun.ring()
                    try await testLoop.sleep(for: .seconds(3600))
                    return nil
                })
        } _: { endpoint, server in
            for path in ["/head", "/body"] {
                let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
                let task = testLoop.spawn {
                    _ = try await connection.send(HTTPClientRequest(.get, path)).body.collect()
                }
                await begun.wait()
                task.cancel()
                let result = await task.result
                #expect(throws: HTTPClientError.cancelled) { try result.get() }
                while await server.counts.open > 0 { await Task.yield() }
            }
        }
    }

    @Test("one exchange at a time: a body that is not read keeps the connection busy")
    func busy() async throws {
        try await withServer { _ in
            HTTPResponse(.ok, .bytes, patterned(100_000))
        } _: { endpoint, _ in
            let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
            let first = try await connection.send(HTTPClientRequest(.get, "/"))
            await #expect(throws: HTTPClientError.busy) { _ = try await connection.send(HTTPClientRequest(.get, "/")) }
            #expect(try await first.body.collect() == patterned(100_000))
            let second = try await connection.send(HTTPClientRequest(.get, "/"))
            #expect(try await first.body.next() == nil, "a body that is over reads nothing of the next")
            #expect(try await second.body.collect() == patterned(100_000))
            await connection.close()
        }
    }

    @Test("a connection that the server has closed meanwhile is not idle, and says so when it is used")
    func closedMeanwhile() async throws {
        var settings = HTTPServer.Settings()
        settings.idleTime = .milliseconds(30)
        try await withServer(settings) { _ in
            .text("x")
        } _: { endpoint, server in
            let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
            _ = try await connection.send(HTTPClientRequest(.get, "/")).body.collect()
            while await connection.isIdle { await Task.yield() }
            await #expect(throws: HTTPClientError.closedBeforeResponse) {
                _ = try await connection.send(HTTPClientRequest(.get, "/"))
            }
        }
    }

    @Test("a connection that nobody holds any more is closed")
    func dropped() async throws {
        try await withServer { _ in
            .text("x")
        } _: { endpoint, server in
            do {
                let connection = try await HTTPConnection.open(to: endpoint, on: testLoop)
                _ = try await connection.send(HTTPClientRequest(.get, "/")).body.collect()
            }
            while await server.counts.open > 0 { await Task.yield() }
        }
    }

    @Test("what is asked after the end of a response that closes is no body, and no fault")
    func closes() async throws {
        let faults = FaultTally()
        try await withServer { _ in
            HTTPResponse(.ok, headers: ["Connection": "close"], body: .bytes([1, 2]))
        } _: { endpoint, _ in
            let connection = try await HTTPConnection.open(to: endpoint, on: testLoop, settings: Self.settings(faults))
            let response = try await connection.send(HTTPClientRequest(.get, "/"))
            #expect(try await response.body.next() == [1, 2])
            #expect(try await response.body.next() == nil)
            #expect(await !connection.isIdle)
        }
        #expect(faults.snapshot.isEmpty)
    }

    @Test("a slow consumer holds the sender back")
    func backPressure() async throws {
        let produced = Locked(0)
        let piece = [UInt8](repeating: 1, count: 64 * 1024)
        try await withTemporaryFolder { folder in
            let server = HTTPServer(on: testLoop) { _ in
                HTTPResponse(
                    .ok,
                    body: .stream(length: nil) {
                        produced.withLock { $0 += piece.count }
                        return piece
                    })
            }
            try await server.listen(onUnixSocket: "\(folder)/s")
            let running = testLoop.spawn { await server.run() }
            let connection = try await HTTPConnection.open(toUnixSocket: "\(folder)/s", on: testLoop)
            let response = try await connection.send(HTTPClientRequest(.get, "/"))
            var taken = 0
            while taken < 8 << 20 {
                taken += try await #require(response.body.next()).count
                // Half the server's queue, one piece, one read of the client, and what the kernel holds of a Unix
                // socket.
                let ahead = produced.withLock { $0 } - taken
                #expect(ahead <= Limits.sendQueueBytes / 2 + piece.count + 2 * Channel.pieceBytes + 512 * 1024)
            }
            await connection.close()
            await server.stop(within: .zero)
            _ = await running.result
        }
    }
}
