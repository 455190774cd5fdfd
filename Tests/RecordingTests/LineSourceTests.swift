import Glibc
import Model
import Reactor
import Testing

@testable import Recording

/// Sockets that instruments would have.
private struct Outside: ~Copyable {
    let descriptor: Int32

    init(type: __socket_type) {
        descriptor = socket(AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }
    init(adopting descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    /// Listens on any port of 127.0.0.1; which.
    borrowing func listen(on port: UInt16 = 0) -> UInt16 {
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        var address = Self.address(port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                guard bind(descriptor, $0, length) == 0, Glibc.listen(descriptor, 4) == 0 else { return 0 }
                getsockname(descriptor, $0, &length)
                return UInt16(bigEndian: UnsafeRawPointer($0).load(fromByteOffset: 2, as: UInt16.self))
            }
        }
    }

    borrowing func accept() -> Outside { Outside(adopting: Glibc.accept(descriptor, nil, nil)) }

    borrowing func send(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }

    borrowing func send(_ text: String, to port: UInt16) {
        var address = Self.address(port)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                Array(text.utf8).withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, name, length) }
            }
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct LineSourceTests {
    private static var timings: LineStream.Timings {
        var timings = LineStream.Timings()
        timings.reopen = .milliseconds(5)
        timings.joinMargin = .zero
        return timings
    }

    /// Runs a source, and hands over its events as they come.
    private func run(
        _ place: @escaping @Sendable (EventLoop) throws -> LineSource.Place,
        _ body: @escaping @Sendable (LineSource, inout Events) async throws -> Void
    ) throws {
        try EventLoop.once { loop in
            let source = LineSource(try place(loop), timings: Self.timings, on: loop, log: .silent)
            let failure: (any Error)? = await withTaskGroup(of: Void.self) { group in
                group.addTask { await source.run() }
                var events = Events(source: source, bells: source.bell.makeAsyncIterator())
                var failure: (any Error)?
                do { try await body(source, &events) } catch { failure = error }
                group.cancelAll()
                await group.waitForAll()
                return failure
            }
            if let failure { throw failure }
        }
    }

    private struct Events {
        let source: LineSource
        var bells: AsyncStream<Void>.Iterator
        var seen: [InstrumentEvent] = []

        var texts: [String] {
            seen.compactMap { event in
                guard case .line(let line) = event, line.isRow else { return nil }
                return String(decoding: LineFramer.Line(bytes: line.bytes, isWhole: true).content, as: UTF8.self)
            }
        }
        var connections: Int { seen.count { if case .connected = $0 { true } else { false } } }

        mutating func wait(until test: (Events) -> Bool) async {
            while true {
                seen += await source.take()
                if test(self) { return }
                guard await bells.next(isolation: #isolation) != nil else { return }
            }
        }
    }

    @Test("lines of a TCP instrument are rows; it is dialled again when it hangs up")
    func tcp() throws {
        let server = Outside(type: SOCK_STREAM)
        let port = server.listen()
        let listening = server.descriptor
        try run { _ in
            .tcp(Endpoint(host: "127.0.0.1", port: port))
        } _: { _, events in
            await events.wait { $0.connections == 1 }
            do {
                let client = Outside(adopting: accept(listening, nil, nil))
                client.send("$GPGGA,1\r\n\r\n$GPG")
                client.send("GA,2\r\nrest")
                await events.wait { $0.texts.count == 2 }
            }
            await events.wait { $0.connections == 2 }
            let client = Outside(adopting: accept(listening, nil, nil))
            client.send("$GPGGA,3\n")
            await events.wait { $0.texts.count == 3 }
            #expect(events.texts == ["$GPGGA,1", "$GPGGA,2", "$GPGGA,3"])
            let gaps = events.seen.compactMap { if case .gapEnded(let reason, _, _) = $0 { reason } else { nil } }
            #expect(gaps == ["unplugged"])
        }
        withExtendedLifetime(server) {}
    }

    @Test("an instrument that is not there yet is dialled until it is")
    func lateServer() throws {
        let server = Outside(type: SOCK_STREAM)
        let port = server.listen()
        // The port is free again once this one is closed, and ours by then.
        let free = port
        _ = consume server
        try run { _ in
            .tcp(Endpoint(host: "localhost", port: free))
        } _: { source, events in
            while await source.status().trouble == nil { await Task.yield() }
            let late = Outside(type: SOCK_STREAM)
            #expect(late.listen(on: free) == free)
            await events.wait { $0.connections == 1 }
            #expect(await source.status().trouble == nil)
        }
    }

    @Test("datagrams are lines, with a newline or without")
    func udp() throws {
        try run { _ in
            .udp(Endpoint(host: "127.0.0.1", port: 0))
        } _: { source, events in
            await events.wait { $0.connections == 1 }
            let port = try #require(await source.boundPort())
            let sender = Outside(type: SOCK_DGRAM)
            for text in ["one", "two\r\n", "three\nfour", "", "five\n\n"] { sender.send(text, to: port) }
            await events.wait { $0.texts.count == 5 }
            #expect(events.texts == ["one", "two", "three", "four", "five"])
        }
    }

    @Test("a tty's lines are rows, byte for byte in the raw line")
    func serial() throws {
        try EventLoop.once { loop in
            let terminal = try PseudoTerminal(on: loop) { _ in }
            let source = LineSource(
                .serial(path: terminal.path, baud: 4800), sourceID: "gps", timings: Self.timings, on: loop,
                log: .silent)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await source.run() }
                var events = Events(source: source, bells: source.bell.makeAsyncIterator())
                await events.wait { $0.connections == 1 }
                while !terminal.hasListener { await Task.yield() }
                _ = terminal.send(Array("$GPGGA,é\r\n".utf8) + [0xff, 0x0a])
                await events.wait { $0.texts.count == 2 }
                let bytes = events.seen.flatMap { if case .line(let line) = $0 { line.bytes } else { [UInt8]() } }
                #expect(bytes == Array("$GPGGA,é\r\n".utf8) + [0xff, 0x0a])
                #expect(
                    events.seen.first
                        == .identified(
                            InstrumentIdentity(sensorID: "gps", kind: "lines", port: terminal.path)))
                group.cancelAll()
            }
        }
    }

    @Test("silence of an instrument that spoke is a gap, wherever its bytes are split")
    func stream() {
        let start = RecorderBench.start
        func time(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }
        let bytes = Array("a\r\n\r\nbb\nccc\n".utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var stream = LineStream(isDatagram: false)
                _ = stream.opened(port: "x", joinsMidway: false, at: start, now: time(0))
                #expect(stream.deadline == nil)
                var events: [InstrumentEvent] = []
                for part in [bytes[..<first], bytes[first..<second], bytes[second...]] where !part.isEmpty {
                    events += stream.received(Array(part), at: start, now: time(1))
                }
                #expect(events.count == 4)
                #expect(stream.counters.rows == 3 && stream.counters.rejected == [.blank: 1])
                #expect(stream.tick(at: start, now: time(10.9)).isEmpty)
                #expect(stream.tick(at: start, now: time(11)) == [.gapBegan(reason: "silent", from: start)])
                #expect(stream.deadline == nil)
                let back = stream.received(Array("d\n".utf8), at: start, now: time(60))
                #expect(back.first == .gapEnded(reason: "silent", from: start, to: start))
            }
        }
    }

    @Test("a line that was joined midway is no row")
    func midway() {
        var stream = LineStream(isDatagram: false)
        _ = stream.opened(port: "x", joinsMidway: true, at: RecorderBench.start, now: MonotonicTime(nanoseconds: 0))
        _ = stream.received(Array("tail\nwhole\n".utf8), at: RecorderBench.start, now: MonotonicTime(nanoseconds: 5))
        #expect(stream.counters.rejected == [.partial: 1] && stream.counters.rows == 1)
    }

    @Test("a name is looked up where it may block")
    func resolver() throws {
        let lane = DiskLane(name: "names")
        defer { lane.stop() }
        try EventLoop.once { _ in
            let resolver = AddressResolver(on: lane)
            let found = try await resolver.resolve(Endpoint(host: "localhost", port: 7))
            #expect(["127.0.0.1", "::1"].contains(found.host) && found.port == 7)
        }
    }
}
