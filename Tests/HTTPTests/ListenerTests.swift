import Glibc
import Model
import Reactor
import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct ListenerTests {
    @Test("[::] takes IPv6 and IPv4, and the origin of an IPv4 peer is IPv4")
    func dualStack() async throws {
        try await withServer(on: "[::]:0") { request in
            .text("\(request.origin.transport) \(request.origin.address)")
        } _: { endpoint, _ in
            let isDual = endpoint.host == "::"
            for host in isDual ? ["127.0.0.1", "::1"] : ["127.0.0.1"] {
                let connection = try await HTTPConnection.open(
                    to: Endpoint(host: host, port: endpoint.port), on: testLoop)
                let body = try await connection.send(HTTPClientRequest(.get, "/")).body.collect()
                #expect(String(decoding: body, as: UTF8.self) == "loopback \(host)")
                await connection.close()
            }
        }
    }

    @Test("the address of an origin tells loopback from the rest")
    func origins() throws {
        func origin(_ host: String) throws -> PeerOrigin { try #require(SocketAddress(numeric: host, port: 5)).origin }
        #expect(try origin("127.9.9.9").transport == .loopback && origin("::1").transport == .loopback)
        #expect(try origin("::ffff:127.0.0.1") == PeerOrigin(transport: .loopback, address: "127.0.0.1", port: 5))
        #expect(try origin("::ffff:10.0.0.1") == PeerOrigin(transport: .network, address: "10.0.0.1", port: 5))
        #expect(try origin("fe80::1%lo").address == "fe80::1%lo" && origin("fe80::1%lo").transport == .network)
        #expect(SocketAddress(numeric: "localhost", port: 1) == nil && SocketAddress(numeric: "", port: 1) == nil)
    }

    @Test("a peer that is gone without a word keeps its place for half a minute at most, an idle one's too")
    func gonePeers() throws {
        let listener = try Listener.tcp(#require(Endpoint("127.0.0.1:0")))
        let endpoint = try #require(listener.endpoint)
        let client = try SocketCalls.open(family: AF_INET)
        let (raw, address) = (client.raw, try #require(SocketAddress(numeric: endpoint.host, port: endpoint.port)))
        _ = address.withSockaddr { connect(raw, $0, $1) }
        var entry = pollfd(fd: listener.descriptor.raw, events: Int16(POLLIN), revents: 0)
        #expect(poll(&entry, 1, 10_000) == 1)
        guard let socket = try SocketCalls.accept(listener.descriptor.raw) else {
            Issue.record("nobody waits")
            return
        }
        let accepted = socket.takeDescriptor()
        func option(_ level: Int32, _ name: Int32) -> Int32 {
            var value: Int32 = -1
            var length = socklen_t(MemoryLayout<Int32>.size)
            return getsockopt(accepted.raw, level, name, &value, &length) == 0 ? value : -1
        }
        let tcp = Int32(IPPROTO_TCP)
        #expect(option(SOL_SOCKET, SO_KEEPALIVE) == 1)
        #expect(option(tcp, TCP_KEEPIDLE) == 10 && option(tcp, TCP_KEEPINTVL) == 5)
        #expect(option(tcp, TCP_USER_TIMEOUT) == 30_000)
    }

    @Test("an IPv6 address with the scope of no interface is told at once and asked of no resolver")
    func scopes() async throws {
        let begun = SystemClock.monotonic()
        await #expect(throws: HTTPClientError.self) {
            _ = try await HTTPConnection.open(to: #require(Endpoint("[fe80::1%nosuch0]:1")), on: testLoop)
        }
        #expect(begun.duration(to: SystemClock.monotonic()) < .seconds(1))
        #expect(SocketAddress(numeric: "fe80::1%lo", port: 9150)?.endpoint == Endpoint("[fe80::1%lo]:9150"))
    }

    @Test("what stands in the way of listening is told in one sentence")
    func errors() async throws {
        let server = HTTPServer(on: testLoop) { _ in .text("") }
        let bound = try await server.listen(on: #require(Endpoint("127.0.0.1:0")))
        await #expect(throws: ListenError.portTaken(port: bound.port)) { try await server.listen(on: bound) }
        #expect(
            ListenError.portTaken(port: 9150).description
                == "port 9150 is in use by another program; stop it or choose another with --listen")
        await #expect(throws: ListenError.addressNotAvailable("192.0.2.1")) {
            try await server.listen(on: #require(Endpoint("192.0.2.1:0")))
        }
        await #expect(throws: ListenError.notAnAddress("localhost:1")) {
            try await server.listen(on: #require(Endpoint("localhost:1")))
        }
        await server.stop(within: .zero)
    }

    @Test("a Unix socket is for its owner only, replaces a dead one, respects a live one, and goes with its server")
    func unixSocket() async throws {
        try await withTemporaryFolder { folder in
            let path = "\(folder)/node.sock"
            // What a process that was killed leaves behind.
            let dead = try SocketCalls.open(family: AF_UNIX)
            let raw = dead.raw
            let address = try #require(SocketAddress(unixPath: path))
            #expect(address.withSockaddr { bind(raw, $0, $1) } == 0)

            let server = HTTPServer(on: testLoop) { request in .text("\(request.origin)") }
            try await server.listen(onUnixSocket: path)
            var status = stat()
            #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let running = testLoop.spawn { await server.run() }
            let connection = try await HTTPConnection.open(toUnixSocket: path, on: testLoop)
            let body = try await connection.send(HTTPClientRequest(.get, "/")).body.collect()
            #expect(String(decoding: body, as: UTF8.self) == "unix")
            let second = HTTPServer(on: testLoop) { _ in .text("") }
            await #expect(throws: ListenError.socketInUse(path: path)) { try await second.listen(onUnixSocket: path) }
            await connection.close()
            await server.stop(within: .zero)
            _ = await running.result
            #expect(lstat(path, &status) == -1 && errno == ENOENT)
        }
    }

    @Test("a Unix socket's path may be longer than the kernel takes, and what is no socket stays")
    func unixPaths() async throws {
        try await withTemporaryFolder { folder in
            let long = "\(folder)/\(String(repeating: "d", count: 120))"
            try makeDirectories(long)
            let server = HTTPServer(on: testLoop) { _ in .text("x") }
            try await server.listen(onUnixSocket: "\(long)/node.sock")
            let running = testLoop.spawn { await server.run() }
            let connection = try await HTTPConnection.open(toUnixSocket: "\(long)/node.sock", on: testLoop)
            #expect(try await connection.send(HTTPClientRequest(.get, "/")).status == .ok)
            await connection.close()
            try Directory.open(folder).openFile("file", .createNew).write([1])
            await #expect(throws: ListenError.notASocket(path: "\(folder)/file")) {
                try await server.listen(onUnixSocket: "\(folder)/file")
            }
            await server.stop(within: .zero)
            _ = await running.result
            #expect(try Directory.open(long).names() == [])
        }
    }
}
