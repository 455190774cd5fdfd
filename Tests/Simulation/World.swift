import FoundationEssentials
import Model
import Reactor
import Replication
import Storage

/// One world from its seed to its end: nodes, ways between them, mishaps; then quiet, in which everything has to come
/// to where it belongs.
final class World: @unchecked Sendable {
    struct Outcome {
        let failure: String?
        let hash: UInt64
        let figures: Figures
        let jobs: Int
        let time: Duration
    }

    let sim: Simulator
    let plan: Plan
    let network: Network
    let oracle: Oracle
    let nodes: [SimulatedNode]
    let defect: Defect?
    private let root: String

    /// Until everything is everywhere, from when it became quiet: the longest delays there are come one after another.
    private static let patience = Duration.seconds(240)

    init(seed: UInt64, root: String, defect: Defect? = nil, trace: Trace) throws {
        self.root = root
        self.defect = defect
        sim = Simulator(seed: seed, trace: trace)
        plan = Plan(sim)
        network = Network(sim)
        oracle = Oracle(sim)
        if FileManager.default.fileExists(atPath: root) { try FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        var nodes: [SimulatedNode] = []
        for number in 0..<plan.nodes {
            nodes.append(
                SimulatedNode(
                    number, role: number < plan.vehicles ? .vehicle : .topside, plan: plan, network: network,
                    oracle: oracle, path: "\(root)/\(number)"))
        }
        self.nodes = nodes
        network.oracle = oracle
        network.lies = defect == .lie
        network.nodes = nodes
        oracle.nodes = nodes
        for node in nodes {
            for other in nodes where other !== node && node.role == .topside && sim.chance(0.3) {
                node.peers.append(sim.pick(other.endpoints))
            }
            for other in nodes where other.number < node.number {
                network.setWeather(Weather(sim, isRough: plan.isRough), node.number, other.number)
            }
        }
    }

    func run() -> Outcome {
        begin()
        let end = sim.now + plan.turbulence.nanoseconds
        sim.run { sim.now >= end }
        calm()
        plantEarly()
        catchUp()
        plantLate()
        finish()
        if FileManager.default.fileExists(atPath: root) {
            do { try FileManager.default.removeItem(atPath: root) } catch { sim.fail("\(error)") }
        }
        return Outcome(
            failure: sim.failure, hash: sim.trace.hash, figures: oracle.figures, jobs: sim.jobCount,
            time: .nanoseconds(sim.now - 1_000_000_000_000))
    }

    private func begin() {
        for node in nodes { sim.after(sim.seconds(0...1)) { node.start() } }
        for _ in 0..<plan.mishaps {
            let mishap = sim.pick(Mishap.allCases)
            sim.after(sim.seconds(1...plan.turbulence.inSeconds)) { [self] in
                sim.trace.note(sim.now, "\(mishap)")
                oracle.note { $0.mishaps += 1 }
                befall(mishap)
            }
        }
        // Something has to be there to look at in the end, also for the clock.
        sim.after(plan.turbulence) {}
    }

    // MARK: Quiet

    private func calm() {
        sim.trace.note(sim.now, "quiet")
        oracle.isQuiet = true
        network.mendAll()
        for node in nodes {
            for other in nodes where other.number < node.number {
                network.path(node.number, other.number).calm()
            }
            node.process?.disk.failing = 0
            node.process?.disk.callsLeft = nil
            node.isOn = true
            node.start()
        }
    }

    /// Waits until nothing is missing; looks each second how it goes.
    private func catchUp() {
        let began = sim.now
        var progress = Progress()
        while sim.failure == nil {
            let next = sim.now + 1_000_000_000
            sim.after(.seconds(1)) {}
            sim.run { sim.now >= next }
            let lacks = ask { await self.oracle.whatIsMissing() } ?? []
            progress.look(self, lacks)
            var missing = lacks.first?.text
            if lacks.isEmpty {
                if oracle.figures.catchUp == .zero { oracle.note { $0.catchUp = .nanoseconds(sim.now - began) } }
                missing = ask { await self.oracle.whatIsNotAcknowledged() }
            }
            guard let missing else { return }
            if sim.now - began > Self.patience.nanoseconds { sim.fail("\(missing) after \(Self.patience) of quiet") }
        }
    }

    /// What an async question answers, in the simulator's own time.
    private func ask<Answer: Sendable>(_ question: @escaping @Sendable () async -> Answer?) -> Answer? {
        let box = Box<Answer>()
        asker.run(question, into: box)
        let deadline = sim.now + 60_000_000_000
        sim.run { box.isAnswered || sim.now > deadline }
        if !box.isAnswered { sim.fail("a store does not answer") }
        return box.answer
    }

    private final class Box<Answer>: @unchecked Sendable {
        var answer: Answer?
        var isAnswered = false
    }

    private struct Asker: @unchecked Sendable {
        let lane: DiskLane
        func run<Answer: Sendable>(_ question: @escaping @Sendable () async -> Answer?, into box: Box<Answer>) {
            _ = Task(executorPreference: lane) {
                box.answer = await question()
                box.isAnswered = true
            }
        }
    }

    private lazy var asker = Asker(lane: sim.makeLane().executor)

    private func finish() {
        if sim.failure == nil {
            _ = ask { () async -> Int? in
                await self.oracle.examine()
                return nil
            }
        }
        // One that nobody wants any more, on a connection that died in silence, is given up in its time.
        let limit = sim.now + (Limits.chunkStallTime + .seconds(3)).nanoseconds
        sim.run { oracle.openTransfers.isEmpty || sim.now > limit }
        if let open = oracle.openTransfers.first { sim.fail("chunk \(open.id) is on its way for ever") }
        oracle.note { figures in figures.carried = oracle.transfers.reduce(0) { $0 + $1.read } }
        guard sim.failure == nil else { return }
        oracle.isOver = true
        for node in nodes {
            node.isOn = false
            node.stop()
        }
        let deadline = sim.now + 60_000_000_000
        sim.run { nodes.allSatisfy { $0.process == nil } || sim.now > deadline }
        if let node = nodes.first(where: { $0.process != nil }) { sim.fail("node \(node.number) does not end") }
        if let link = network.openLinks.first { sim.fail("link \(link.number) is open though nobody runs") }
    }
}
