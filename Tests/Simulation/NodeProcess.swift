import Model
import Reactor
import Replication
import Storage

/// One process of a node: a real store and a real replicator, from start to end.
final class NodeProcess: @unchecked Sendable {
    let node: SimulatedNode
    let incarnation: Incarnation
    let disk: SimulatedDisk
    private(set) var store: Store?
    private(set) var replicator: Replicator?
    private(set) var recorder: SimulatedRecorder?
    private var root: Task<Void, Never>?
    private var services: Task<Void, Never>?
    private var isTold = false
    /// False from the moment of its death on, when its tasks wind up without any effect.
    var isAlive = true
    var isServing: Bool { isAlive && !isTold && replicator != nil }
    /// What it has said to hold.
    var announced = Holdings()

    private var sim: Simulator { node.sim }

    init(on node: SimulatedNode, incarnation: Incarnation) {
        self.node = node
        self.incarnation = incarnation
        disk = SimulatedDisk(node.sim)
        disk.atDeath = { [weak self] in
            // The disk is dead already: so is everything else.
            guard let self, isAlive else { return }
            self.node.die()
        }
    }

    func spawn(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        FaultPlan.$current.withValue(disk.plan()) { Task(executorPreference: node.loop) { await body() } }
    }

    func start() { root = spawn { await self.live() } }

    /// SIGTERM: it ends in order.
    func stop() {
        isTold = true
        services?.cancel()
    }

    /// SIGKILL: what is left of it in this program only has to go away.
    func kill() {
        stop()
        root?.cancel()
    }

    // MARK: Its life

    private func live() async {
        do {
            let store = try await open()
            self.store = store
            if !isTold {
                let services = spawn { await self.serve(store) }
                self.services = services
                if isTold { services.cancel() }
                await services.value
                if !isTold { sim.fail("node \(node.number): its services ended of themselves") }
            }
            if isAlive { try await store.close() }
        } catch {
            sim.trace.note(sim.now, "node \(node.number): \(error)")
        }
        isAlive = false
        store = nil
        replicator = nil
        recorder = nil
        services = nil
        node.ended(self)
    }

    private func open() async throws -> Store {
        let node = self.node
        while true {
            do {
                return try await Store.open(
                    node.path, node: node.id, incarnation: incarnation,
                    lanes: Store.Lanes(
                        commit: node.lanes[1].executor, admit: node.lanes[2].executor,
                        arrive: node.lanes[3].executor, scrub: node.lanes[4].executor),
                    view: .off, log: log, index: node.opensMeanwhile ? .meanwhile : .whole, now: { node.reading() })
            } catch {
                // An earlier process of this machine that winds up.
                guard case .inUse = error, !isTold else { throw error }
                try await sim.sleep(.milliseconds(50))
            }
        }
    }

    private var log: Log {
        let (sim, number) = (self.sim, node.number)
        guard sim.trace.write != nil else { return .silent }
        return Log(source: "node \(number)", level: .info, forJournal: true) { sim.trace.remark(sim.now, $0) }
    }

    private func serve(_ store: Store) async {
        let (node, sim) = (self.node, self.sim)
        let venue = Venue(
            executor: node.loop, now: { MonotonicTime(nanoseconds: sim.now) }, realtime: { node.reading().realtime },
            sleep: { try await sim.sleep($0) }, random: { Double.random(in: 0..<1, using: &sim.random) })
        let replicator = Replicator(
            store: store, dialing: Network.Dialer(network: node.network, process: self), follow: node.follow,
            pull: node.pull, venue: venue, log: log)
        await replicator.setEndpoints(node.peers)
        for other in node.network.nodes where other !== node { await replicator.sighted(other.sighting) }
        self.replicator = replicator
        await withDiscardingTaskGroup { group in
            group.addTask { await node.oracle.opened(self, store) }
            group.addTask { await replicator.run() }
            // Both end when they are cancelled.
            group.addTask { try? await store.keepIndex { try await sim.sleep($0) } }
            if node.scrubs { group.addTask { try? await store.scrub { try await sim.sleep($0) } } }
            if node.records {
                let recorder = SimulatedRecorder(store, self)
                self.recorder = recorder
                group.addTask { await recorder.run() }
            }
        }
    }

    // MARK: What it answers

    func working() throws -> (store: Store, replicator: Replicator) {
        guard isServing, let store, let replicator else { throw PeerLinkError.closed }
        return (store, replicator)
    }

    func greeting() async -> PeerGreeting {
        PeerGreeting(
            id: node.id, name: "node \(node.number)", role: node.role, version: "simulated", epoch: incarnation,
            head: await store?.head() ?? 0, capabilities: node.capabilities)
    }

    func have(author: NodeID?) async throws -> HaveAnswer {
        let (store, _) = try working()
        let (holdings, head) = try await store.holdings()
        node.oracle.announces(self, holdings)
        let asked = author.map { author in holdings.filtered { $0 == author } } ?? holdings
        return HaveAnswer(head: head, epoch: incarnation, holdings: asked)
    }

    func took(_ statement: HoldingsStatement, from client: NodeProcess) async throws -> Bool {
        let (_, replicator) = try working()
        return await replicator.peerStated(client.node.id, statement) == .needsWhole
    }

    func facts(in ranges: Holdings) async throws -> FactsAnswer {
        let (store, _) = try working()
        let (facts, more) = try await store.facts(in: ranges, byteLimit: node.factsBytes)
        for fact in facts { node.oracle.gives(self, fact.bytes) }
        return FactsAnswer(facts: facts.map(\.bytes), hasMore: more)
    }

    /// Until its task is cancelled, or the store is closed.
    func sendEvents(after seq: Int64?, author: NodeID?, _ send: @escaping (PeerEvent) -> Void) async {
        guard let store, isServing else { return }
        let sim = self.sim
        let head = await store.head()
        send(.hello(epoch: incarnation, head: head))
        await withDiscardingTaskGroup { group in
            let isQuick = node.capabilities.contains("heartbeat")
            let beat = Beat(isQuick ? Limits.linkHeartbeat : Limits.heartbeatInterval, send)
            group.addTask { await beat.go(sim) }
            group.addTask { await self.sendFacts(of: store, after: min(seq ?? head, head), author, beat) }
        }
    }

    private func sendFacts(of store: Store, after start: Int64, _ author: NodeID?, _ beat: Beat) async {
        var cursor = start
        do {
            for await _ in store.growth() {
                while true {
                    let facts = try await store.facts(after: cursor, limit: 64)
                    guard let last = facts.last else { break }
                    cursor = last.seq
                    for fact in facts where author == nil || fact.author == author {
                        node.oracle.gives(self, fact.bytes)
                        beat.send(.fact(seq: fact.seq, epoch: incarnation, kind: fact.kind, bytes: fact.bytes))
                    }
                }
            }
        } catch {
            // The stream ends, as a broken answer does.
            beat.isOver = true
        }
    }

    /// Signs of life between facts.
    private final class Beat: @unchecked Sendable {
        let send: (PeerEvent) -> Void
        var isOver = false
        private let interval: Duration

        init(_ interval: Duration, _ send: @escaping (PeerEvent) -> Void) {
            self.interval = interval
            self.send = send
        }

        func go(_ sim: Simulator) async {
            while !isOver {
                do { try await sim.sleep(interval) } catch { return }
                send(.heartbeat)
            }
        }
    }

    /// A chunk, piece by piece, as the way takes them.
    func send(_ transfer: Transfer, _ begin: (Int64) -> Void) async throws {
        let (store, _) = try working()
        let file = try await store.openChunk(transfer.id)
        let (link, weather) = (transfer.link, node.network.path(node.number, transfer.link.client.node.number).weather)
        begin(file.length)
        var position = transfer.offset
        let isCut = sim.chance(weather.cutting)
        while position < file.length, !transfer.isOver {
            try Task.checkCancellation()
            let isLast = isCut && sim.chance(0.5)
            var piece = try file.read(count: sim.pick([2000, 16_384, 65_536]), at: position)
            guard !piece.isEmpty else { throw PeerLinkError.closed }
            position += Int64(piece.count)
            if isLast { piece.removeLast(sim.number(0...piece.count - 1)) }
            if sim.chance(weather.corruption) {
                piece[sim.number(0...piece.count - 1)] ^= 1
                transfer.isCorrupt = true
            }
            link.deliver(piece, of: transfer)
            if isLast { break }
            try await sim.sleep(node.network.queue(from: node.number, to: link.client.node.number))
        }
        link.deliver(nil, of: transfer)
    }
}
