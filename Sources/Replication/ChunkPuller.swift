internal import Model
internal import Reactor
internal import Storage

/// Pulls chunks from all connected peers: asks as the queue decides, receives, and hands to the store in groups, so
/// that one group is made durable while the next arrives. Owns the transfers that are under way.
actor ChunkPuller {
    let store: Store
    let venue: Venue
    let bell: ChangeBell
    let log: Log
    var queue: PullQueue
    var arrivals: [Arrival] = []
    /// Requests under way, by number.
    var transfers: [Int: Transfer] = [:]
    var transferCount = 0
    /// Bytes of large chunks came since they were last synced.
    var isStreaming = false
    /// Somebody waits for such bytes.
    var arePiecesAwaited = false

    private(set) var attachments: [NodeID: Attachment] = [:]
    private var attachmentCount = 0
    var stalls: [NodeID: StallWatch] = [:]
    var tallies: [NodeID: PullTally] = [:]
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private(set) var isEnding = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe venue.executor.asUnownedSerialExecutor() }

    /// A peer's link for as long as it stands.
    struct Attachment: Sendable {
        let peer: NodeID
        let number: Int
        let link: any PeerLink
    }

    /// A chunk that has come, on its way to the disk's syncs.
    struct Arrival {
        let peer: NodeID
        let content: ChunkArrival
        var chunk: WantedChunk { content.chunk }
    }

    init(store: Store, policy: PullPolicy, venue: Venue, bell: ChangeBell, log: Log) {
        self.store = store
        self.venue = venue
        self.bell = bell
        self.log = log
        queue = PullQueue(node: store.node, policy: policy)
        _ = queue.setSpace(store.health.space)
    }

    /// Makes durable what arrives and notices what stands still; until its task is cancelled, which ends all work of
    /// this actor.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepTime() }
            // Two, so that one group is digested while another is synced.
            for _ in 0..<2 { group.addTask { await self.admitArrivals() } }
            group.addTask { await self.synchronizePieces() }
        }
    }

    private func keepTime() async {
        do {
            while true {
                try await venue.sleep(.seconds(1))
                let isRoom = queue.setSpace(store.health.space)
                // What changed between a look and the wait for a change is seen a second later.
                if queue.tick(now: venue.now()) || isRoom { wakeAll() } else { wakeWaiters() }
                await endStalls()
            }
        } catch {
            isEnding = true
            wakeAll()
        }
    }

    // MARK: Peers come and go

    func attach(
        _ peer: NodeID, _ link: any PeerLink, role: Role? = nil, capabilities: Set<String> = []
    ) -> Attachment {
        attachmentCount += 1
        queue.introduce(peer, role: role, bundles: capabilities.contains("bundle"))
        stalls[peer] = StallWatch(since: venue.now())
        let attachment = Attachment(peer: peer, number: attachmentCount, link: link)
        attachments[peer] = attachment
        if tallies.count >= Limits.peers { tallies = tallies.filter { attachments[$0.key] != nil } }
        if tallies[peer] == nil { tallies[peer] = PullTally() }
        queue.setHoldings(Holdings(), of: peer)
        return attachment
    }

    /// The peer's link has ended: its workers do too.
    func detach(_ attachment: Attachment) {
        guard isAttached(attachment) else { return }
        attachments[attachment.peer] = nil
        stalls[attachment.peer] = nil
        queue.forget(attachment.peer)
        tallies[attachment.peer]?.behindSince = nil
        // What it has now is not known until it is compared anew.
        tallies[attachment.peer]?.isCompared = false
        wakeAll()
    }

    private func isAttached(_ attachment: Attachment) -> Bool {
        !isEnding && attachments[attachment.peer]?.number == attachment.number
    }

    /// All that the peer holds, as it just said.
    func setHoldings(_ holdings: Holdings, of attachment: Attachment) {
        guard isAttached(attachment) else { return }
        queue.setHoldings(holdings, of: attachment.peer)
        tallies[attachment.peer]?.isCompared = true
        wakeAll()
    }

    /// Facts that entered the peer's log.
    func add(_ names: [FactName], to attachment: Attachment) {
        guard isAttached(attachment) else { return }
        queue.add(names, to: attachment.peer)
        wakeAll()
    }

    /// Something was heard of, or somebody wishes that everything be looked at again.
    func wake() {
        queue.scanSoon()
        wakeAll()
    }

    func setPolicy(_ policy: PullPolicy) {
        queue.setPolicy(policy)
        wakeAll()
    }

    // MARK: Work

    /// Pulls one chunk after another over this link; returns when the link is detached.
    func work(_ attachment: Attachment) async {
        while let chunks = await nextChunks(for: attachment) {
            if chunks.count == 1 {
                await pull(chunks[0], through: attachment)
            } else {
                await pullBundle(chunks, through: attachment)
            }
        }
    }

    private func nextChunks(for attachment: Attachment) async -> [WantedChunk]? {
        while isAttached(attachment) {
            switch queue.next(for: attachment.peer, now: venue.now()) {
            case .pull(let chunk): return [chunk]
            case .bundle(let chunks): return chunks
            case .scan(let request): await look(request)
            case .wait: await change()
            }
        }
        return nil
    }

    private func look(_ request: PullQueue.ScanRequest) async {
        do {
            let missing = try await missingHere()
            let (found, isPartial) = missing.isEmpty ? ([], false) : try await wanted(request, missing: missing)
            queue.endScan(request, found: found, isPartial: isPartial, missing: missing, now: venue.now())
        } catch {
            log.error("cannot look up what is wanted", ("error", error))
            queue.scanFailed(now: venue.now())
        }
        for peer in attachments.keys {
            let since = queue.usefulPeers.contains(peer) ? tallies[peer]?.behindSince ?? venue.now() : nil
            tallies[peer]?.behindSince = since
        }
        wakeAll()
    }

    /// Chunk facts that were heard of and whose bytes are not here.
    private func missingHere() async throws(StoreError) -> Holdings {
        let heard = await store.heard()
        return heard.subtracting(try await store.holdings().holdings)
    }

    private func wanted(
        _ request: PullQueue.ScanRequest, missing: Holdings
    ) async throws(StoreError) -> (found: [WantedChunk], isPartial: Bool) {
        var found: [WantedChunk] = []
        var isPartial = false
        let own = store.node
        let ownIsMissing = missing.authors[own] != nil
        let missions: [String?] =
            switch request.policy {
            case .all: [nil]
            case .none: ownIsMissing ? [nil] : []
            case .mission(let mission): ownIsMissing ? [mission, nil] : [mission]
            }
        for mission in missions {
            let part = try await store.wanted(
                mission: mission, limit: request.limit, excluding: request.excluding.union(found.map(\.claim)))
            isPartial = isPartial || part.count >= request.limit
            found += part
        }
        return (found, isPartial)
    }

    /// What became of a chunk; whoever waits is woken by the caller, once for many.
    func settle(_ chunk: WantedChunk, from peer: NodeID, _ outcome: PullQueue.Outcome, reason: String = "") {
        queue.settled(chunk, outcome, jitter: venue.random(), now: venue.now())
        switch outcome {
        case .admitted: tallies[peer]?.admitted(chunk.fact.bytes, realtime: venue.realtime())
        case .failed(let fault, _):
            tallies[peer]?.count(fault, "chunk \(chunk.fact.sha256): \(reason)")
            log.warning(
                "a chunk did not come as it should; it is asked for again", ("chunk", chunk.fact.sha256),
                ("peer", peer.short), ("fault", fault.rawValue), ("reason", reason))
        case .interrupted: break
        case .storageFailed:
            tallies[peer]?.count(.storage, reason)
            log.error("a pulled chunk cannot be stored", ("chunk", chunk.fact.sha256), ("reason", reason))
        }
    }

    func count(_ fault: PeerFault, of peer: NodeID, _ reason: String) { tallies[peer]?.count(fault, reason) }
    func noteReceived(_ bytes: Int, from peer: NodeID) { tallies[peer]?.received(bytes, now: venue.now()) }

    // MARK: Waiting

    /// Returns after the next change of anything that this actor knows.
    func change() async {
        await withCheckedContinuation { waiter in
            // The end may have come on the way here, and nobody wakes after it.
            if isEnding { waiter.resume() } else { waiters.append(waiter) }
        }
    }

    func wakeAll() {
        bell.ring()
        wakeWaiters()
    }

    private func wakeWaiters() {
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.resume() }
    }

    // MARK: Reports

    func tally(of peer: NodeID) -> PullTally? { tallies[peer] }
    func pause(of peer: NodeID) -> String? { queue.pause(of: peer, now: venue.now()) }

    /// Returns when the disk has room for what peers have, or something else has changed meanwhile.
    func hasRoom() async -> Bool {
        if !queue.hasRoom { await change() }
        return queue.hasRoom
    }

    /// What each connected peer has, that is wanted, and that is not here; nothing of those that are not compared.
    func backlogs() async throws(StoreError) -> [NodeID: PeerReport.Backlog] {
        // Those of this moment: what one has that is compared meanwhile is not among what is looked up now.
        let compared = attachments.filter { tallies[$0.key]?.isCompared == true }
        guard !compared.isEmpty else { return [:] }
        let missing = try await missingHere()
        guard !missing.isEmpty else { return compared.mapValues { _ in PeerReport.Backlog() } }
        let request = PullQueue.ScanRequest(
            policy: queue.policy, limit: Limits.deepWantedScan, excluding: [], searchedFor: nil)
        let (found, isPartial) = try await wanted(request, missing: missing)
        var backlogs: [NodeID: PeerReport.Backlog] = [:]
        for (peer, attachment) in compared where isAttached(attachment) {
            guard let holdings = queue.holdings(of: peer) else { continue }
            let open = found.filter { holdings.contains($0.name) && queue.policy.wants($0, for: store.node) }
            var backlog = PeerReport.Backlog(
                chunks: Int64(open.count), bytes: open.reduce(0) { $0 + $1.fact.bytes })
            if isPartial {
                let all = max(backlog.chunks, holdings.intersection(missing).count)
                if backlog.chunks > 0 { backlog.bytes = backlog.bytes / backlog.chunks * all }
                backlog.chunks = all
                backlog.isEstimate = true
            }
            backlogs[peer] = backlog
        }
        return backlogs
    }
}
