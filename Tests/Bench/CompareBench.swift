import FoundationEssentials
import Glibc
import Model
import Reactor

/// Two stores of a million chunks that differ by a hundred, and two that do not: what it costs to find that out, on the
/// wire and of a processor.
struct CompareBench {
    let place: Place

    func run() async throws {
        let store = LargeStore(place: place, chunkFacts: 1_000_000, openBytes: 0)
        let author = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xab, count: 32))!)
        try store.writeLog(author: author, in: "compare-other")
        try store.copyLog(from: "compare-other", to: "compare-equal", without: 0)
        try store.copyLog(from: "compare-other", to: "compare-behind", without: 100)
        let port = try Place.freePort()
        let other = try NodeProcess.node(
            place, "compare-other", role: "vehicle", port: port, ["--serial", "off", "--mdns", "off"])
        while PlainRequest.get("/v1/have", port: port) == nil { try await place.pause(.milliseconds(100)) }
        try await measure("equal stores", "compare-equal", other, port, budget: "one round trip")
        try await measure("100 chunks behind", "compare-behind", other, port, budget: "64 kB, 300 ms")
        other.stop()
    }

    /// From the first byte between them to a second of silence.
    private func measure(
        _ what: String, _ name: String, _ other: NodeProcess, _ port: UInt16, budget: String
    ) async throws {
        let relay = try CountingRelay(to: port)
        defer { relay.stop() }
        let listen = try Place.freePort()
        let node = try NodeProcess.node(
            place, name, role: "topside", port: listen,
            ["--mdns", "off", "--pull", "none", "--peer", "127.0.0.1:\(relay.port)"])
        defer { node.stop() }
        while PlainRequest.get("/v1/have", port: listen) == nil { try await place.pause(.milliseconds(100)) }
        // What the index left to do is done.
        try await place.pause(.seconds(3))
        let before = (own: try node.processorSeconds(), other: try other.processorSeconds())
        relay.open()
        let watch = Stopwatch()
        var (bytes, quiet) = (relay.bytes, Stopwatch())
        while bytes == 0 || quiet.seconds < 1 {
            guard watch.seconds < 60 else { throw BenchError("two stores talk without end") }
            try await place.pause(.milliseconds(5))
            if relay.bytes != bytes { (bytes, quiet) = (relay.bytes, Stopwatch()) }
        }
        let own = try node.processorSeconds() - before.own
        let others = try other.processorSeconds() - before.other
        Report.line(
            "1,000,000 chunks, \(what)", "\(bytes) bytes, \(Report.milliseconds(own)) of a core",
            beside: "the other: \(Report.milliseconds(others)); facts \(try news(node))", budget: budget)
    }

    private func news(_ node: NodeProcess) throws -> String {
        let line = try node.line(with: "facts that are news")
        return line?.split(separator: " ").first { $0.hasPrefix("facts=") }.map { String($0.dropFirst(6)) } ?? "0"
    }
}

/// Passes bytes between whoever connects and a port, and counts them; refuses everybody before it is opened.
final class CountingRelay: @unchecked Sendable {
    let port: UInt16
    private let target: UInt16
    private let lane = DiskLane(name: "relay")
    private let state = Locked((bytes: 0, isStopped: false))
    private let pump: Pump

    private actor Pump {
        private let lane: DiskLane
        nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }
        init(lane: DiskLane) { self.lane = lane }
        func run(_ relay: CountingRelay) { relay.work() }
    }

    init(to target: UInt16) throws {
        self.target = target
        port = try Place.freePort()
        pump = Pump(lane: lane)
    }

    var bytes: Int { state.withLock { $0.bytes } }

    func open() { Task(executorPreference: lane) { [pump] in await pump.run(self) } }

    func stop() {
        state.withLock { $0.isStopped = true }
        lane.stop()
    }

    private func work() {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopbackAddress(port)
        guard Self.with(&address, { bind(listener, $0, $1) }) == 0, listen(listener, 16) == 0 else { return }
        /// Each descriptor with the one that its bytes go to.
        var pairs: [Int32: Int32] = [:]
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while !state.withLock({ $0.isStopped }) {
            var polled = ([listener] + pairs.keys).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&polled, UInt(polled.count), 50) > 0 else { continue }
            for entry in polled where entry.revents != 0 {
                if entry.fd == listener {
                    let client = accept(listener, nil, nil)
                    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                    var to = loopbackAddress(target)
                    guard Self.with(&to, { connect(server, $0, $1) }) == 0 else { return }
                    (pairs[client], pairs[server]) = (server, client)
                } else if let to = pairs[entry.fd] {
                    let taken = recv(entry.fd, &buffer, buffer.count, 0)
                    guard taken > 0, send(to, buffer, taken, Int32(MSG_NOSIGNAL)) == taken else {
                        for descriptor in [entry.fd, to] {
                            close(descriptor)
                            pairs[descriptor] = nil
                        }
                        continue
                    }
                    state.withLock { $0.bytes += taken }
                }
            }
        }
        for descriptor in pairs.keys { close(descriptor) }
        close(listener)
    }

    private static func with(
        _ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
