import FoundationEssentials
import Model
import Reactor

@testable import Replication
@testable import Storage

/// Sees everything that nodes say and carry, and knows the laws.
final class Oracle: @unchecked Sendable {
    /// A fact as it was first seen.
    struct Known {
        let bytes: [UInt8]
        let fact: Fact
    }

    let sim: Simulator
    let ledger = Ledger()
    var nodes: [SimulatedNode] = []
    /// The world has become quiet: nothing is recorded any more, and all that is behind has to catch up.
    var isQuiet = false
    /// Nothing starts any more.
    var isOver = false
    private(set) var known: [FactName: Known] = [:]
    private var names: [[UInt8]: FactName] = [:]
    private var missions: [SessionID: String] = [:]
    private(set) var transfers: [Transfer] = []
    private var said: [Incarnation: Holdings] = [:]
    /// Chunks that the world took away, by node.
    private var damaged: [Int: Set<ChunkID>] = [:]
    /// What a node's last process announced and the next has to hold.
    private var promised: [Int: Holdings] = [:]
    private(set) var figures = Figures()

    init(_ sim: Simulator) { self.sim = sim }

    // MARK: Law 4

    /// A process sent these bytes as a fact.
    func gives(_ process: NodeProcess, _ bytes: [UInt8]) {
        guard process.isAlive else { return }
        guard let known = register(bytes) else {
            return sim.fail("node \(process.node.number) gives a fact that is none")
        }
        process.announced.insert(known.fact.name)
        requireFile(of: known, at: process)
    }

    @discardableResult
    func register(_ bytes: [UInt8]) -> Known? {
        if let name = names[bytes] { return known[name] }
        guard let recorded = RecordedFact(parsing: bytes) else { return nil }
        let name = recorded.fact.name
        if let before = known[name], before.bytes != bytes { sim.fail("\(name) has two texts") }
        let entry = Known(bytes: bytes, fact: recorded.fact)
        names[bytes] = name
        known[name] = entry
        if case .session(let opening) = recorded.fact.body, let session = recorded.fact.session {
            missions[session] = opening.mission
        }
        return entry
    }

    // MARK: Law 1

    /// What is announced is there, under its digest.
    private func requireFile(of known: Known, at process: NodeProcess) {
        guard case .chunk(let chunk) = known.fact.body, process.isAlive else { return }
        let (node, id) = (process.node, chunk.sha256)
        guard damaged[node.number]?.contains(id) != true else { return }
        if !FileManager.default.fileExists(atPath: node.file(of: id)) {
            sim.fail("node \(node.number) announces \(known.fact.name), but chunk \(id) is not there")
        }
    }

    func announces(_ process: NodeProcess, _ holdings: Holdings) {
        guard process.isAlive else { return }
        process.announced.formUnion(holdings)
        for (name, known) in known where holdings.contains(name) { requireFile(of: known, at: process) }
    }

    func sealed(_ chunk: HeldChunk, by process: NodeProcess) {
        guard process.isAlive else { return }
        figures.chunks += 1
        process.announced.insert(chunk.name)
    }

    // MARK: Law 5

    func stated(_ statement: HoldingsStatement, by client: NodeProcess, to server: NodeProcess) {
        announces(client, statement.holdings)
        said[server.incarnation, default: Holdings()].formUnion(statement.holdings)
    }

    // MARK: Processes

    func ended(_ process: NodeProcess) {
        promised[process.node.number, default: Holdings()].formUnion(process.announced)
    }

    /// Its directory is not what its processes left.
    func replaced(_ node: SimulatedNode) {
        promised[node.number] = nil
        ledger.excuse(node)
    }

    func damages(_ id: ChunkID, of node: SimulatedNode) { damaged[node.number, default: []].insert(id) }

    /// What earlier processes of this directory announced has to be held.
    func opened(_ process: NodeProcess, _ store: Store) async {
        let promise = promised[process.node.number] ?? Holdings()
        await store.whenComplete()
        guard process.isAlive, let held = try? await store.holdings().holdings, process.isAlive else { return }
        let excused = damaged[process.node.number] ?? []
        for (name, known) in known where promise.contains(name) && !held.contains(name) {
            if case .chunk(let chunk) = known.fact.body, excused.contains(chunk.sha256) { continue }
            return sim.fail("node \(process.node.number) announced \(name) and holds it no more after a restart")
        }
    }

    // MARK: Transfers

    /// A chunk is asked for again only where there is a reason.
    func requested(_ transfer: Transfer) {
        let process = transfer.link.client
        figures.requests += 1
        sim.trace.note(
            sim.now,
            "node \(process.node.number) asks \(transfer.link.server.node.number) for "
                + "\(transfer.id.description.prefix(8)) from \(transfer.offset)")
        let reasons = process.disk.failureCount
        transfer.failuresBefore = reasons
        defer { transfers.append(transfer) }
        let before = transfers.filter { $0.id == transfer.id && $0.link.client.node === process.node }
        // A wrong byte may have stood in the partial file for long.
        let isSpoilt = before.contains { $0.isCorrupt } || damaged[process.node.number]?.contains(transfer.id) == true
        var reached: Int64 = 0
        for earlier in before where earlier.link.client === process {
            if !earlier.isOver {
                return sim.fail("node \(process.node.number) asks for chunk \(transfer.id) while it is on its way")
            }
            let isExcused = isSpoilt || earlier.failuresBefore != reasons || process.disk.isDead
            if earlier.isWhole, !isExcused {
                return sim.fail(
                    "node \(process.node.number) asks for chunk \(transfer.id) again, which it was given whole")
            }
            reached = isExcused ? 0 : max(reached, earlier.offset + earlier.read)
        }
        if reached > transfer.offset + Int64(Limits.collectedChunkBytes) {
            sim.fail("chunk \(transfer.id) was here up to \(reached) and is asked for from \(transfer.offset)")
        }
    }

    var openTransfers: [Transfer] { transfers.filter { !$0.isOver } }

    // MARK: In the end

    /// Facts that a node has to get and another one holds.
    struct Lack: Sendable {
        let node: Int
        let from: Int
        let missing: Holdings
        let text: String
    }

    /// What keeps the world from being through; empty where everything is where it should be.
    func whatIsMissing() async -> [Lack] {
        func trouble(_ node: SimulatedNode, _ text: String) -> [Lack] {
            [Lack(node: node.number, from: node.number, missing: Holdings(), text: "node \(node.number) \(text)")]
        }
        var holdings: [Holdings] = []
        for node in nodes {
            guard let process = node.process, process.isServing, let store = process.store else {
                return trouble(node, "does not run")
            }
            guard let held = try? await store.holdings().holdings else { return trouble(node, "has no index") }
            holdings.append(held)
            if process.recorder?.isSettled == false { return trouble(node, "still records") }
            if let gone = unnoticed(held, at: node) {
                await store.suspect([gone], log: false)
                return trouble(node, "has not noticed that \(gone) is gone")
            }
        }
        return nodes.flatMap { node in
            nodes.compactMap { other in other === node ? nil : lack(of: node, holdings, other) }
        }
    }

    private func lack(of node: SimulatedNode, _ holdings: [Holdings], _ other: SimulatedNode) -> Lack? {
        var missing = holdings[other.number].subtracting(holdings[node.number])
        switch node.scope(of: other) {
        case .nothing: return nil
        case .ownFacts: missing = missing.filtered { $0 == node.id }
        case .everything: break
        }
        guard !missing.isEmpty, let own = node.process?.incarnation else { return nil }
        for (name, known) in known where missing.contains(name) && !isWanted(known.fact, by: node) {
            missing.remove(name)
        }
        // Nobody tells a process what it wrote itself.
        missing = missing.removing(author: node.id, incarnation: own)
        guard let author = missing.authors.keys.min(), let process = missing.authors[author]?.keys.min() else {
            return nil
        }
        return Lack(
            node: node.number, from: other.number, missing: missing,
            text: "node \(node.number) lacks \(missing.count) facts that node \(other.number) holds, of "
                + "\(author.short) \(process): \(missing[author, process])")
    }

    private func unnoticed(_ held: Holdings, at node: SimulatedNode) -> ChunkID? {
        guard let damaged = damaged[node.number] else { return nil }
        for (name, known) in known where held.contains(name) {
            guard case .chunk(let chunk) = known.fact.body, damaged.contains(chunk.sha256) else { continue }
            if !FileManager.default.fileExists(atPath: node.file(of: chunk.sha256)) { return chunk.sha256 }
        }
        return nil
    }

    private func isWanted(_ fact: Fact, by node: SimulatedNode) -> Bool {
        guard case .chunk = fact.body, fact.name.author != node.id else { return true }
        switch node.pull {
        case .all: return true
        case .none: return false
        case .mission(let mission): return fact.session.flatMap { missions[$0] } == mission
        }
    }

    /// What every peer has said that there is to say: each node knows exactly what others hold.
    func whatIsNotAcknowledged() async -> String? {
        for node in nodes {
            guard let process = node.process, let replicator = process.replicator else {
                return "node \(node.number) does not run"
            }
            let believed = await replicator.acknowledged()
            let said = said[process.incarnation] ?? Holdings()
            guard believed.subtracting(said).isEmpty else {
                sim.fail("node \(node.number) believes what nobody said")
                return nil
            }
            var expected = Holdings()
            for other in nodes where other !== node && other.scope(of: node) != .nothing {
                guard let held = try? await other.process?.store?.holdings().holdings else { continue }
                expected.formUnion(held)
            }
            if believed != expected { return "node \(node.number) does not know what its peers hold" }
        }
        return nil
    }

    func note(_ change: (inout Figures) -> Void) { change(&figures) }
}

/// What one world took.
struct Figures: Sendable {
    var chunks = 0
    var requests = 0
    var mishaps = 0
    var starts = 0
    /// Bytes of chunks that were carried, and those that are held beyond their author at the end.
    var carried: Int64 = 0
    var needed: Int64 = 0
    /// From the beginning of the quiet until everything was everywhere.
    var catchUp = Duration.zero
    /// The longest time in which a node that was behind and connected got nothing.
    var stall = Duration.zero
}
