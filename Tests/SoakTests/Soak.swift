import Foundation
import Gateway
import Model
import Reactor

@testable import Recording

/// Two nodes, each with a sensor of its own that it records while it pulls the other's recording, and what is done to
/// them.
struct Soak: Sendable {
    /// A node, its sensor, and what is to be remembered for the audit.
    struct Side: Sendable {
        let node: SoakNode
        let sensor: QSeriesSimulator
        let sensorID: String
        let kills = Locked<[MonotonicTime]>([])
        /// What the node had on its disk when it was killed.
        let remains = Locked<[StoredNode]>([])
        /// The most durable rows that it spoke of.
        let durableRows = Locked<Int64>(0)
        let isDown = Locked<Bool>(false)
        let shortfalls = Locked<[String]>([])
        /// When the sensor stopped printing until it was woken.
        let silence = Locked<MonotonicTime?>(nil)

        /// A process that saw the sensor's rows, and then missed them for as long as it takes to notice.
        var wasSilentForOneProcess: Bool {
            guard let silence = silence.withLock({ $0 }) else { return false }
            let woken = silence.advanced(by: .seconds(12))
            return !kills.withLock { $0 }.contains { silence <= $0 && $0 < woken }
        }
    }

    static let speed = 40.0
    /// Ten minutes of a sensor at 1.0338 s.
    static let samples = 580
    static let commitInterval = Duration.milliseconds(100)

    let loop: EventLoop
    let sides: [Side]
    private let seed: UInt64

    init(_ scratch: Scratch, seed: UInt64) async throws {
        loop = scratch.loop
        self.seed = seed
        let ports = [try Scratch.freePort(), try Scratch.freePort()]
        var sides: [Side] = []
        for (position, role) in [Role.vehicle, .topside].enumerated() {
            var options = QSeriesSimulator.Options()
            options.device.signal = .ramp
            options.device.seed = seed &+ UInt64(position)
            options.speed = Self.speed
            options.link = "\(scratch.path)/tty-\(role)"
            // Once each for certain, and then at random.
            options.faults = QSeriesFaults(kinds: Self.passing, probability: 0.03, seed: seed &+ UInt64(position))
            options.faults.kinds.formUnion([.badAveraging, .confused])
            let sensor = QSeriesSimulator(options, on: scratch.loop)
            let port = try await sensor.open()
            let sensorID = role == .vehicle ? "wet" : "dry"
            let node = SoakNode(
                "\(role)", role, in: scratch.path, port: ports[position], on: scratch.loop,
                [
                    "--serial", "\(port)@9600", "--sensor-id", sensorID, "--record", "on", "--pull", "all",
                    "--peer", "127.0.0.1:\(ports[1 - position])", "--chunk-interval", "1s", "--chunk-size", "4KiB",
                    "--commit-interval", "100ms", "--mission", "soak",
                ])
            sides.append(Side(node: node, sensor: sensor, sensorID: sensorID))
        }
        self.sides = sides
    }

    /// What comes at random: all but those that take ten seconds to notice.
    private static let passing: Set<QSeriesFaults.Kind> = [
        .garbage, .cutLines, .gluedLines, .missingFields, .extraFields, .reset, .unplug,
    ]

    // MARK: The run

    func run() async throws {
        for side in sides { try await side.node.start() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (position, side) in sides.enumerated() {
                group.addTask { try await trouble(side, position) }
                group.addTask { try await watch(side) }
            }
            // Both troubles end by themselves, the watches do not.
            for _ in sides { try await group.next() }
            group.cancelAll()
        }
        try await settle()
    }

    /// Faults of the sensor and kills of the node, in an order and at moments that the seed decides.
    private func trouble(_ side: Side, _ position: Int) async throws {
        var random = SeededGenerator(seed: seed &* 31 &+ UInt64(position))
        for fault in Self.passing.sorted(by: { $0.rawValue < $1.rawValue }).shuffled(using: &random) {
            await side.sensor.strike(fault)
        }
        // Each sensor falls silent once, one of them in a prompt: ten seconds pass before a driver asks why. One node
        // is killed meanwhile, perhaps; the other lives to see it.
        let start = SystemClock.monotonic()
        let spans =
            position == 0 ? [2000..<6000, 500..<9000, 10_500..<18_000] : [9500..<9600, 500..<4000, 4500..<9000]
        let times = spans.map { start.advanced(by: .milliseconds(Int.random(in: $0, using: &random))) }
        let (silence, moments) = (times[0], times.dropFirst())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await loop.sleep(until: silence)
                await side.sensor.strike(position == 0 ? .hang : .silence)
                side.silence.withLock { $0 = SystemClock.monotonic() }
            }
            for (count, moment) in moments.enumerated() {
                let pause = Duration.milliseconds(Int.random(in: 0..<800, using: &random))
                group.addTask {
                    try await loop.sleep(until: moment)
                    // One of its lives tries to set the sensor up, which refuses.
                    let more =
                        count == 0 ? ["--sensor", "setup", "--averaging", "125", "--sensor-mode", "freerun"] : []
                    try await kill(side, pause, more)
                }
            }
            try await group.waitForAll()
        }
        try await until("ten minutes of samples", within: .seconds(90)) {
            await side.sensor.wire.entries.count { $0.kind != .text } >= Self.samples
        }
    }

    private func kill(_ side: Side, _ pause: Duration, _ more: [String]) async throws {
        side.isDown.withLock { $0 = true }
        side.kills.withLock { $0.append(SystemClock.monotonic()) }
        try await side.node.kill()
        let remains = try StoredNode(side.node.data)
        side.remains.withLock { $0.append(remains) }
        try await loop.sleep(for: pause)
        try await side.node.start(more)
        side.isDown.withLock { $0 = false }
        let durable = side.durableRows.withLock { $0 }
        let rows = try await side.node.wait("it records again") { $0.recording?.rows }
        if rows < durable { side.shortfalls.withLock { $0.append("\(durable) rows were durable, \(rows) are left") } }
    }

    /// Notes what the node says is durable.
    private func watch(_ side: Side) async throws {
        while true {
            try await loop.sleep(for: .milliseconds(100))
            guard !side.isDown.withLock({ $0 }) else { continue }
            // A node that is killed while it answers says nothing.
            guard let rows = try? await side.node.status()?.recording?.rows else { continue }
            side.durableRows.withLock { $0 = max($0, rows) }
        }
    }

    /// The sensors are sound again and then silent; the recordings end, and each side has the other's.
    private func settle() async throws {
        for side in sides {
            await side.sensor.stopFaults()
            let count = await side.sensor.wire.samples.count
            try await until("\(side.node.name) records after all faults", within: .seconds(60)) {
                await side.sensor.wire.samples.count > count + 10
            }
            await side.sensor.strike(.silence)
            try await until("silence", within: .seconds(30)) { await side.sensor.faultCounts[.silence] != nil }
            try await side.node.waitForQuiet()
            let code = try await side.node.verb(["record", "stop"])
            guard code == 0 else { throw NodeProcess.Failure(description: "record stop: \(code)") }
        }
        try await sides[0].node.waitForEqualHoldings([sides[1].node])
        for side in sides {
            let incomplete = try await side.node.incompleteSessions()
            side.shortfalls.withLock { $0 += incomplete }
            try await side.node.stop()
        }
    }

    private func until(_ what: String, within limit: Duration, _ isTrue: () async -> Bool) async throws {
        let deadline = SystemClock.monotonic().advanced(by: limit)
        while await !isTrue() {
            guard SystemClock.monotonic() < deadline else {
                throw NodeProcess.Failure(
                    description: "after \(limit), not: \(what)\n"
                        + sides.map { "\($0.node.name)\n\($0.node.process.logTail)" }.joined(separator: "\n"))
            }
            try await loop.sleep(for: .milliseconds(20))
        }
    }

    func abandon() async {
        for side in sides {
            _ = try? await side.node.process.end(by: SIGKILL)
            await side.sensor.close()
        }
    }

    // MARK: The audit

    /// Everything that is wrong with what is left.
    func audit() async throws -> [String] {
        for side in sides { await side.sensor.close() }
        let stores = try sides.map { try StoredNode($0.node.data) }
        var findings = StoreComparison.differences(stores[0], stores[1])
        for (side, store) in zip(sides, stores) {
            findings += StoreComparison.flaws(of: store)
            findings += StoreComparison.leftovers(of: store)
            for remains in side.remains.withLock({ $0 }) { findings += StoreComparison.lacks(store, of: remains) }
            findings += side.shortfalls.withLock { $0 }
            let code = try await side.node.verb(["verify"])
            if code != 0 { findings.append("verify of \(side.node.name) ends with \(code)") }
            findings += try await recording(of: side, in: stores)
        }
        return findings
    }

    private func recording(of side: Side, in stores: [StoredNode]) async throws -> [String] {
        var findings: [String] = []
        let own = stores[0].sessions(ofSensor: side.sensorID)
        guard own.count == 1, let session = own.first else { return ["\(own.count) sessions of \(side.sensorID)"] }
        let wire = await side.sensor.wire.entries
        let audit = WireAudit(
            wire: wire, kills: side.kills.withLock { $0 }, durableAfter: Self.commitInterval + .seconds(2),
            unpluggings: await side.sensor.faultCounts[.unplug] ?? 0)
        for store in stores {
            let outcome = try audit.check(store, session, sensor: side.sensorID)
            findings += outcome.findings.map { "\(side.sensorID) in \(store.path): \($0)" }
            print(
                "\(side.sensorID): \(outcome.rows) rows, \(wire.count) lines sent, "
                    + "\(outcome.excusedSamples) samples lost to kills and unpluggings, the oldest "
                    + "\(outcome.oldestLost.inSeconds) s before its kill, chunks \(store.chunks.count)")
        }
        let gaps = stores[0].gaps(of: session).filter { $0.to != nil }
        let reasons = gaps.reduce(into: [String: Int]()) { $0[$1.reason, default: 0] += 1 }
        print("\(side.sensorID): gaps \(reasons), faults \(await side.sensor.faultCounts)")
        // A process that was killed while it started told of none; the next one's reaches over it.
        if !(1...2).contains(reasons[Gap.Reason.restart] ?? 0) {
            findings.append("gaps of \(side.sensorID): \(reasons)")
        }
        // Within a gap there is no second one: what happens while a reset sensor prints its banner may show as one.
        let faults = [Gap.Reason.unplugged, Gap.Reason.sensorReset]
        if !faults.contains(where: { reasons[$0] != nil }) { findings.append("gaps of \(side.sensorID): \(reasons)") }
        // Silence that begins within another gap, that of a start or of a sensor's set-up, belongs to it and makes it
        // long.
        let isWithinAnother = gaps.contains { $0.to!.boottime - $0.from.boottime > 4_000_000_000 }
        if side.wasSilentForOneProcess, reasons[Gap.Reason.silent] == nil, !isWithinAnother {
            let lengths = gaps.map { "\($0.reason) \(($0.to!.boottime - $0.from.boottime) / 1_000_000) ms" }
            findings.append("no gap of \(side.sensorID) tells of its silence: \(lengths)")
        }
        for fault in Self.passing where await side.sensor.faultCounts[fault] == nil {
            findings.append("the sensor \(side.sensorID) never met with \(fault)")
        }
        return findings
    }
}
