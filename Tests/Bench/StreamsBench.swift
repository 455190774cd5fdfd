import Glibc
import Model
import Reactor
import Storage
import TestSupport

/// Twenty streams of 100 rows a second each, over a tether of 50 ms round trip with 2 % loss, under a cap of 500 KB/s:
/// from a row's making to the row durable at the topside. Writer and watcher are this program, once in each namespace:
/// one machine, one monotonic clock.
struct StreamsBench {
    let place: Place
    private static let streams = 20
    private static let seconds = 30
    /// Until the two have met and the first copies are made.
    private static let warmUp = 5

    func run() async throws {
        let shape = TetherShape(delay: .milliseconds(25), loss: 0.02)
        let place = place
        // Their data lies within this run's, and goes with it.
        let own = ["env", "TMPDIR=\(place.path)", CommandLine.arguments[0]]
        try await TetheredPlace.run(place, shape) { hosts in
            let writer = try hosts.start("a", "streams-writer", own + [Mode.writer.rawValue])
            let watcher = try hosts.start("b", "streams-watcher", own + [Mode.watcher.rawValue])
            while true {
                if let line = try watcher.line(with: Self.mark) {
                    Report.line(
                        "\(Self.streams) streams × 100 rows/s, cap 500 KB/s", String(line.dropFirst(Self.mark.count)),
                        beside: "50 ms round trip, 2 % loss", budget: "p99 1 s")
                    break
                }
                _ = try watcher.said("")
                _ = try writer.said("")
                try await hosts.pause(.milliseconds(200))
            }
            watcher.stop()
            writer.stop()
        }
    }

    private static let mark = "streams: "

    /// What this program does where it was started by itself.
    enum Mode: String {
        case writer = "streams-writer"
        case watcher = "streams-watcher"

        func run(_ place: Place) async throws {
            switch self {
            case .writer: try await StreamsBench.write(place)
            case .watcher: try await StreamsBench.watch(place)
            }
        }
    }

    // MARK: Within the namespaces

    private static func write(_ place: Place) async throws {
        let node = try await RunningNode.start(
            place, "writer", role: .vehicle, peers: [], listen: "10.77.0.1:9150")
        let names = (0..<streams).map { StreamName("s\($0)") ?? .data }
        let session = try await node.store.startSession(
            SessionOpening(
                mission: "bench", streams: names.map { StreamDescription(name: $0, format: .jsonl, columns: []) }))
        var next = SystemClock.monotonic()
        for tick in 0..<(seconds + 2 * warmUp) * 100 {
            let now = SystemClock.monotonic()
            let pair = ClockPair(SystemClock.reading())
            _ = try await node.store.commit(
                names.map { name in
                    RowBatch(
                        session: session, stream: name,
                        bytes: Array("\(now.nanoseconds),\(tick),12.345,67.890,25.60,12.10\n".utf8), rows: 1,
                        first: pair, last: pair)
                })
            // As a recorder does: beside the rows.
            if tick % 1000 == 999 { place.loop.spawn { _ = try await node.store.seal(session) } }
            next = next.advanced(by: .milliseconds(10))
            try await place.pause(max(.zero, SystemClock.monotonic().duration(to: next)))
        }
        while true { try await place.pause(.seconds(3600)) }
    }

    private static func watch(_ place: Place) async throws {
        let node = try await RunningNode.start(
            place, "watcher", role: .topside, peers: [Endpoint(host: "10.77.0.1", port: 9150)],
            listen: "10.77.0.2:9150", cap: "500KB/s")
        let (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        node.store.ringTails(bell)
        let reader = node.store.tail(TailRequest())
        let began = SystemClock.monotonic()
        var delays = Samples()
        var rests: [ChunkSlot: [UInt8]] = [:]
        for await _ in rings {
            let now = SystemClock.monotonic()
            while case let frames = try await reader.next(), !frames.isEmpty {
                for case .commit(let piece, _) in frames {
                    var lines = (rests[piece.slot] ?? []) + piece.bytes
                    while let end = lines.firstIndex(of: UInt8(ascii: "\n")) {
                        let made = String(decoding: lines[..<end].prefix { $0 != UInt8(ascii: ",") }, as: UTF8.self)
                        lines.removeSubrange(...end)
                        guard began.duration(to: now) > .seconds(warmUp), let made = Int64(made) else { continue }
                        delays.add(MonotonicTime(nanoseconds: made).duration(to: now).inSeconds)
                    }
                    rests[piece.slot] = lines
                }
            }
            if began.duration(to: now) >= .seconds(seconds + warmUp) { break }
        }
        let wanted = streams * 100 * seconds
        let text = "\(mark)\(delays.quantiles), \(delays.values.count) of \(wanted) rows\n"
        // Which the bench that started this reads.
        _ = Array(text.utf8).withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
        while true { try await place.pause(.seconds(3600)) }
    }
}
