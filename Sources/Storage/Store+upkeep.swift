package import Model
internal import Reactor

/// The rest of recovery, and what keeps a store whole while it is open.
extension Store {
    /// Chunks that were open are sealed by the ordinary path, which needs no index.
    func sealRecovered(_ closed: [ClosedChunk]) async throws(StoreError) {
        guard !closed.isEmpty else { return }
        _ = try await seal(closed)
        log.notice("chunks that an earlier process was writing are sealed", ("chunks", closed.count))
    }

    /// The rest of recovery, which asks what the log has: begun seals are finished, gaps told, sessions that ended are
    /// closed.
    func finishRecovery() async throws(StoreError) {
        guard let recovered = unfinished.withLock({ $0 }), await catalogue.isComplete else { return }
        for lost in try await catalogue.finish(recovered.seals) {
            if lost.slot.author != node {
                // Of another node's chunk nothing is lost that a pull does not bring; a fact of this node's that never
                // was in the log is nobody's.
                if lost.name.author != node { _ = try await catalogue.receive([RecordedFact(parsing: lost.fact)]) }
            } else if case .chunk(let chunk)? = RecordedFact(parsing: lost.fact)?.fact.body {
                let gap = Gap(
                    stream: chunk.stream, reason: Gap.Reason.corrupt, from: chunk.first, to: chunk.last,
                    rowsLost: chunk.rows)
                try await record(.gap(gap), in: lost.slot.session)
            }
            // What is done is not done again when a later step fails and all of this is repeated.
            unfinished.withLock { $0?.seals[lost.name] = nil }
            try await journal.sealed([lost.name], slots: [lost.slot])
        }
        unfinished.withLock { $0?.seals = [:] }
        if recovered.mayBeSealed {
            var unsealed: [ClosedChunk] = []
            for chunk in recovered.closed {
                // Where the record of a seal is damaged, the log knows better what became of the chunk.
                if try await catalogue.isSealed(recovered.origins[chunk.slot] ?? chunk.slot) {
                    try await journal.discard(chunk)
                } else {
                    unsealed.append(chunk)
                }
            }
            await journal.trustClosed()
            try await sealRecovered(unsealed)
            unfinished.withLock { $0?.mayBeSealed = false }
        }
        try await catalogue.append(Array(recovered.facts.values).sorted { $0.fact.name < $1.fact.name })
        await journal.logged()
        await catalogue.settleCopies(journal.copySlots.all)
        // Those that recovery found: others are being recorded.
        for session in recovered.sessions.keys.sorted() {
            if try await catalogue.sessions(session).first?.end != nil { try await journal.forget(session) }
        }
        for (session, reason) in await journal.endingSessions() {
            if try await catalogue.sessions(session).first?.end != nil {
                try await journal.forget(session)
            } else {
                _ = try await endSession(session, reason: reason)
            }
        }
        try await endAbandoned()
        try await catalogue.showNewest()
        try await catalogue.removeHeldArrivals()
        unfinished.withLock { $0 = nil }
    }

    // MARK: Keeping it whole

    /// Brings the index up to the log where it is behind it or failed, for as long as the node runs. `pause` sleeps.
    package func keepIndex(_ pause: @Sendable (Duration) async throws -> Void) async throws {
        while true {
            // Each time: a pause that returns when it is cancelled must not make this turn without end.
            repeat { try Task.checkCancellation() } while await !catalogue.catchUp()
            do { try await finishRecovery() } catch {
                log.error("recovery could not be finished; it is tried again", ("reason", error))
            }
            try await pause(Limits.indexRetryInterval)
        }
    }

    /// Reads all that is held, again and again, at the pace of `Limits.scrubBytesPerSecond`, for as long as the node
    /// runs. `pause` sleeps.
    package func scrub(_ pause: @Sendable (Duration) async throws -> Void) async throws {
        await whenComplete()
        try await scrubber.run(pause)
    }

    /// Somebody found these damaged or gone: they are read before all others, and so is the log where it is damaged.
    package func suspect(_ chunks: [ChunkID], log isSuspect: Bool) async {
        for id in chunks { await scrubber.suspect(id) }
        if isSuspect { await scrubber.suspectLog() }
    }

    /// Reads all that is held once, as fast as the disk gives it; answers how many chunks were damaged or gone.
    @discardableResult
    package func scrubOnce() async throws(StoreError) -> Int { try await scrubber.runOnce() }

    /// Returns when the index covers the log for the first time.
    package func whenComplete() async {
        guard await !catalogue.isComplete else { return }
        for await _ in growth() { if await catalogue.isComplete { return } }
    }

    /// Sessions of this node that are open in the log and unknown to the journal: a start that failed half way, or a
    /// log that came back from a peer. Nothing will be added to them.
    private func endAbandoned() async throws(StoreError) {
        let known = Set(await journal.openSessions().map(\.id) + (await journal.endingSessions().keys))
        for summary in try await catalogue.unended(of: node) where !known.contains(summary.id) {
            let totals = Dictionary(uniqueKeysWithValues: summary.held.map { ($0.key.description, $0.value) })
            try await record(.end(SessionEnd(reason: SessionEnd.Reason.interrupted, streams: totals)), in: summary.id)
        }
    }
}
