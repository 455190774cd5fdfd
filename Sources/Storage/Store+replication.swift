package import Model
internal import Reactor

/// What comes from peers.
extension Store {
    /// Takes facts of a peer: new ones enter the log, chunk facts wait for their bytes, facts of this very process are
    /// refused.
    package func receive(_ facts: [[UInt8]]) async throws(StoreError) -> ReceiptReport {
        let parsed = await parser.parse(facts)
        let report = try await unpaid { () async throws(StoreError) in try await catalogue.receive(parsed) }
        if report.adopted > 0 { await catalogue.settleCopies(journal.copySlots.all) }
        return report
    }

    /// All that was heard of, chunk facts without bytes: what need not be asked for again.
    package func heard() async -> Holdings { await catalogue.heard }

    /// Chunks to be pulled, the newest first: heard of, not held, not removed on purpose, `mission` only where one is
    /// named.
    package func wanted(
        mission: String?, limit: Int, excluding: Set<ChunkClaim>
    ) async throws(StoreError) -> [WantedChunk] {
        var found: [WantedChunk] = []
        var seen = excluding
        while true {
            let page = try await catalogue.wanted(mission: mission, limit: limit - found.count, excluding: seen)
            found += await parser.chunks(page.rows)
            guard page.isCut, found.count < limit else { return found }
            seen.formUnion(page.rows.map(\.claim))
        }
    }

    // MARK: Bytes

    /// Bytes of this chunk that an earlier pull left and that have their checksums, or that a live copy left, which a
    /// Range request may go on from. Not to be called while the copy is followed.
    package func beginPull(_ chunk: WantedChunk) async throws(StoreError) -> Int64 {
        try await unpaid { () async throws(StoreError) in
            try await catalogue.useCopy(for: chunk)
            return try await incoming.begin(chunk)
        }
    }

    /// Appends to the chunk being pulled, of which `offset` bytes are here.
    package func appendPull(_ chunk: WantedChunk, _ bytes: [UInt8], at offset: Int64) async throws(StoreError) {
        try await unpaid { () async throws(StoreError) in try await incoming.append(chunk, bytes, at: offset) }
    }

    /// Leaves what was pulled for a later attempt.
    package func suspendPull(_ chunk: WantedChunk) async throws(StoreError) { try await incoming.suspend(chunk) }

    /// Makes durable what has come of chunks on their way, so that a power cut costs no more than what comes meanwhile.
    /// A file whose sync failed before is passed over: it is written anew when it is whole.
    package func synchronizePulls() async throws(StoreError) {
        let files = await incoming.dirt()
        do throws(SyscallError) { try await incomingSync.synchronize(files) } catch {
            throw DataDirectory.explain(error, path: path)
        }
    }

    /// Verifies and seals chunks that have arrived, with few syncs for all of them; a failure concerns its chunk alone.
    /// A wrong digest moves the bytes to quarantine and answers `corrupt`.
    package func admit(_ arrivals: [ChunkArrival]) async -> [Result<HeldChunk, StoreError>] {
        guard room.space?.level != .full else { return arrivals.map { _ in .failure(.outOfSpace(path: path)) } }
        let taken = await incoming.take(arrivals)
        let results = await catalogue.admit(taken)
        await incoming.left(taken)
        if results.contains(where: { if case .failure(.outOfSpace) = $0 { true } else { false } }) { room.refused() }
        let over = zip(arrivals, results).filter { arrival, result in
            switch result {
            case .success, .failure(.corrupt): arrival.bytes == nil
            case .failure: false
            }
        }
        let wrong = zip(arrivals, results).filter { arrival, result in
            if case .failure(.corrupt) = result { arrival.bytes == nil } else { false }
        }
        await catalogue.distrustCopies(for: wrong.map(\.0.chunk))
        if !over.isEmpty { await incoming.forget(over.map(\.0.chunk.fact.sha256)) }
        return results
    }

    /// The same for whole chunks in memory.
    package func admit(
        _ arrivals: [(chunk: WantedChunk, bytes: [UInt8])]
    ) async -> [Result<HeldChunk, StoreError>] {
        await admit(arrivals.map { ChunkArrival(chunk: $0.chunk, bytes: $0.bytes) })
    }

    /// The same for one that came in pieces.
    package func finishPull(_ chunk: WantedChunk) async throws(StoreError) {
        for result in await admit([ChunkArrival(chunk: chunk, bytes: nil)]) { _ = try result.get() }
    }
}

/// A chunk of which every byte has come.
package struct ChunkArrival: Sendable {
    package let chunk: WantedChunk
    /// nil where they came in pieces and are in the store already.
    package let bytes: [UInt8]?

    package init(chunk: WantedChunk, bytes: [UInt8]?) {
        self.chunk = chunk
        self.bytes = bytes
    }
}
