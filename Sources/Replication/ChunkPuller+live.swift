package import Model
internal import Storage

/// Chunks that come by a tail while they grow.
extension ChunkPuller {
    /// These are followed by this tail, and are left alone; none of them when it ends.
    func setLive(_ slots: Set<ChunkSlot>, of tail: Int) {
        queue.setLive(slots, of: tail, now: venue.now())
        wakeAll()
    }

    /// They grew here.
    func noteLive(_ slots: Set<ChunkSlot>, _ bytes: Int, from peer: NodeID, by tail: Int) {
        queue.live.grew(slots, by: tail, now: venue.now())
        tallies[peer]?.received(bytes, now: venue.now())
    }

    /// A chunk that came by a tail is held.
    func noteSealed(_ fact: [UInt8], from peer: NodeID) {
        guard case .chunk(let chunk)? = RecordedFact(parsing: fact)?.fact.body else { return }
        tallies[peer]?.admitted(chunk.bytes, realtime: venue.realtime())
    }

    /// What came by a tail is not what its author sealed.
    func noteMismatch(_ slot: ChunkSlot, from peer: NodeID) {
        tallies[peer]?.count(.corruptChunk, "chunk \(slot.stream)/\(slot.index) is not what came while it grew")
    }
}

extension PullQueue {
    /// Those that are left to a tail are not asked for, and those that were are looked for again.
    package mutating func setLive(_ slots: Set<ChunkSlot>, of tail: Int, now: MonotonicTime) {
        live.set(slots, of: tail, now: now)
        var live = self.live
        ready.removeAll { live.holdsBack($0, now: now) }
        self.live = live
        scanSoon()
    }
}
