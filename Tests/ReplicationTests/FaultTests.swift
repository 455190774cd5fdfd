import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

/// A vehicle that was killed while it recorded, and a topside that has all that was sealed: what faults are done to.
private final class FaultyPair: Sendable {
    static let vehicle = Sample.node(1)
    static let topside = Sample.node(2)

    let scratch: Scratch
    let sealed: Holdings
    /// Exact bytes of every fact that both have.
    let facts: [FactName: [UInt8]]
    /// Rows that were acknowledged, of the session that was open.
    let rows: [String]
    let openSession: SessionID

    private init(
        scratch: Scratch, sealed: Holdings, facts: [FactName: [UInt8]], rows: [String], openSession: SessionID
    ) {
        self.scratch = scratch
        self.sealed = sealed
        self.facts = facts
        self.rows = rows
        self.openSession = openSession
    }

    static func make() async throws -> FaultyPair {
        let scratch = try Scratch()
        let vehicle = try await open(scratch, "vehicle", vehicle, .silent)
        let topside = try await open(scratch, "topside", topside, .silent)
        let ended = try await vehicle.recordSession(chunks: 4, rowBytes: 9_000)
        _ = try await vehicle.endSession(ended, reason: SessionEnd.Reason.stopped)
        let session = try await vehicle.recordSession(chunks: 2, rowBytes: 100)
        let sealed = try await vehicle.holdings().holdings
        _ = try await topside.receive(try await vehicle.facts(after: 0, limit: 100).map(\.bytes))
        for wanted in try await topside.wanted(mission: nil, limit: 100, excluding: []) {
            let file = try await vehicle.openChunk(wanted.fact.sha256)
            let bytes = try file.read(count: Int(file.length), at: 0)
            _ = try await topside.admit([(wanted, bytes)])[0].get()
        }
        var rows = try await vehicle.textRows(session)
        for n in 0..<6 {
            // One of them is too large for the write-ahead log, and goes to the chunk's file first.
            let row = "\(n)-" + String(repeating: "y", count: n == 3 ? Limits.inlineCommitBytes + 100 : 700)
            let at = ClockPair(SystemClock.reading())
            _ = try await vehicle.commit([
                RowBatch(
                    session: session, stream: .data, bytes: Array((row + "\n").utf8), rows: 1, first: at, last: at)
            ])
            rows.append(row)
        }
        await vehicle.refreshView(.all)
        var facts: [FactName: [UInt8]] = [:]
        for fact in try await vehicle.facts(after: 0, limit: 100) {
            if let name = RecordedFact(parsing: fact.bytes)?.fact.name { facts[name] = fact.bytes }
        }
        // As a power cut leaves the vehicle; the topside ends in order.
        try await topside.close()
        try LinkedCopy.make("\(scratch.path)/vehicle", "\(scratch.path)/killed")
        try LinkedCopy.make("\(scratch.path)/topside", "\(scratch.path)/mirror")
        try await vehicle.close()
        return FaultyPair(scratch: scratch, sealed: sealed, facts: facts, rows: rows, openSession: session)
    }

    static func open(_ scratch: Scratch, _ name: String, _ node: NodeID, _ log: Log) async throws -> Store {
        try await Store.open(
            "\(scratch.path)/\(name)", node: node, incarnation: .random(), lanes: scratch.lanes, view: .link, log: log)
    }
}

extension Store {
    fileprivate func textRows(_ session: SessionID) async throws -> [String] {
        var rows: [String] = []
        for chunk in try await chunks(of: session) {
            let file = try await openChunk(chunk.fact.sha256)
            let text = String(decoding: try file.read(count: Int(file.length), at: 0), as: UTF8.self)
            rows += text.split(separator: "\n").map(String.init)
        }
        return rows
    }
}

/// Faults in every kind of file, drawn by seed: noticed before anything is believed, never passed on, and healed where
/// the other node has what is needed.
@Suite(.timeLimit(.minutes(20))) struct FaultTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let count = environment["QNODE_FAULTS"].flatMap { Int($0) } ?? 60
    private static let seed = environment["QNODE_FAULT_SEED"].flatMap { UInt64($0) } ?? .random(in: 0..<1_000_000_000)

    /// What was said of one fault.
    private struct Outcome {
        var audit: [StoreAudit.Finding] = []
        var warnings: [String] = []
        var hasAllRows = true
        var isNoticed: Bool { audit.contains { !$0.isHarmless } || !warnings.isEmpty }
    }

    @Test("faults of a disk are noticed, not passed on, and healed; QNODE_FAULT_SEED repeats them")
    func faults() async throws {
        let pair = try await FaultyPair.make()
        var tally: [String: (count: Int, noticed: Int)] = [:]
        for number in 0..<Self.count {
            let seed = Self.seed &+ UInt64(number)
            let (name, outcome) = try await run(pair, seed)
            tally[name, default: (0, 0)].count += 1
            if outcome.isNoticed { tally[name]?.noticed += 1 }
        }
        print("faults from seed \(Self.seed) on: target, injected, noticed (the others changed nothing)")
        for (name, counts) in tally.sorted(by: { $0.key < $1.key }) { print(name, counts.count, counts.noticed) }
    }

    private func run(_ pair: FaultyPair, _ seed: UInt64) async throws -> (String, Outcome) {
        var generator = SeededGenerator(seed: seed)
        let names = (vehicle: "vehicle-\(seed)", topside: "topside-\(seed)")
        let root = pair.scratch.path
        try LinkedCopy.make("\(root)/killed", "\(root)/\(names.vehicle)")
        try LinkedCopy.make("\(root)/mirror", "\(root)/\(names.topside)")
        defer {
            for name in [names.vehicle, names.topside] {
                try? FileManager.default.removeItem(atPath: "\(root)/\(name)")
            }
        }
        let isVehicle = Bool.random(using: &generator)
        let victim = isVehicle ? names.vehicle : names.topside
        let files = try LinkedCopy.files("\(root)/\(victim)")
        let targets = Set(files.keys.compactMap(InjectedFault.target)).sorted { $0.rawValue < $1.rawValue }
        let target = try #require(targets.randomElement(using: &generator))
        let fault = try #require(InjectedFault(target, among: files, &generator))
        let comment: Comment = "seed \(seed), \(isVehicle ? "vehicle" : "topside"), \(fault)"
        try fault.inject(into: "\(root)/\(victim)")
        var outcome = Outcome()
        let said = Locked<[String]>([])
        let listening = Log(source: "", level: .warning, forJournal: true) { line in said.withLock { $0.append(line) } }
        do {
            try await judge(pair, names, isVehicle: isVehicle, listening, &outcome, comment)
        } catch {
            Issue.record("\(error): \(comment); it said \(said.withLock { $0 })")
        }
        outcome.warnings = said.withLock { $0 }
        #expect(outcome.hasAllRows || outcome.isNoticed, "rows are missing and nobody said so: \(comment)")
        return ("\(isVehicle ? "vehicle" : "topside") \(target.rawValue)", outcome)
    }

    private func judge(
        _ pair: FaultyPair, _ names: (vehicle: String, topside: String), isVehicle: Bool, _ listening: Log,
        _ outcome: inout Outcome, _ comment: Comment
    ) async throws {
        let scratch = pair.scratch
        let victimNode = isVehicle ? FaultyPair.vehicle : FaultyPair.topside
        let victimPath = "\(scratch.path)/\(isVehicle ? names.vehicle : names.topside)"
        outcome.audit = try await StoreAudit(of: victimPath, node: victimNode, on: scratch.lanes.scrub).run().findings
        let bench = try Bench(speed: 10)
        let vehicle = StoreNode(
            try await FaultyPair.open(scratch, names.vehicle, FaultyPair.vehicle, isVehicle ? listening : .silent),
            at: Endpoint(host: "vehicle", port: 1), on: bench.network, loop: bench.loop, follow: .named, speed: 10)
        let topside = StoreNode(
            try await FaultyPair.open(scratch, names.topside, FaultyPair.topside, isVehicle ? .silent : listening),
            at: Endpoint(host: "topside", port: 1), on: bench.network, loop: bench.loop, role: .topside, speed: 10)
        let victim = isVehicle ? vehicle : topside
        _ = try await patiently { try await victim.store.scrubOnce() }
        await topside.replicator.setEndpoints([vehicle.endpoint])
        await vehicle.replicator.remember([
            RememberedPeer(id: topside.store.node, role: .topside, endpoint: topside.endpoint)
        ])
        // Healed: both have all that either had, and what recovery added.
        try await within(bench.loop, comment) {
            try await vehicle.store.waitUntilHeld(pair.sealed)
            try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        }
        for node in [vehicle, topside] {
            for fact in try await patiently({ try await node.store.facts(after: 0, limit: 10_000) }) {
                let recorded = try #require(RecordedFact(parsing: fact.bytes), comment)
                #expect(pair.facts[recorded.fact.name].map { $0 == fact.bytes } ?? true, comment)
            }
            for session in try await patiently({ try await node.store.sessions() }) {
                for chunk in try await patiently({ try await node.store.chunks(of: session.id) }) {
                    let file = try await node.store.openChunk(chunk.fact.sha256)
                    let bytes = try file.read(count: Int(file.length), at: 0)
                    #expect(ChunkDigester.digest(of: bytes) == chunk.fact.sha256, comment)
                }
            }
        }
        // Rows of the open chunk were nowhere else: what is there is what was written, and what is missing is told.
        let rows = try await patiently { try await vehicle.store.textRows(pair.openSession) }
        var expected = pair.rows[...]
        for row in rows {
            let position = expected.firstIndex(of: row)
            #expect(position != nil, "a row that nobody wrote: \(comment)")
            if let position { expected = expected[(position + 1)...] }
        }
        outcome.hasAllRows = rows == pair.rows
        for node in [vehicle, topside] { await node.store.refreshView(.all) }
        for node in [vehicle, topside] {
            await bench.network.unplug(node.endpoint)
            try await node.stop()
        }
        bench.loop.stop()
        for (name, node) in [(names.vehicle, FaultyPair.vehicle), (names.topside, FaultyPair.topside)] {
            let report = try await StoreAudit(of: "\(scratch.path)/\(name)", node: node, on: scratch.lanes.scrub).run()
            #expect(
                report.findings.filter { !$0.isHarmless && $0.kind != .damagedLine }.isEmpty, "\(report): \(comment)")
        }
    }

    /// An index that cannot be read is made again, and whoever asked asks again.
    private func patiently<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        for _ in 0..<3 {
            do { return try await body() } catch StoreError.index { continue }
        }
        return try await body()
    }

    /// Generous: what is waited for is a state, and a machine may be busy.
    private func within(
        _ loop: EventLoop, _ comment: Comment, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                try await loop.sleep(for: .seconds(30))
                return false
            }
            let isDone = try await group.next() ?? false
            group.cancelAll()
            #expect(isDone, "it was not healed: \(comment)")
        }
    }
}
