package import Model
package import Reactor

/// A node's data directory: the only writer of it, and the one path of bytes to disk. Its work is done by actors on the
/// disk lanes; this is their front. Formats: `Docs/Storage.md`.
package final class Store: Sendable {
    /// The threads that may block: commits; admitting, the log and the index; what arrives from peers; reading and
    /// scrubbing.
    package struct Lanes: Sendable {
        package let commit: DiskLane
        package let admit: DiskLane
        package let arrive: DiskLane
        package let scrub: DiskLane

        package init() {
            commit = DiskLane(name: "commit")
            admit = DiskLane(name: "admit")
            arrive = DiskLane(name: "arrive")
            scrub = DiskLane(name: "scrub")
        }

        /// Lanes of somebody else, who runs them.
        package init(commit: DiskLane, admit: DiskLane, arrive: DiskLane, scrub: DiskLane) {
            self.commit = commit
            self.admit = admit
            self.arrive = arrive
            self.scrub = scrub
        }

        package func stop() {
            commit.stop()
            admit.stop()
            arrive.stop()
            scrub.stop()
        }
    }

    package let node: NodeID
    package let incarnation: Incarnation
    package let path: String
    let directory: DataDirectory
    let journal: Journal
    let catalogue: Catalogue
    let shelf: ChunkShelf
    let incoming: IncomingShelf
    let incomingSync: IncomingSync
    let parser: FactParser
    let scrubber: Scrubber
    let room: DiskRoom
    /// Where all parts of the store tell what happened.
    package let incidents: StoreIncidents
    let bell: Bell
    let log: Log
    let mint: FactMint
    /// What recovery found and the index has to be asked about first; nil when that is done.
    let unfinished: Locked<RecoveredJournal?>
    /// Facts of closed chunks whose seal has not succeeded yet: a repetition uses the same name.
    private let unsealed = Locked<[ChunkSlot: RecordedFact]>([:])
    /// Other facts whose append failed, likewise: the log may have them all the same.
    private let unrecorded = Locked<[UnrecordedFact: RecordedFact]>([:])
    /// Ends that are not through with yet, likewise.
    private let endings = Locked<[SessionID: RecordedFact]>([:])

    private init(
        mint: FactMint, directory: DataDirectory, journal: Journal, catalogue: Catalogue, shelf: ChunkShelf,
        incoming: IncomingShelf, incomingSync: IncomingSync, parser: FactParser,
        scrubber: Scrubber, room: DiskRoom, incidents: StoreIncidents, bell: Bell, log: Log, recovered: RecoveredJournal
    ) {
        node = mint.node
        incarnation = mint.incarnation
        self.mint = mint
        self.directory = directory
        self.journal = journal
        self.catalogue = catalogue
        self.shelf = shelf
        self.incoming = incoming
        self.incomingSync = incomingSync
        self.parser = parser
        self.scrubber = scrubber
        self.room = room
        self.incidents = incidents
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

    /// Locks the directory, recovers what an earlier process left, and opens it for work. `minFree`: how much of the
    /// disk is to be kept free; nil where nothing is recorded and so nothing is to be kept.
    package static func open(
        _ path: String, node: NodeID, incarnation: Incarnation, lanes: Lanes, view: ViewMode = .link,
        minFree: Int64? = nil, log: Log, index: IndexOpening = .whole,
        now: @escaping @Sendable () -> ClockReading = SystemClock.reading
    ) async throws(StoreError) -> Store {
        let opener = StoreOpener(lane: lanes.admit, path: path, node: node)
        // One for both attempts: what the first one wrote keeps its name.
        let mint = FactMint(node: node, incarnation: incarnation, now: now)
        let attempt = { () async throws(StoreError) in
            try await open(
                opener, mint: mint, lanes: lanes, view: view, log: log, index: index)
        }
        let store: Store
        var isSpent = false
        do {
            store = try await attempt()
        } catch {
            // A vehicle that is switched on with a full disk comes up and says so.
            guard error.mayBeNoSpace, await opener.giveUpReserve() else { throw error }
            isSpent = true
            store = try await attempt()
        }
        if let minFree { await store.room.keep(minFree, isSpent: isSpent) }
        return store
    }

    private static func open(
        _ opener: StoreOpener, mint: FactMint, lanes: Lanes, view: ViewMode, log: Log, index: IndexOpening
    ) async throws(StoreError) -> Store {
        let opened = try await opener.open()
        do {
            return try await open(opened, opener, mint: mint, lanes: lanes, view: view, log: log, index: index)
        } catch {
            opened.directory.unlock()
            throw error
        }
    }

    private static func open(
        _ found: StoreOpener.Opened, _ opener: StoreOpener, mint: FactMint, lanes: Lanes, view: ViewMode, log: Log,
        index: IndexOpening
    ) async throws(StoreError) -> Store {
        var opened = found
        let directory = opened.directory
        let incidents = StoreIncidents(log: log, now: mint.now)
        for report in opened.reports { incidents.report(.recovered, report) }
        // What recovery found missing is in the write-ahead log before that forgets the damage.
        for damage in opened.journal.damage {
            let gap = mint.mint(.gap(damage.gap), in: damage.slot.session)
            opened.journal.facts[gap.fact.name] = gap
        }
        let bell = Bell()
        let room = DiskRoom(lane: lanes.admit, directory: directory, incidents: incidents)
        let journal = try Journal(
            lane: lanes.commit, directory: directory, node: opener.node, recovered: opened.journal,
            recording: opened.recording, room: room, incidents: incidents, now: mint.now)
        let incoming = IncomingShelf(lane: lanes.arrive, directory: directory)
        let catalogue = try await opener.openCatalogue(
            directory, mint: mint, journal: journal, incoming: incoming, view: view, bell: bell, log: log,
            incidents: incidents)
        let scrubber = Scrubber(lane: lanes.scrub, directory: directory, catalogue: catalogue, log: log, now: mint.now)
        let store = Store(
            mint: mint, directory: directory, journal: journal, catalogue: catalogue,
            shelf: ChunkShelf(lane: lanes.scrub, directory: directory),
            incoming: incoming,
            incomingSync: IncomingSync(lane: lanes.scrub),
            parser: FactParser(lane: lanes.arrive, parsed: catalogue.parsed), scrubber: scrubber, room: room,
            incidents: incidents, bell: bell, log: log, recovered: opened.journal)
        if case .anew = index { await catalogue.distrustIndex() }
        var isReady = await catalogue.catchUp()
        while !isReady, index.isWaitedFor {
            if case .anew(let progress) = index, let (done, total) = await catalogue.replayProgress() {
                progress(done, total)
            }
            isReady = await catalogue.catchUp()
        }
        if !opened.journal.mayBeSealed { try await store.sealRecovered(opened.journal.closed) }
        if isReady {
            do { try await store.finishRecovery() } catch {
                // An index that turned out to be damaged is made again by now.
                guard case .index = error else { throw error }
                try await store.finishRecovery()
            }
        }
        if case .anew = index { try await catalogue.compareWithFiles() }
        return store
    }

    /// Seals what is open, flushes the view, ends all bells, and gives the directory's lock back.
    /// `endsRecording`: the node that records is told to end, which is noted in every open session; a verb that only
    /// looked leaves them as they are.
    package func close(endsRecording: Bool = true) async throws(StoreError) {
        for session in await journal.openSessions() { _ = try await seal(session.id) }
        if endsRecording { try await journal.noteOrderlyStop() }
        await refreshView(.all)
        await catalogue.close()
        bell.finish()
        incidents.finish()
        directory.unlock()
    }

    // MARK: Facts of this node

    /// Writes a fact of this node: gap, marker, config, clock.
    @discardableResult
    package func record(_ body: Fact.Body, in session: SessionID?) async throws(StoreError) -> RecordedFact {
        let key = UnrecordedFact(body: body, session: session)
        let recorded = unrecorded.withLock { $0.removeValue(forKey: key) } ?? mint.mint(body, in: session)
        guard recorded.bytes.count <= Limits.factBytes else { throw .limit("factBytes") }
        do throws(StoreError) {
            try await paid { () async throws(StoreError) in _ = try await catalogue.append([recorded]) }
        } catch {
            unrecorded.withLock { facts in
                if facts.count >= Limits.queuedFacts { facts = [:] }
                facts[key] = recorded
            }
            throw error
        }
        return recorded
    }

    // MARK: Recording

    /// Begins a session of this node; its fact is in the log when this returns.
    package func startSession(
        _ opening: SessionOpening, id: SessionID = .random()
    ) async throws(StoreError) -> SessionID {
        guard opening.streams.count <= Limits.streamsPerSession else { throw .limit("streamsPerSession") }
        guard await room.isOpenForRows() else { throw .outOfSpace(path: path) }
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
        do {
            return try await journal.commit(batches)
        } catch {
            if case .outOfSpace = error { room.refused() }
            throw error
        }
    }

    /// Seals the open chunk of one stream, or of all the session's streams. Nothing happens where none is open.
    package func seal(
        _ session: SessionID, _ stream: StreamName? = nil
    ) async throws(StoreError) -> [HeldChunk] {
        try await seal(
            try await paid { () async throws(StoreError) in try await journal.close(session, stream) })
    }

    func seal(_ closed: [ClosedChunk]) async throws(StoreError) -> [HeldChunk] {
        let candidates = closed.compactMap { chunk in
            let recorded = unsealed.withLock { unsealed in
                // A slot whose copy was closed before may have another chunk by now.
                if let earlier = unsealed[chunk.slot], earlier.fact.body == chunk.body { return earlier }
                let recorded = mint.mint(chunk.body, in: chunk.slot.session)
                unsealed[chunk.slot] = recorded
                return recorded
            }
            return Candidate(recorded, source: .open(chunk.slot), file: chunk.file)
        }
        guard !candidates.isEmpty else { return [] }
        var held: [HeldChunk] = []
        var failure: StoreError?
        for (chunk, result) in zip(closed, await admit(candidates)) {
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

    /// Once more where the disk is full and there was a reserve: a chunk of this node's is sealed on it.
    private func admit(_ candidates: [Candidate]) async -> [Result<HeldChunk, StoreError>] {
        var results = await catalogue.admit(candidates)
        let refused = results.indices.filter { if case .failure(.outOfSpace) = results[$0] { true } else { false } }
        guard !refused.isEmpty, await givesUpReserve() else { return results }
        for (position, result) in zip(refused, await catalogue.admit(refused.map { candidates[$0] })) {
            results[position] = result
        }
        return results
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
        try await paid { () async throws(StoreError) in
            // Whoever finds the session after a crash is not to go on with it, whether its end is in the log or not.
            try await journal.noteEnding(session, reason: reason)
            _ = try await catalogue.append([recorded])
            try await journal.forget(session)
        }
        endings.withLock { $0[session] = nil }
        await refreshView(.all)
        return end
    }

    /// Sessions of this node that have no end, as found at the start or as they run now.
    package func openSessions() async -> [OpenSession] { await journal.openSessions() }

    /// A durable setting of the recorder (`recording.json`): written atomically, read at the start. nil is a stop.
    package func setRecordingWish(_ wish: RecordingWish?) async throws(StoreError) {
        try await paid { () async throws(StoreError) in try await journal.setWish(wish) }
    }
    package func recordingWish() async -> RecordingWish? { await journal.currentWish() }
    /// The boot in which a stop cleared the wish; nil where none did.
    package func recordingStoppedInBoot() async -> BootID? { await journal.stoppedInBoot() }

    // MARK: Bytes

    /// Small chunks whole, as many of `ids` from the first on as make `byteLimit` bytes; nil for one that is not to be
    /// had so. Looked into is what is missing.
    package func contents(of ids: ArraySlice<ChunkID>, byteLimit: Int) async -> [[UInt8]?] {
        let found = await shelf.contents(of: ids, byteLimit: byteLimit)
        for (id, content) in zip(ids, found) where content == nil { await scrubber.suspect(id) }
        return found
    }

    /// A held chunk's file for reading, and its length.
    package func openChunk(_ id: ChunkID) async throws(StoreError) -> ChunkFile {
        do { return try await shelf.open(id) } catch {
            // If the log says that it is here, that has to be looked into.
            if case .notFound = error { await scrubber.suspect(id) }
            throw error
        }
    }
}
