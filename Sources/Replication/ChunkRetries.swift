package import Model
package import Storage

/// Remembers which peers gave a chunk wrongly and when each may be asked again. Another peer may be asked at once; the
/// same one after a delay that doubles. One chunk's trouble is no other chunk's, and that of a wrong
/// fact is not that of the right one.
package struct ChunkRetries: Sendable {
    private struct Trouble {
        let name: FactName
        var peers: [NodeID: Failures]
        var last: MonotonicTime
    }

    private struct Failures {
        var count: Int
        var notBefore: MonotonicTime
    }

    private var troubles: [ChunkClaim: Trouble] = [:]

    package init() {}

    package var count: Int { troubles.count }

    /// `isForgiven`: the trouble was not the chunk's, or some of it was kept; a first time costs no delay. `jitter` is
    /// a fraction below 1.
    package mutating func failed(
        _ chunk: ChunkClaim, _ name: FactName, by peer: NodeID, isForgiven: Bool, jitter: Double, now: MonotonicTime
    ) {
        var trouble = troubles[chunk] ?? Trouble(name: name, peers: [:], last: now)
        if trouble.last.duration(to: now) > Limits.chunkRetryMemory { trouble.peers = [:] }
        let count = (trouble.peers[peer]?.count ?? 0) + 1
        let doublings = isForgiven ? count - 2 : count - 1
        let delay =
            doublings < 0
            ? .zero
            : min(Limits.chunkRetryDelay.upperBound, Limits.chunkRetryDelay.lowerBound * (1 << min(doublings, 8)))
        trouble.peers[peer] = Failures(count: count, notBefore: now.advanced(by: delay * (1 - jitter / 4)))
        trouble.last = now
        if troubles[chunk] == nil, troubles.count >= Limits.chunksInTrouble { forgetOldest() }
        troubles[chunk] = trouble
    }

    package mutating func succeeded(_ chunk: ChunkClaim) { troubles[chunk] = nil }

    package func mayAsk(_ peer: NodeID, for chunk: ChunkClaim, now: MonotonicTime) -> Bool {
        guard let failures = troubles[chunk]?.peers[peer] else { return true }
        return failures.notBefore <= now
    }

    /// Chunks in trouble that nobody may be asked for now, of those whom `holders` names for each.
    package func blocked(now: MonotonicTime, holders: (FactName) -> [NodeID]) -> Set<ChunkClaim> {
        var blocked: Set<ChunkClaim> = []
        for (chunk, trouble) in troubles {
            let open = holders(trouble.name).contains { (trouble.peers[$0]?.notBefore ?? now) <= now }
            if !open { blocked.insert(chunk) }
        }
        return blocked
    }

    /// Whether a delay ended after `then` and no later than `now`.
    package func becameDue(after then: MonotonicTime, now: MonotonicTime) -> Bool {
        troubles.values.contains { $0.peers.values.contains { $0.notBefore > then && $0.notBefore <= now } }
    }

    /// A quarter at once, so that a flood of trouble does not sort for each.
    private mutating func forgetOldest() {
        let times = troubles.values.map(\.last).sorted()
        let limit = times[times.count / 4]
        troubles = troubles.filter { $0.value.last > limit }
    }
}
