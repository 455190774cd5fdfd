import Glibc
import Model
import Reactor
import Synchronization
import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct LimitTests {
    private static func settings(_ change: (inout HTTPServer.Settings) -> Void) -> HTTPServer.Settings {
        var settings = HTTPServer.Settings()
        change(&settings)
        return settings
    }

    @Test(
        "a head that does not come in time is answered with 408",
        arguments: ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"])
    func slowHead(text: String) async throws {
        try await withServer(Self.settings { $0.headTime = .milliseconds(50) }) { _ in
            .text("")
        } _: { endpoint, _ in
            let answer = try await rawExchange(endpoint, text)
            #expect(answer.statusCode == 408)
        }
    }

    @Test("a head that drips in does not move its deadline")
    func drip() async throws {
        try await withServer(Self.settings { $0.headTime = .milliseconds(100) }) { _ in
            .text("")
        } _: { endpoint, _ in
            let peer = try await RawPeer.connect(endpoint)
            let dripping = testLoop.spawn {
                try await peer.send("GET / HTTP/1.1\r\nHost: a\r\n")
                while true {
                    try await testLoop.sleep(for: .milliseconds(10))
                    try await peer.send("X: 1\r\n")
                }
            }
            #expect(try await peer.readToEnd().statusCode == 408)
            dripping.cancel()
            _ = await dripping.result
            await peer.close()
        }
    }

    @Test("a body that does not come in time is answered with 408")
    func slowBody() async throws {
        try await withServer(Self.settings { $0.bodyTime = .milliseconds(50) }) { _ in
            .text("")
        } _: { endpoint, _ in
            let answer = try await rawExchange(endpoint, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            #expect(answer.statusCode == 408 && answer.contains("body_timeout"))
        }
    }

    @Test("an idle connection is closed without a word")
    func idle() async throws {
        try await withServer(Self.settings { $0.idleTime = .milliseconds(50) }) { _ in
            .text("x")
        } _: { endpoint, _ in
            let answer = try await rawExchange(endpoint, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\nx"))
        }
    }

    @Test("connections beyond the limit are told so, and one that goes makes room", arguments: [true, false])
    func connections(perAddress: Bool) async throws {
        let settings = Self.settings { if perAddress { $0.connectionsPerAddress = 2 } else { $0.connections = 2 } }
        try await withServer(settings) { _ in
            .text("x")
        } _: { endpoint, server in
            let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            let first = try await RawPeer.connect(endpoint)
            let second = try await RawPeer.connect(endpoint)
            for peer in [first, second] {
                try await peer.send(request)
                #expect(try await peer.read(until: "\r\n\r\nx").statusCode == 200)
            }
            let third = try await rawExchange(endpoint, request)
            #expect(third.statusCode == 503 && third.contains("too_many_connections"))
            #expect(await server.counts.refused == 1)
            await first.close()
            while await server.counts.open == 2 { await Task.yield() }
            #expect(
                try await rawExchange(endpoint, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").statusCode
                    == 200)
            await second.close()
        }
    }

    @Test("a client that takes nothing is cut, and until then little is queued for it")
    func slowReader() async throws {
        try await withTemporaryFolder { folder in
            let produced = Atomic<Int>(0)
            let settings = Self.settings {
                $0.sendStallTime = .milliseconds(200)
                $0.sendQueueBytes = 256 * 1024
            }
            let piece = [UInt8](repeating: 1, count: 64 * 1024)
            let ended = Bell()
            let server = HTTPServer(on: testLoop, settings: settings) { _ in
                let guardian = Guardian { ended.ring() }
                return HTTPResponse(
                    .ok,
                    body: .stream(length: nil) {
                        withExtendedLifetime(guardian) {}
                        produced.add(piece.count, ordering: .relaxed)
                        return piece
                    })
            }
            try await server.listen(onUnixSocket: "\(folder)/s")
            let running = testLoop.spawn { await server.run() }
            let peer = try await RawPeer.connect(unix: "\(folder)/s")
            try await peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await ended.wait()
            // Half the queue, one piece, and what the kernel holds of a Unix socket.
            let kernel = 512 * 1024
            #expect(produced.load(ordering: .relaxed) <= 128 * 1024 + piece.count + kernel)
            #expect(produced.load(ordering: .relaxed) >= 128 * 1024)
            await peer.close()
            await server.stop(within: .zero)
            _ = await running.result
        }
    }

    @Test("bodies that are too much together are refused, and what has been answered makes room")
    func bodies() async throws {
        let settings = Self.settings { $0.bodiesBytes = 100_000 }
        let (begun, go) = (Bell(), Bell())
        try await withServer(settings) { request in
            if request.path == "/hold" {
                begun.ring()
                await go.wait()
            }
            return .text("\(request.body.count)")
        } _: { endpoint, _ in
            func post(_ path: String) -> String {
                "POST \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n"
                    + String(repeating: "x", count: 60_000)
            }
            let holder = try await RawPeer.connect(endpoint)
            try await holder.send(post("/hold"))
            await begun.wait()
            let refused = try await rawExchange(endpoint, post("/"))
            #expect(refused.statusCode == 503 && refused.contains("too_many_bodies"))
            go.ring()
            #expect(try await holder.readToEnd().hasSuffix("\r\n\r\n60000"))
            await holder.close()
            #expect(try await rawExchange(endpoint, post("/")).hasSuffix("\r\n\r\n60000"))
        }
    }

    @Test("without descriptors no connection is accepted for a moment, and the loop does not spin")
    func descriptors() async throws {
        await #expect(processExitsWith: .success) {
            let loop = EventLoop(name: "exhausted")
            let server = HTTPServer(on: loop) { _ in .text("x") }
            let endpoint = try await server.listen(on: #require(Endpoint("127.0.0.1:0")))
            let running = loop.spawn { await server.run() }
            let address = try #require(SocketAddress(numeric: endpoint.host, port: endpoint.port))
            // One descriptor for the client's end, and none for the server's.
            var fillers: [Int32] = []
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            limit.rlim_cur = 64
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            while true {
                let filler = dup(2)
                if filler < 0 { break }
                fillers.append(filler)
            }
            close(fillers.removeLast())
            let peer = RawPeer(
                channel: try await Channel.connect(
                    to: address, on: loop, by: SystemClock.monotonic().advanced(by: .seconds(10)), receiveBuffer: nil,
                    timing: Channel.Timing()))
            try await peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while await server.counts.acceptPauses < 2 { try await loop.sleep(for: .milliseconds(5)) }
            let pauses = await server.counts.acceptPauses
            for filler in fillers { close(filler) }
            #expect(try await peer.readToEnd().hasSuffix("\r\n\r\nx"))
            #expect(pauses <= 3)
            await peer.close()
            await server.stop(within: .zero)
            _ = await running.result
        }
    }
}
