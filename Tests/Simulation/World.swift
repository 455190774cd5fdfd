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
    private let root: String

    /// Until everything is everywhere, from when it became quiet: the longest delays there are come one after another.
    private static let patience = Duration.seconds(240)

    init(seed: UInt64, root: String, trace: Trace) throws {
        self.root = root
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
        network.nodes = nodes
        oracle.nodes = nodes
        for node in nodes {
            for other in nodes where other !== node && node.role == .topside && sim.chance(0.3) {
                node.peers.append(sim.pick(other.endpoints))
            }
            for other in nodes where other.number < node.number {
                network.path(node.number, other.number).weather = Weather(sim, isRough: plan.isRough)
            }
        }
    }

    func run() -> Outcome {
        begin()
        let end = sim.now + plan.turbulence.nanoseconds
        sim.run { sim.now >= end }
        calm()
        catchUp()
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
                let path = network.path(node.number, other.number)
                path.weather = path.weather.calmed
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
        var progress = Progress(self)
        var missing: String?
        repeat {
            let next = sim.now + 1_000_000_000
            sim.after(.seconds(1)) {}
            sim.run { sim.now >= next }
            missing = ask { await self.oracle.whatIsMissing() }
            if missing == nil {
                if oracle.figures.catchUp == .zero {
                    oracle.note { $0.catchUp = .nanoseconds(sim.now - began) }
                }
                missing = ask { await self.oracle.whatIsNotAcknowledged() }
            }
            progress.look(self, missing: missing)
            if missing != nil, sim.now - began > Self.patience.nanoseconds {
                sim.fail("\(missing ?? "") after \(Self.patience) of quiet")
            }
        } while sim.failure == nil && missing != nil
    }

    /// What an async question answers, in the simulator's own time.
    private func ask<Answer: Sendable>(_ question: @escaping @Sendable () async -> Answer?) -> Answer? {
        let box = Box<Answer>()
        asker.run(question, into: box)
        sim.run { box.isAnswered }
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
        if sim.failure == nil, let open = oracle.openTransfers.first { sim.fail("chunk \(open.id) is still on its way") }
        oracle.note { figures in figures.carried = oracle.transfers.reduce(0) { $0 + $1.read } }
        guard sim.failure == nil else { return }
        for node in nodes {
            node.isOn = false
            node.stop()
        }
        sim.run { nodes.allSatisfy { $0.process == nil } }
        if let link = network.openLinks.first { sim.fail("link \(link.number) is open though nobody runs") }
    }
}

/// Whether a node that is behind and connected gets anything.
struct Progress {
    private var since: [Int: Int64] = [:]
    private var last: [Int: Int64] = [:]

    init(_ world: World) {}

    mutating func look(_ world: World, missing: String?) {
        let (sim, oracle) = (world.sim, world.oracle)
        for node in world.nodes {
            let reached = oracle.transfers.reduce(Int64(0)) { $1.link.client.node === node ? $0 + $1.read : $0 }
            let facts = node.process?.announced.count ?? 0
            let isConnected = world.network.openLinks.contains { $0.client.node === node }
            let mark = reached &* 1_000_003 &+ facts
            if missing == nil || !isConnected || last[node.number] != mark { since[node.number] = sim.now }
            last[node.number] = mark
            let stall = Duration.nanoseconds(sim.now - (since[node.number] ?? sim.now))
            if missing?.hasPrefix("node \(node.number) lacks") == true {
                oracle.note { $0.stall = max($0.stall, stall) }
            }
        }
    }
}
