package import Model
package import Storage

/// Chunks that come by a tail while they grow: they are not pulled as well, for as long as the tail delivers.
package struct LiveSlots: Sendable {
    /// A slot as a chunk's fact names it, whoever wrote that.
    private struct Place: Hashable {
        let session: SessionID
        let stream: StreamName
        let index: Int64

        init(_ slot: ChunkSlot) { (session, stream, index) = (slot.session, slot.stream, slot.index) }
        init(_ chunk: WantedChunk) {
            (session, stream, index) = (chunk.session, chunk.fact.stream, chunk.fact.index)
        }
    }

    /// By tail: when each of its chunks last grew.
    private var tails: [Int: [Place: MonotonicTime]] = [:]
    /// Chunks that are sealed at their author's and left to a tail, and since when.
    private var held: [ChunkClaim: (place: Place, since: MonotonicTime)] = [:]

    package init() {}

    package var count: Int { tails.values.reduce(0) { $0 + $1.count } }

    /// These are followed by this tail, and no others any more.
    package mutating func set(_ slots: Set<ChunkSlot>, of tail: Int, now: MonotonicTime) {
        let before = tails[tail] ?? [:]
        let after = slots.map { (Place($0), before[Place($0)] ?? now) }
        tails[tail] = slots.isEmpty ? nil : Dictionary(uniqueKeysWithValues: after)
        held = held.filter { _, entry in tails.values.contains { $0[entry.place] != nil } }
    }

    package mutating func grew(_ slots: Set<ChunkSlot>, by tail: Int, now: MonotonicTime) {
        for slot in slots where tails[tail]?[Place(slot)] != nil { tails[tail]?[Place(slot)] = now }
    }

    /// Whether this chunk is left to a tail: one that goes on promising and does not deliver loses it.
    package mutating func holdsBack(_ chunk: WantedChunk, now: MonotonicTime) -> Bool {
        let place = Place(chunk)
        guard let grown = tails.values.compactMap({ $0[place] }).max() else { return false }
        let since = held[chunk.claim]?.since ?? now
        if held[chunk.claim] == nil {
            // Who cannot be remembered cannot be waited for.
            guard held.count < Limits.tailPositions else { return false }
            held[chunk.claim] = (place, now)
        }
        return now < Self.deadline(grown: grown, since: since)
    }

    /// A tail that delivers is waited for, and not for ever.
    private static func deadline(grown: MonotonicTime, since: MonotonicTime) -> MonotonicTime {
        min(max(grown, since).advanced(by: Limits.tailPatience), since.advanced(by: Limits.tailSealPatience))
    }

    /// What is held back at this moment.
    package func chunks(now: MonotonicTime) -> Set<ChunkClaim> { Set(held.keys.filter { isHeld($0, now: now) }) }

    private func isHeld(_ chunk: ChunkClaim, now: MonotonicTime) -> Bool {
        deadline(of: chunk).map { now < $0 } ?? false
    }

    private func deadline(of chunk: ChunkClaim) -> MonotonicTime? {
        guard let entry = held[chunk], let grown = tails.values.compactMap({ $0[entry.place] }).max() else {
            return nil
        }
        return Self.deadline(grown: grown, since: entry.since)
    }

    /// Whether the patience with a tail ended after `then` and no later than `now`.
    package func becameDue(after then: MonotonicTime, now: MonotonicTime) -> Bool {
        held.keys.contains { deadline(of: $0).map { $0 > then && $0 <= now } ?? false }
    }
}
