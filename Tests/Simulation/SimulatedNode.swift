import FoundationEssentials
import Model
import Reactor
import Replication
import Storage

/// A machine with a data directory, on which one process of a node after another runs.
final class SimulatedNode: @unchecked Sendable {
    let number: Int
    let id: NodeID
    let role: Role
    let follow: FollowPolicy
    var pull: PullPolicy
    let path: String
    let sim: Simulator
    let network: Network
    let oracle: Oracle
    /// Two addresses of one machine.
    let endpoints: [Endpoint]
    /// Whom a person named; all others it hears of by their announcements.
    var peers: [Endpoint] = []
    let records: Bool
    let scrubs: Bool
    let opensMeanwhile: Bool
    /// An older release has none.
    let capabilities: Set<String>
    /// Answers of facts are cut at this many bytes.
    let factsBytes: Int
    let lanes: [Simulator.Lane]
    /// What each system call takes.
    var diskDelay: Duration
    /// Wall clock against the simulator's.
    var clockOffset: Int64 = 0
    var boot = 1
    var process: NodeProcess?
    private var processCount = 0
    private var countedCalls = 0
    /// Whether a process should run there.
    var isOn = true

    init(_ number: Int, role: Role, plan: Plan, network: Network, oracle: Oracle, path: String) {
        let sim = network.sim
        self.number = number
        self.role = role
        self.path = path
        self.sim = sim
        self.network = network
        self.oracle = oracle
        id = NodeID(digest: Digest256(bytes: [UInt8](repeating: UInt8(17 * (number + 1)), count: 32))!)
        // As Sources/Node/Roles.swift has it.
        let pullsAll = role == .topside || sim.chance(0.2)
        follow = role == .topside || pullsAll ? .everyone : .named
        pull = pullsAll ? .all : .none
        endpoints = ["a", "b"].map { Endpoint(host: "\($0)\(number)", port: 9150) }
        records = role == .vehicle || sim.chance(0.1)
        scrubs = plan.scrubs
        // Nodes of earlier releases have none of them.
        capabilities = Set(["heartbeat", "tail", "bundle"].filter { _ in sim.chance(0.8) })
        opensMeanwhile = sim.chance(0.5)
        factsBytes = sim.pick([700, 5000, 1 << 20])
        diskDelay = sim.pick([.zero, .microseconds(20), .microseconds(200), .milliseconds(1)])
        lanes = (0..<5).map { _ in sim.makeLane() }
        for lane in lanes.dropFirst() {
            lane.afterJob = { [weak self] lane in self?.charge(lane) }
        }
    }

    var loop: DiskLane { lanes[0].executor }

    /// A lane that has called the disk is busy for as long as that took.
    private func charge(_ lane: Simulator.Lane) {
        guard let disk = process?.disk else { return }
        let calls = disk.callCount - countedCalls
        countedCalls = disk.callCount
        if calls > 0, diskDelay > .zero {
            lane.blockedUntil = max(lane.blockedUntil, sim.now) + Int64(calls) * diskDelay.nanoseconds
        }
    }

    func reading() -> ClockReading {
        ClockReading(
            realtime: 1_760_000_000_000_000_000 + sim.now + clockOffset, boottime: sim.now,
            bootID: BootID(high: 0x4000, low: 0x8000_0000_0000_0000 + UInt64(boot)))
    }

    func file(of id: ChunkID) -> String { "\(path)/chunks/\(id.description.prefix(2))/\(id)" }

    func scope(of other: SimulatedNode) -> FollowScope {
        follow.scope(of: other.role, isConfigured: !Set(peers).isDisjoint(with: other.endpoints))
    }

    var sighting: PeerSighting {
        PeerSighting(instance: "node \(number)", idPrefix: id.short, role: role, boot: nil, endpoints: endpoints)
    }

    // MARK: Life

    /// Starts a process, which opens what it finds.
    func start() {
        guard process == nil, !oracle.isOver else { return }
        processCount += 1
        isOn = true
        countedCalls = 0
        let process = NodeProcess(
            on: self, incarnation: Incarnation(word: UInt64(number + 1) << 32 | UInt64(processCount)))
        self.process = process
        oracle.note { $0.starts += 1 }
        sim.trace.note(sim.now, "node \(number): process \(processCount) starts")
        process.start()
    }

    /// The process has ended, of itself or as it was told: its references are gone.
    func ended(_ process: NodeProcess) {
        guard self.process === process else { return }
        oracle.ended(process)
        self.process = nil
        network.drop(process, isTold: true)
        guard isOn else { return }
        // As systemd does.
        sim.after(.milliseconds(500)) { [weak self] in if let self, isOn { start() } }
    }

    /// The process is no more from this moment on.
    func die() {
        guard let process, process.isAlive else { return }
        sim.trace.note(sim.now, "node \(number) dies")
        process.disk.isDead = true
        process.isAlive = false
        network.drop(process, isTold: sim.chance(0.5))
        process.kill()
    }

    /// SIGTERM.
    func stop() {
        guard let process, process.isAlive else { return }
        sim.trace.note(sim.now, "node \(number) is stopped")
        process.stop()
    }

    // MARK: Its directory, while no process runs

    func removeAll() throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        try FileManager.default.removeItem(atPath: path)
        oracle.replaced(self)
    }

    func removeIndex() throws {
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            let file = "\(path)/\(name)"
            if FileManager.default.fileExists(atPath: file) { try FileManager.default.removeItem(atPath: file) }
        }
    }

    var hasBackup: Bool { FileManager.default.fileExists(atPath: "\(path).backup") }

    func takeBackup() throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        if hasBackup { try FileManager.default.removeItem(atPath: "\(path).backup") }
        try FileManager.default.copyItem(atPath: path, toPath: "\(path).backup")
    }

    func restoreBackup() throws {
        try removeAll()
        try FileManager.default.copyItem(atPath: "\(path).backup", toPath: path)
    }
}
