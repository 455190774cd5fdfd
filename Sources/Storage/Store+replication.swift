package import Model
internal import Reactor

/// What comes from peers.
extension Store {
    /// Takes facts of a peer: new ones enter the log, chunk facts wait for their bytes, facts of this very process are
    /// refused.
    package func receive(_ facts: [[UInt8]]) async throws(StoreError) -> ReceiptReport {
        let report = try await unpaid { () async throws(StoreError) in try await catalogue.receive(facts) }
        if report.adopted > 0 { await catalogue.settleCopies(journal.copySlots.all) }
        return report
    }

    /// All that was heard of, chunk facts without bytes: what need not be asked for again.
    package func heard() async -> Holdings { await catalogue.heard }

    /// Chunks to be pulled, the newest first: heard of, not held, not removed on purpose, `mission` only where one is
    /// named.
    package func wanted(
        mission: String?, limit: Int, excluding: Set<ChunkID>
    ) async throws(StoreError) -> [WantedChunk] {
        try await catalogue.wanted(mission: mission, limit: limit, excluding: excluding)
    }

    /// Bytes of this chunk that an earlier pull or a live copy left, which a Range request may go on from. Not to be
    /// called while the copy is followed.
    package func beginPull(_ chunk: WantedChunk) async throws(StoreError) -> Int64 {
        try await unpaid { () async throws(StoreError) in
            try await catalogue.useCopy(for: chunk)
            return try await catalogue.beginPull(chunk)
        }
    }

    /// Appends to the chunk being pulled.
    package func appendPull(_ chunk: WantedChunk, _ bytes: [UInt8]) async throws(StoreError) {
        try await unpaid { () async throws(StoreError) in try await catalogue.appendPull(chunk, bytes) }
    }

    /// Verifies the pulled bytes and seals them. A wrong digest moves them to quarantine and throws `corrupt`.
    package func finishPull(_ chunk: WantedChunk) async throws(StoreError) {
        try await unpaid { () async throws(StoreError) in try await catalogue.finishPull(chunk) }
    }

    /// Leaves what was pulled for a later attempt.
    package func suspendPull(_ chunk: WantedChunk) async { await catalogue.suspendPull(chunk) }

    /// Verifies and seals whole small chunks that arrived in memory, with one sync of each directory; a failure
    /// concerns its chunk alone.
    package func admit(
        _ arrivals: [(chunk: WantedChunk, bytes: [UInt8])]
    ) async -> [Result<HeldChunk, StoreError>] {
        guard room.space?.level != .full else { return arrivals.map { _ in .failure(.outOfSpace(path: path)) } }
        let results = await catalogue.admit(await shelf.take(arrivals))
        if results.contains(where: { if case .failure(.outOfSpace) = $0 { true } else { false } }) { room.refused() }
        return results
    }
}
