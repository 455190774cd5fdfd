package import Model
package import Reactor

/// A node's data directory: the only writer of it, and the one path of bytes to disk. Its work is done by actors on the
/// disk lanes; this is their front. Formats: `Docs/Storage.md`.
package final class Store: Sendable {
    /// The threads that may block: commits; admitting, the log and the index; reading and scrubbing.
    package struct Lanes: Sendable {
        package let commit: DiskLane
        package let admit: DiskLane
        package let scrub: DiskLane

        package init() {
            commit = DiskLane(name: "commit")
            admit = DiskLane(name: "admit")
            scrub = DiskLane(name: "scrub")
        }

        package func stop() {
            commit.stop()
            admit.stop()
            scrub.stop()
        }
    }

    package let node: NodeID
    package let incarnation: Incarnation
    package let path: String
    private let directory: DataDirectory
    private let journal: Journal
    let catalogue: Catalogue
    private let shelf: ChunkShelf
    private let scrubber: Scrubber
    private let bell: Bell
    private let log: Log
    private let mint: FactMint
    /// What recovery found and the index has to be asked about first; nil when that is done.
    private let unfinished: Locked<RecoveredJournal?>
    /// Facts of closed chunks whose seal has not succeeded yet: a repetition uses the same name.
    private let unsealed = Locked<[ChunkSlot: RecordedFact]>([:])
    /// Ends that are not through with yet, likewise.
    private let endings = Locked<[SessionID: RecordedFact]>([:])

    private init(
        mint: FactMint, directory: DataDirectory, journal: Journal, catalogue: Catalogue, shelf: ChunkShelf,
        scrubber: Scrubber, bell: Bell, log: Log, recovered: RecoveredJournal
    ) {
        node = mint.node
        incarnation = mint.incarnation
        self.mint = mint
        self.directory = directory
        self.journal = journal
        self.catalogue = catalogue
        self.shelf = shelf
        self.scrubber = scrubber
        self.bell = bell
        self.log = log
        unfinished = Locked(recovered)
        path = directory.path
    }

    /// Makes the directory where it is missing, so that what stands beside the data can be made as well.
    package static func prepare(_ path: String) throws(StoreError) {
        do { try makeDirectories(path) } catch { throw DataDirectory.explain(error, path: path) }
    }

    /// What a failed call within the data directory means to a person.
    package static func explain(_ error: SyscallError, path: String) -> StoreError {
        DataDirectory.explain(error, path: path)
    }

    /// Locks the directory, recovers what an earlier process left, and opens it for work.
    package static func open(
        _ path: String, node: NodeID, incarnation: Incarnation, lanes: Lanes, view: ViewMode = .link, log: Log,
        index: IndexOpening = .whole, now: @escaping @Sendable () -> ClockReading = SystemClock.reading
    ) async throws(StoreError) -> Store {
        let opener = StoreOpener(lane: lanes.admit, path: path, node: node)
        let opened = try await opener.open()
        for report in opened.reports { log.warning(report) }
        let bell = Bell()
        let mint = FactMint(node: node, incarnation: incarnation, now: now)
        let journal = try Journal(
            lane: lanes.commit, directory: opened.directory, node: node, recovered: opened.journal,
            recording: opened.recording, log: log, now: now)
        let catalogue = try await opener.openCatalogue(
            opened.directory, mint: mint, journal: journal, view: view, bell: bell, log: log)
        let scrubber = Scrubber(
            lane: lanes.scrub, directory: opened.directory, catalogue: catalogue, log: log, now: now)
        let store = Store(
            mint: mint, directory: opened.directory, journal: journal, catalogue: catalogue,
            shelf: ChunkShelf(lane: lanes.scrub, directory: opened.directory), scrubber: scrubber, bell: bell, log: log,
            recovered: opened.journal)
        if case .anew = index { await catalogue.distrustIndex() }
        var isReady = await catalogue.catchUp()
        while !isReady, index.isWaitedFor {
            if case .anew(let progress) = index, let (done, total) = await catalogue.replayProgress() {
                progress(done, total)
            }
            isReady = await catalogue.catchUp()
        }
        try await store.sealRecovered(opened.journal)
        if isReady { try await store.finishRecovery() }
        if case .anew = index { try await catalogue.compareWithFiles() }
        return store
    }

    /// Chunks that were open are sealed by the ordinary path, which needs no index.
    private func sealRecovered(_ recovered: RecoveredJournal) async throws(StoreError) {
        if !recovered.closed.isEmpty {
            _ = try await seal(recovered.closed)
            log.notice("chunks that an earlier process was writing are sealed", ("chunks", recovered.closed.count))
        }
        for damage in recovered.damage {
            let gap = Gap(stream: damage.slot.stream, reason: Gap.Reason.corrupt, from: damage.at, to: nil)
            try await record(.gap(gap), in: damage.slot.session)
        }
    }

    /// The rest of recovery, which asks what the log has: begun seals are finished, sessions that ended are closed.
    private func finishRecovery() async throws(StoreError) {
        guard let recovered = unfinished.withLock({ $0 }), await catalogue.isComplete else { return }
        try await catalogue.finish(recovered.seals)
        for session in await journal.openSessions() {
            if try await catalogue.sessions(session.id).first?.end != nil { try await journal.forget(session.id) }
        }
        for (session, reason) in await journal.endingSessions() {
            if try await catalogue.sessions(session).first?.end != nil {
                try await journal.forget(session)
            } else {
                _ = try await endSession(session, reason: reason)
            }
        }
        try await endAbandoned()
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

    /// Seals what is open, flushes the view, and ends all bells. The lock goes with the last reference.
    /// `endsRecording`: the node that records is told to end, which is noted in every open session; a verb that only
    /// looked leaves them as they are.
    package func close(endsRecording: Bool = true) async throws(StoreError) {
        for session in await journal.openSessions() { _ = try await seal(session.id) }
        if endsRecording { try await journal.noteOrderlyStop() }
        await refreshView(.all)
        await catalogue.close()
        bell.finish()
    }

    // MARK: Facts of this node

    /// Writes a fact of this node: gap, marker, config, clock.
    @discardableResult
    package func record(_ body: Fact.Body, in session: SessionID?) async throws(StoreError) -> RecordedFact {
        let recorded = mint.mint(body, in: session)
        guard recorded.bytes.count <= Limits.factBytes else { throw .limit("factBytes") }
        try await catalogue.append([recorded])
        return recorded
    }

    // MARK: Recording

    /// Begins a session of this node; its fact is in the log when this returns.
    package func startSession(
        _ opening: SessionOpening, id: SessionID = .random()
    ) async throws(StoreError) -> SessionID {
        guard opening.streams.count <= Limits.streamsPerSession else { throw .limit("streamsPerSession") }
        let recorded = try await record(.session(opening), in: id)
        do {
            try await journal.begin(recorded.fact)
        } catch {
            // Its fact is there: a session that never was open is told to be over.
            try await record(.end(SessionEnd(reason: SessionEnd.Reason.interrupted, streams: [:])), in: id)
            throw error
        }
        return id
    }

    /// Makes all the batches durable with one sync. What throws was not acknowledged and may be committed again, whole.
    /// Answers how far each touched stream's open chunk is.
    package func commit(_ batches: [RowBatch]) async throws(StoreError) -> [OpenChunkState] {
        try await journal.commit(batches)
    }

    /// Seals the open chunk of one stream, or of all the session's streams. Nothing happens where none is open.
    package func seal(
        _ session: SessionID, _ stream: StreamName? = nil
    ) async throws(StoreError) -> [HeldChunk] {
        try await seal(try await journal.close(session, stream))
    }

    private func seal(_ closed: [ClosedChunk]) async throws(StoreError) -> [HeldChunk] {
        let candidates = closed.compactMap { chunk in
            let recorded = unsealed.withLock { unsealed in
                let recorded = unsealed[chunk.slot] ?? mint.mint(chunk.body, in: chunk.slot.session)
                unsealed[chunk.slot] = recorded
                return recorded
            }
            return Candidate(recorded, source: .open(chunk.slot), file: chunk.file)
        }
        guard !candidates.isEmpty else { return [] }
        var held: [HeldChunk] = []
        var failure: StoreError?
        for (chunk, result) in zip(closed, await catalogue.admit(candidates)) {
            switch result {
            case .success(let sealed):
                unsealed.withLock { $0[chunk.slot] = nil }
                held.append(sealed)
            case .failure(let error): failure = error
            }
        }
        if let failure { throw failure }
        return held
    }

    /// Seals what is open and writes the `end` fact with the totals.
    package func endSession(_ session: SessionID, reason: String) async throws(StoreError) -> SessionEnd {
        _ = try await seal(session)
        let totals = try await journal.totals(of: session)
        let end = SessionEnd(
            reason: reason, streams: Dictionary(uniqueKeysWithValues: totals.map { ($0.description, $1) }))
        // A repetition after a failure uses the same fact: a session has one end of its author.
        let recorded = endings.withLock { endings in
            let recorded = endings[session] ?? mint.mint(.end(end), in: session)
            endings[session] = recorded
            return recorded
        }
        // Whoever finds the session after a crash is not to go on with it, whether its end is in the log or not.
        try await journal.noteEnding(session, reason: reason)
        try await catalogue.append([recorded])
        try await journal.forget(session)
        endings.withLock { $0[session] = nil }
        await refreshView(.all)
        return end
    }

    /// Sessions of this node that have no end, as found at the start or as they run now.
    package func openSessions() async -> [OpenSession] { await journal.openSessions() }

    /// A durable setting of the recorder (`recording.json`): written atomically, read at the start. nil is a stop.
    package func setRecordingWish(_ wish: RecordingWish?) async throws(StoreError) { try await journal.setWish(wish) }
    package func recordingWish() async -> RecordingWish? { await journal.currentWish() }
    /// The boot in which a stop cleared the wish; nil where none did.
    package func recordingStoppedInBoot() async -> BootID? { await journal.stoppedInBoot() }

    // MARK: The catalogue

    /// Position of the newest fact in this node's log; 0 where it is empty.
    package func head() async -> Int64 { bell.head }

    /// Which facts are held, and the head for which that is true.
    package func holdings() async throws(StoreError) -> (holdings: Holdings, head: Int64) {
        try await catalogue.statement()
    }

    /// Rings when the log has grown, at least once after the call; never more than one ring waits.
    package func growth() -> AsyncStream<Void> { bell.listen() }

    /// Rings when a chunk that was held is held no more.
    package func losses() -> AsyncStream<Void> { catalogue.losses.listen() }

    /// Rings when a fact that was held or heard of is not known any more.
    package func forgettings() -> AsyncStream<Void> { catalogue.forgettings.listen() }

    /// Facts behind `seq` in the order of this log, at most `limit`.
    package func facts(after seq: Int64, limit: Int) async throws(StoreError) -> [LoggedFact] {
        try await catalogue.facts(after: seq, limit: limit)
    }

    /// The facts of these ranges that are held, at most `byteLimit` bytes; whether there is more.
    package func facts(
        in ranges: Holdings, byteLimit: Int
    ) async throws(StoreError) -> (facts: [LoggedFact], more: Bool) {
        try await catalogue.facts(in: ranges, byteLimit: byteLimit)
    }

    package func sessions() async throws(StoreError) -> [SessionSummary] { try await catalogue.sessions() }

    package func session(_ id: SessionID) async throws(StoreError) -> SessionSummary {
        guard let summary = try await catalogue.sessions(id).first else { throw .unknownSession(id) }
        return summary
    }

    /// Held chunks of a session, by stream and index; the first of each slot counts, the others are variants of it.
    package func chunks(of session: SessionID) async throws(StoreError) -> [HeldChunk] {
        try await catalogue.chunks(of: session)
    }

    package func summary() async throws(StoreError) -> StoreSummary { try await catalogue.summary() }

    /// The session's folder for people.
    package func folder(mission: String, session: SessionID) -> String {
        FolderView(directory: directory, mode: .off).path(mission: mission, session: session)
    }

    /// The partial copy of a stream's open chunk, relative to the session's folder.
    package static func partialName(_ stream: StreamDescription, _ index: Int64) -> String {
        let name = FolderView.partialName(stream, index)
        return (name.folder.map { $0 + "/" } ?? "") + name.file
    }

    /// Brings partial copies and manifests of the folder for people up to date.
    package func refreshView(_ extent: ViewRefresh = .due) async {
        await catalogue.refreshView(await journal.openChunks(), extent)
    }

    // MARK: Bytes

    /// A held chunk's file for reading, and its length.
    package func openChunk(_ id: ChunkID) async throws(StoreError) -> ChunkFile {
        do { return try await shelf.open(id) } catch {
            // If the log says that it is here, that has to be looked into.
            if case .notFound = error { await scrubber.suspect(id) }
            throw error
        }
    }

    // MARK: Replication

    /// Takes facts of a peer: new ones enter the log, chunk facts wait for their bytes, facts of this very process are
    /// refused.
    package func receive(_ facts: [[UInt8]]) async throws(StoreError) -> ReceiptReport {
        try await catalogue.receive(facts)
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

    /// Bytes of this chunk that an earlier pull left, which a Range request may go on from.
    package func beginPull(_ chunk: WantedChunk) async throws(StoreError) -> Int64 {
        try await catalogue.beginPull(chunk)
    }

    /// Appends to the chunk being pulled.
    package func appendPull(_ chunk: WantedChunk, _ bytes: [UInt8]) async throws(StoreError) {
        try await catalogue.appendPull(chunk, bytes)
    }

    /// Verifies the pulled bytes and seals them. A wrong digest moves them to quarantine and throws `corrupt`.
    package func finishPull(_ chunk: WantedChunk) async throws(StoreError) { try await catalogue.finishPull(chunk) }

    /// Leaves what was pulled for a later attempt.
    package func suspendPull(_ chunk: WantedChunk) async { await catalogue.suspendPull(chunk) }

    /// Verifies and seals whole small chunks that arrived in memory, with one sync of each directory; a failure
    /// concerns its chunk alone.
    package func admit(
        _ arrivals: [(chunk: WantedChunk, bytes: [UInt8])]
    ) async -> [Result<HeldChunk, StoreError>] {
        await catalogue.admit(await shelf.take(arrivals))
    }
}
