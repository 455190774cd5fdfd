import Model
import Node
import Reactor
import Storage

/// From the last byte of a row at a serial line to the row durable at the topside: two nodes with threads and ports of
/// their own, a pseudo-terminal, a real connection, and each commit synced at both ends.
struct TailBench {
    let place: Place
    private let rows = 1000
    private let interval = Duration.milliseconds(25)

    func run() async throws {
        try await run("commit interval 0", ["--commit-interval", "0"], budget: "p50 10 ms, p99 50 ms")
        try await run("commit interval 200 ms", [], budget: "")
    }

    private func run(_ what: String, _ settings: [String], budget: String) async throws {
        let name = "tail\(settings.count)"
        let sensor = try PseudoTerminal(on: place.loop) { _ in }
        let vehicle = try await RunningNode.start(
            place, "\(name)-vehicle", role: .vehicle, peers: [],
            ["--serial", sensor.path, "--sensor", "passive", "--chunk-interval", "5s"] + settings)
        let topside = try await RunningNode.start(
            place, "\(name)-topside", role: .topside, peers: [vehicle.endpoint])
        let bare = try BareAppend("\(place.path)/\(name)-bare")
        let (here, there) = (RowWatch(vehicle.store), RowWatch(topside.store))
        let watching = place.loop.spawn { await here.run() }
        let mirroring = place.loop.spawn { await there.run() }
        // The driver finds its speed, the peers meet, the first copies are made.
        while there.count < 40 {
            print(0, to: sensor)
            try await place.pause(interval)
        }
        while await vehicle.store.openSessions().isEmpty { try await place.pause(interval) }
        try await place.pause(.seconds(1))
        let (offset, beyond) = (here.count, there.count)
        var sent: [MonotonicTime] = []
        var bareTimes = Samples()
        for number in 0..<rows {
            sent.append(SystemClock.monotonic())
            print(number, to: sensor)
            // Not in step with anything else that has a period.
            try await place.pause(interval + .microseconds(number * 37 % 5000))
            if number % 10 == 0 { bareTimes.add(try bare.append([UInt8](repeating: 0, count: 800))) }
        }
        try await place.pause(.seconds(1))
        watching.cancel()
        mirroring.cancel()
        let (local, mirrored) = (here.times(after: offset), there.times(after: beyond))
        await topside.stop()
        await vehicle.stop()
        guard local.count == rows, mirrored.count == rows else {
            throw BenchError("\(rows) rows were sent, \(local.count) and \(mirrored.count) were seen")
        }
        Report.line(
            "row at the serial line → fsynced at the topside, \(what)", Self.delays(sent, mirrored).quantiles,
            beside: "fdatasync \(bareTimes.quantiles)", budget: budget)
        Report.line("the same, at the vehicle", Self.delays(sent, local).quantiles)
    }

    private func print(_ number: Int, to sensor: PseudoTerminal) {
        _ = sensor.send(Array("0.\(100_000 + number), 25.19, 7.494\r\n".utf8))
    }

    private static func delays(_ sent: [MonotonicTime], _ durable: [MonotonicTime]) -> Samples {
        var samples = Samples()
        for (begin, end) in zip(sent, durable) { samples.add(begin.duration(to: end).inSeconds) }
        return samples
    }
}

/// When each row of stream `data` became durable in a store, told by its own tail.
private final class RowWatch: Sendable {
    private let store: Store
    private let seen = Locked<[MonotonicTime]>([])

    init(_ store: Store) { self.store = store }

    var count: Int { seen.withLock { $0.count } }
    func times(after number: Int) -> [MonotonicTime] { seen.withLock { Array($0.dropFirst(number)) } }

    /// Until its task is cancelled.
    func run() async {
        let (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        store.ringTails(bell)
        bell.yield()
        let reader = store.tail(TailRequest())
        for await _ in rings {
            let now = SystemClock.monotonic()
            while let frames = try? await reader.next(), !frames.isEmpty {
                for case .commit(let piece, _) in frames where piece.slot.stream == .data {
                    seen.withLock { $0 += [MonotonicTime](repeating: now, count: Int(piece.rows)) }
                }
            }
        }
    }
}
