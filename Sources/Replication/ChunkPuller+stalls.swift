internal import Model
internal import Reactor

/// Since when a connected peer has brought nothing although it was to.
struct StallWatch: Sendable {
    private(set) var since: MonotonicTime
    init(since: MonotonicTime) { self.since = since }

    /// Bytes came, or none were to be expected.
    mutating func moved(_ now: MonotonicTime) { since = max(since, now) }
}

extension ChunkPuller {
    /// A peer that has what is wanted and brings nothing is left: the link is ended, and dialled anew. What keeps us
    /// from asking, or from taking what comes, is no stall of the peer's.
    func endStalls() async {
        let now = venue.now()
        // What waits for its turn under our own cap stands still for us.
        for (number, transfer) in transfers where transfer.turn.isAwaited { transfers[number]?.lastProgress = now }
        for (peer, attachment) in attachments {
            guard let reason = waiting(for: peer, now) else {
                stalls[peer]?.moved(now)
                continue
            }
            guard let since = stalls[peer]?.since, since.duration(to: now) >= Limits.stallTime else { continue }
            stalls[peer]?.moved(now)
            for number in transfers.keys where transfers[number]?.peer == peer { transfers[number]?.wasStalled = true }
            // Else each of them is counted when it ends.
            if !transfers.values.contains(where: { $0.peer == peer }) {
                count(.stalledChunk, of: peer, "stalled, waiting for \(reason)")
            }
            log.warning(
                "a peer brings nothing: it is connected anew", ("peer", peer.short), ("waiting_for", reason),
                ("for", since.duration(to: now)))
            await attachment.link.close()
        }
        await endStalledTransfers(now)
    }

    /// What is waited for from this peer; nil where nothing is, or something of our own is in the way.
    private func waiting(for peer: NodeID, _ now: MonotonicTime) -> String? {
        guard queue.pause(of: peer, now: now) == nil else { return nil }
        let own = transfers.values.filter { $0.peer == peer }
        if own.isEmpty { return queue.isIdleInVain(peer, now: now) ? "its turn to be asked" : nil }
        // Where one waits for our disk or for its turn, it is not the peer that stands still.
        guard own.allSatisfy({ !$0.isOurs && !$0.turn.isAwaited }) else { return nil }
        return own.map(\.what).sorted().joined(separator: ", ")
    }

    /// One chunk among others that come: it is asked for anew, of another peer where there is one.
    private func endStalledTransfers(_ now: MonotonicTime) async {
        for (number, transfer) in transfers where !transfer.wasStalled && !transfer.isOurs {
            guard transfer.lastProgress.duration(to: now) > Limits.chunkStallTime else { continue }
            transfers[number]?.wasStalled = true
            if let end = transfer.end { await end() } else { await attachments[transfer.peer]?.link.close() }
        }
    }
}
