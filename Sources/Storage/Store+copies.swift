package import Model

/// Live copies of other nodes' open chunks: `Docs/Storage.md`, "Live copies".
extension Store {
    /// All copies that are here; never this node's own open chunks.
    package func copies() async -> [CopyState] { await journal.copyStates() }

    /// Makes the pieces durable, all with one sync. A piece that cannot be taken (it does not join, its session is not
    /// known, a limit) is answered for its slot and concerns no other. What throws was not acknowledged and may be
    /// given again, whole. Where peers' data wait for room, so do these: `outOfSpace`.
    package func appendCopies(_ pieces: [CopyPiece]) async throws(StoreError) -> [ChunkSlot: StoreError] {
        var refused: [ChunkSlot: StoreError] = [:]
        let new = Set(pieces.map(\.slot)).filter { !journal.copySlots.contains($0) }
        for slot in new {
            refused[slot] = slot.author == node ? .ownSession(slot.session) : await catalogue.refusal(of: slot)
        }
        let taken = pieces.filter { refused[$0.slot] == nil }
        guard !taken.isEmpty else { return refused }
        let more = try await unpaid { () async throws(StoreError) in try await journal.appendCopies(taken) }
        // No write was refused: that there is little room is known.
        guard let more else { throw .outOfSpace(path: path) }
        refused.merge(more) { first, _ in first }
        // The chunk may have come meanwhile: who admitted it knew of no copy.
        for slot in try await catalogue.settleSealed(new.filter { refused[$0] == nil }) {
            refused[slot] = .sealedAlready(slot)
        }
        return refused
    }

    /// The slot's chunk was sealed elsewhere, by this fact: where the copy is that chunk, it is held when this returns.
    package func sealCopy(_ slot: ChunkSlot, fact: [UInt8]) async throws(StoreError) -> CopyOutcome {
        try await unpaid { () async throws(StoreError) in try await catalogue.sealCopy(slot, fact) }
    }

    /// Keeps a copy in quarantine that has what nobody else has; nothing happens where there is none.
    package func dropCopy(_ slot: ChunkSlot) async throws(StoreError) {
        guard let copy = try await journal.leave(slot) else { return }
        try await catalogue.setAside(copy, as: "surplus")
    }

    /// Ends another node's session that its author does not: each copy is sealed up to its last whole row, by facts of
    /// this node, and so is the session's end. What the author says later outranks them.
    package func closeSession(_ id: SessionID) async throws(StoreError) -> ClosedSession {
        let before = try await session(id)
        guard before.author != node else { throw .ownSession(id) }
        var closed: [ClosedChunk] = []
        for slot in journal.copySlots.all.filter({ $0.session == id }).sorted() {
            guard let copy = try await journal.leave(slot),
                let rows = try await catalogue.wholeRows(of: copy)
            else { continue }
            closed.append(rows)
        }
        let sealed = try await seal(closed)
        try await catalogue.adoptHeard(sealed)
        let after = try await session(id)
        let totals = Dictionary(uniqueKeysWithValues: after.held.map { ($0.key.description, $0.value) })
        let end = SessionEnd(reason: SessionEnd.Reason.closedByPeer, streams: totals)
        // Its author's own end, and the same word of a peer, say all there is to say.
        if let known = after.end, known == end || known.reason != SessionEnd.Reason.closedByPeer {
            return ClosedSession(sealed: sealed, end: known)
        }
        try await record(.end(end), in: id)
        await refreshView(.all)
        return ClosedSession(sealed: sealed, end: end)
    }
}
