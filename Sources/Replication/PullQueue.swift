package import Model
package import Storage

/// Decides which chunk to ask which peer for. What to pull is always what was heard of, is wanted, is held by a
/// connected peer and is not here: it is looked up anew in the store whenever one of these may have changed, the newest
/// first, and no position is ever remembered. A chunk is asked of one peer at a time, and all chunks on their way fit a
/// fixed amount of memory.
package struct PullQueue: Sendable {
    let node: NodeID
    var policy: PullPolicy

    /// What each connected peer holds.
    var holders: [NodeID: Holdings] = [:]
    var speeds: [NodeID: PeerSpeed] = [:]
    var taken: [ChunkID: Taken] = [:]
    private var requests = PullRequests()
    private var reserved: Int64 = 0
    var retries = ChunkRetries()
    /// What tails bring.
    var live = LiveSlots()

    /// Wanted, held by a peer and not taken; the newest last, where it is cheap to remove.
    var ready: [WantedChunk] = []
    var scan = Scan.due
    /// The last look into the store ended before its end.
    var isMoreWanted = false
    /// Peers that hold anything of what is missing here, as of the last look.
    var usefulPeers: Set<NodeID> = []
    /// The search behind chunks that nobody who is there can give.
    var search: Search?
    var nextSearch: [NodeID: MonotonicTime] = [:]

    /// As last measured; nil where no room is kept.
    private var space: DiskSpace?
    /// What may still be pulled before the disk is as full as it may become. Each chunk that is taken is counted off
    /// at once, whenever its bytes come.
    private var room: Int64 = .max
    /// No chunk had enough of it: it goes on when there is a little more than enough.
    private var isHeld = false
    private var pausedUntil: MonotonicTime?
    private var storageFailures = 0
    private var lastTick: MonotonicTime?

    struct Taken {
        let peer: NodeID
        let request: Int
        let reserved: Int64
        /// Of the disk.
        let bytes: Int64
        var isArrived = false
    }

    package enum Choice: Hashable, Sendable {
        case pull(WantedChunk)
        /// Small ones, with one request.
        case bundle([WantedChunk])
        /// Look into the store first.
        case scan(ScanRequest)
        case wait
    }

    package enum Outcome: Hashable, Sendable {
        case admitted
        /// The peer gave it wrongly or not at all; whether what had come was kept.
        case failed(PeerFault, keptSome: Bool = false)
        /// The link ended meanwhile; whether what had come was kept.
        case interrupted(keptSome: Bool)
        /// Our own disk would not take it.
        case storageFailed
    }

    package init(node: NodeID, policy: PullPolicy) {
        self.node = node
        self.policy = policy
    }

    /// Chunks asked for and not yet settled.
    package var takenCount: Int { taken.count }
    package var reservedBytes: Int64 { reserved }

    // MARK: What is known

    package mutating func setPolicy(_ new: PullPolicy) {
        policy = new
        ready = []
        scanSoon()
    }

    package mutating func setHoldings(_ holdings: Holdings, of peer: NodeID) {
        holders[peer] = holdings
        dropUnheld()
        scanSoon()
    }

    package mutating func add(_ names: [FactName], to peer: NodeID) {
        guard holders[peer] != nil, !names.isEmpty else { return }
        for name in names { holders[peer]?.insert(name) }
        scanSoon()
    }

    package func holdings(of peer: NodeID) -> Holdings? { holders[peer] }

    /// Who the peer is, before its holdings are set.
    package mutating func introduce(_ peer: NodeID, role: Role?, bundles: Bool) {
        // What was measured of it on an earlier link says the most of what is to be expected.
        speeds[peer, default: PeerSpeed()].role = role
        speeds[peer]?.takesBundles = bundles
        if speeds.count > Limits.peers { speeds = speeds.filter { $0.key == peer || holders[$0.key] != nil } }
    }

    /// How long the peer took to bring so many bytes of chunks of one kind.
    package mutating func measured(_ peer: NodeID, _ bytes: Int64, areSmall: Bool, in time: Duration) {
        speeds[peer, default: PeerSpeed()].add(bytes, areSmall: areSmall, in: time)
    }

    package mutating func forget(_ peer: NodeID) {
        holders[peer] = nil
        nextSearch[peer] = nil
        if search?.peer == peer { search = nil }
        dropUnheld()
    }

    func holdersOf(_ name: FactName) -> [NodeID] { holders.compactMap { $0.value.contains(name) ? $0.key : nil } }

    private mutating func dropUnheld() {
        let holders = self.holders
        ready.removeAll { chunk in !holders.values.contains { $0.contains(chunk.name) } }
    }

    // MARK: What to do

    package mutating func next(for peer: NodeID, now: MonotonicTime) -> Choice {
        let inFlight = requests.count(of: peer)
        guard let holdings = holders[peer], inFlight < Limits.chunksInFlight + Limits.newsInFlight else { return .wait }
        if let pausedUntil, now < pausedUntil { return .wait }
        guard taken.count < Limits.pullChunks else { return .wait }
        if case .due = scan { return .scan(beginScan(now: now)) }
        guard usefulPeers.contains(peer) else { return .wait }
        // The last place is for what is newer than all that is under way.
        let newest = inFlight < Limits.chunksInFlight ? Int64.min : requests.newest(of: peer)
        var (suits, left) = (0, 0)
        var isTooLarge = false
        var chosen: [Int] = []
        var bytes: Int64 = 0
        for position in ready.indices.reversed() {
            let chunk = ready[position]
            guard holdings.contains(chunk.name), mayTake(chunk, for: peer, now: now),
                !chosen.contains(where: { ready[$0].fact.sha256 == chunk.fact.sha256 })
            else { continue }
            suits += 1
            // They are in this order.
            guard newest == .min || chunk.fact.last.realtime > newest else { break }
            if isLeftToQuicker(chunk, than: peer, now: now) {
                left += 1
                if left < Limits.quickerLook { continue } else { break }
            }
            guard fits(chunk, behind: bytes) else {
                isTooLarge = true
                continue
            }
            guard chosen.isEmpty || mayJoin(chunk, chosen.count, bytes, for: peer) else { break }
            chosen.append(position)
            bytes += chunk.fact.bytes
            guard isSmall(chunk), speeds[peer]?.takesBundles == true else { break }
        }
        if suits == 0 { return inFlight < Limits.chunksInFlight ? lookFurther(for: peer, now: now) : .wait }
        guard let first = chosen.first else {
            isHeld = isHeld || isTooLarge
            return .wait
        }
        let need = Self.memory(for: ready[first])
        // What is new and small has its place here as well.
        let isNews = newest != .min && isSmall(ready[first])
        guard reserved == 0 || isNews || reserved + need <= Limits.pullMemoryBytes else { return .wait }
        return take(chosen, by: peer)
    }

    /// By any fact that names its bytes it is under way once at a time.
    private func mayTake(_ chunk: WantedChunk, for peer: NodeID, now: MonotonicTime) -> Bool {
        taken[chunk.fact.sha256] == nil && retries.mayAsk(peer, for: chunk.claim, now: now)
    }

    /// `positions` from the newest on.
    private mutating func take(_ positions: [Int], by peer: NodeID) -> Choice {
        let chunks = positions.map { ready[$0] }
        for position in positions { ready.remove(at: position) }
        let request = requests.begin(with: peer, chunks)
        for chunk in chunks {
            let need = Self.memory(for: chunk)
            taken[chunk.fact.sha256] = Taken(peer: peer, request: request, reserved: need, bytes: chunk.fact.bytes)
            room -= chunk.fact.bytes
            reserved += need
        }
        isHeld = false
        return chunks.count == 1 ? .pull(chunks[0]) : .bundle(chunks)
    }

    private func isSmall(_ chunk: WantedChunk) -> Bool { chunk.fact.bytes <= Limits.collectedChunkBytes }

    /// Whether it goes into the same request as those that were chosen before it.
    private func mayJoin(_ chunk: WantedChunk, _ count: Int, _ bytes: Int64, for peer: NodeID) -> Bool {
        isSmall(chunk) && count < Limits.bundleChunks && bytes + chunk.fact.bytes <= Limits.bundleBytes
            && taken.count + count < Limits.pullChunks
            && reserved + bytes + Self.memory(for: chunk) <= Limits.pullMemoryBytes
    }

    /// Another holder brings it sooner and has a place free: it asks for it at once.
    private func isLeftToQuicker(_ chunk: WantedChunk, than peer: NodeID, now: MonotonicTime) -> Bool {
        guard holders.count > 1 else { return false }
        let speed = speeds[peer] ?? PeerSpeed()
        return holders.contains { other, holdings in
            other != peer && requests.count(of: other) < Limits.chunksInFlight && usefulPeers.contains(other)
                && (speeds[other] ?? PeerSpeed()).isQuicker(than: speed, forSmall: isSmall(chunk))
                && holdings.contains(chunk.name) && retries.mayAsk(other, for: chunk.claim, now: now)
        }
    }

    /// Whether this peer could be asked for something now and is not: nothing is under way with it although it has a
    /// chunk that is to be pulled, and nothing holds that up.
    package func isIdleInVain(_ peer: NodeID, now: MonotonicTime) -> Bool {
        guard let holdings = holders[peer], usefulPeers.contains(peer), requests.count(of: peer) == 0,
            taken.count < Limits.pullChunks, hasRoom, !isHeld, pausedUntil.map({ $0 <= now }) ?? true
        else { return false }
        return ready.reversed().prefix(Limits.quickerLook).contains { chunk in
            holdings.contains(chunk.name) && mayTake(chunk, for: peer, now: now)
                && !isLeftToQuicker(chunk, than: peer, now: now) && fits(chunk, behind: 0)
                && reserved + Self.memory(for: chunk) <= Limits.pullMemoryBytes
        }
    }

    // MARK: Room on the disk

    /// Takes a new measurement; whether something may have become possible by it.
    package mutating func setSpace(_ new: DiskSpace?) -> Bool {
        let hadRoom = hasRoom
        space = new
        // What is under way may be on the disk already, in part: counted twice, it errs on the safe side. The slack is
        // for what comes with chunks, their facts and the index.
        room =
            new.map { space in
                taken.values.reduce(space.free - space.minFree - Limits.freeSpaceSlack) { $0 - $1.bytes }
            } ?? .max
        return isHeld || hasRoom != hadRoom
    }

    /// Below what is to be kept free nothing more is taken from peers: no chunk, no piece of one, and no fact.
    package var hasRoom: Bool { space.map { $0.level == .ample } ?? true }

    /// `bytes` of the same request come before it.
    private func fits(_ chunk: WantedChunk, behind bytes: Int64) -> Bool {
        guard let space else { return true }
        return hasRoom && bytes + chunk.fact.bytes + (isHeld ? space.slack : 0) <= room
    }

    /// Why nothing is asked of this peer although it has what is missing here; nil where there is no such reason.
    package func pause(of peer: NodeID, now: MonotonicTime) -> String? {
        // Without room not even its facts are taken: nobody knows what it has.
        guard holders[peer] != nil, !hasRoom || usefulPeers.contains(peer) else { return nil }
        if let space, !hasRoom || (isHeld && taken.isEmpty) {
            let (left, kept) = (Magnitude.bytes(max(0, space.free)), Magnitude.bytes(space.minFree))
            return "the disk has \(left) left, and \(kept) are kept free"
        }
        return pausedUntil.map { now < $0 } ?? false ? "our own disk failed; it is tried again soon" : nil
    }

    private static func memory(for chunk: WantedChunk) -> Int64 {
        max(1, min(chunk.fact.bytes, Limits.streamedChunkReserve))
    }

    // MARK: What became of it

    /// The bytes are here; the peer may be asked for the next chunk while these wait for the disk.
    package mutating func arrived(_ chunk: ChunkID) {
        guard let entry = taken[chunk], !entry.isArrived else { return }
        taken[chunk]?.isArrived = true
        requests.release(entry.request)
    }

    /// `jitter` is a fraction below 1.
    package mutating func settled(_ chunk: WantedChunk, _ outcome: Outcome, jitter: Double, now: MonotonicTime) {
        let id = chunk.fact.sha256
        guard let entry = taken.removeValue(forKey: id) else { return }
        reserved -= entry.reserved
        if !entry.isArrived { requests.release(entry.request) }
        switch outcome {
        case .admitted:
            retries.succeeded(chunk.claim)
            storageFailures = 0
            noteSettled(id)
        case .failed(_, keptSome: true), .interrupted(keptSome: true):
            retries.succeeded(chunk.claim)
            scanSoon()
        case .failed(.cutOff, keptSome: false), .interrupted(keptSome: false):
            // As a rule it was the link: when it is back, this must go on at once.
            retries.failed(chunk.claim, chunk.name, by: entry.peer, isForgiven: true, jitter: jitter, now: now)
            scanSoon()
        case .failed:
            retries.failed(chunk.claim, chunk.name, by: entry.peer, isForgiven: false, jitter: jitter, now: now)
            scanSoon()
        case .storageFailed:
            scanSoon()
            pause(now: now)
        }
        // The last one: a look confirms that nothing is left, or finds what came meanwhile.
        if ready.isEmpty, taken.isEmpty { scanSoon() }
    }

    /// A whole group fails together: that counts once.
    mutating func pause(now: MonotonicTime) {
        if let pausedUntil, now < pausedUntil { return }
        let delay = Limits.storagePause.lowerBound * (1 << min(storageFailures, 8))
        pausedUntil = now.advanced(by: min(Limits.storagePause.upperBound, delay))
        storageFailures += 1
    }

    /// Whether time alone made something possible since the last call: a delay or a pause is over.
    package mutating func tick(now: MonotonicTime) -> Bool {
        let then = lastTick ?? now.advanced(by: .seconds(-1))
        lastTick = now
        var isNews = false
        if let pausedUntil, pausedUntil <= now {
            self.pausedUntil = nil
            isNews = true
        }
        if retries.becameDue(after: then, now: now) || live.becameDue(after: then, now: now) {
            scanSoon()
            isNews = true
        }
        if isMoreWanted, nextSearch.values.contains(where: { $0 > then && $0 <= now }) { isNews = true }
        return isNews
    }
}
