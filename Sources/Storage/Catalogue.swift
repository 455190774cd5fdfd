internal import Model
internal import Reactor

/// The admit lane's owner: the log of facts, its index, the folder for people; and the one path by which a chunk enters
/// the store.
actor Catalogue {
    let lane: DiskLane
    let directory: DataDirectory
    let node: NodeID
    let incarnation: Incarnation
    let journal: Journal
    let incoming: IncomingShelf
    let log: Log
    let incidents: StoreIncidents
    let reader: FactLogReader
    let view: FolderView
    let mint: FactMint
    let parsed = ParsedFacts()
    private var facts: FactLog
    private var index: IndexState
    /// Whether what is said below of facts is all there is: not while the first replay runs.
    private(set) var isComplete = false
    /// Names of the facts in the log.
    var logged = Holdings()
    /// Those of them that are held: without the facts of chunks whose bytes are gone.
    var holdings = Holdings()
    /// Chunk facts whose bytes are not here: never were, or are gone.
    var heard = Holdings()
    var heardCount: Int64 = 0
    private(set) var head: Int64 = 0
    /// Session facts that were read for the folder for people; a session has one, which never changes.
    var openings: [SessionID: SessionOpening] = [:]
    /// Sessions whose manifest is behind.
    var stale: Set<SessionID> = []
    /// Open chunks that have a partial copy in the folder for people, and how long that is.
    var partials: [ChunkSlot: Int64] = [:]
    /// Partial files of an earlier process were looked for.
    var hasSweptPartials = false
    /// Copies that are not the beginning of the chunk that was pulled behind them.
    var unfitCopies: Set<ChunkSlot> = []
    /// Before this no manifest is written but those of what ends.
    var manifestsDue = MonotonicTime(nanoseconds: 0)
    private(set) var quarantined: Int64
    /// Chunks that were sealed before the index could tell where they belong in the folder for people.
    private var unshown: [(session: SessionID, stream: StreamName, index: Int64)] = []
    private let bell: Bell
    /// Rings when a chunk that was held is held no more.
    let losses = Bell()
    /// Rings when a fact that was held or heard of is not known any more.
    let forgettings = Bell()

    private enum IndexState {
        case ready(Index)
        /// It is behind the log, by a little after a crash or by all of it.
        case replaying(LogReplay)
        /// It cannot be used: recording goes on by the log alone. Tried again from time to time.
        case failed(String, isDamaged: Bool)
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    /// Call on the lane: opening blocks. The index is not read yet: `catchUp` does that.
    init(
        lane: DiskLane, directory: DataDirectory, mint: FactMint, journal: Journal, incoming: IncomingShelf,
        view: ViewMode, bell: Bell, log: Log, incidents: StoreIncidents
    ) throws(StoreError) {
        self.lane = lane
        self.directory = directory
        self.mint = mint
        node = mint.node
        incarnation = mint.incarnation
        self.journal = journal
        self.incoming = incoming
        self.log = log
        self.incidents = incidents
        self.bell = bell
        self.view = FolderView(directory: directory, mode: view)
        index = .failed("it was not opened yet", isDamaged: false)
        do throws(SyscallError) {
            reader = try FactLogReader(directory.root)
            var reports: [String] = []
            facts = try FactLog.open(directory, reports: &reports)
            quarantined = Int64(try directory.quarantine.names().count)
            for report in reports { incidents.report(.recovered, report) }
        } catch {
            throw DataDirectory.explain(error, path: "\(directory.path)/log")
        }
    }

    func close() {
        index = .failed("the store is closed", isDamaged: false)
        losses.finish()
        forgettings.finish()
    }

    // MARK: The index

    /// Brings the index up to the log, a stretch of it at a time. True when there is no more to do, be it that the
    /// index cannot be had for now.
    func catchUp() -> Bool {
        do {
            switch index {
            case .ready: return true
            case .failed(_, let isDamaged):
                if isDamaged { try discardIndex() }
                index = .replaying(try beginReplay())
            case .replaying: break
            }
            guard case .replaying(let replay) = index, try replay.step(now: mint.now().realtime) else { return false }
            try adopt(replay)
            return true
        } catch {
            return failed(error)
        }
    }

    /// The next `catchUp` makes it anew, whatever it says.
    func distrustIndex() { index = .failed("it is to be made again", isDamaged: true) }

    /// How much of the log the index covers, while it does not cover all of it.
    func replayProgress() -> (done: Int64, total: Int64)? {
        guard case .replaying(let replay) = index else { return nil }
        // A length that cannot be read costs the sight of the end, no more.
        return (replay.doneBytes, (try? replay.totalBytes()) ?? replay.doneBytes)
    }

    private func beginReplay() throws -> LogReplay {
        let path = "\(directory.path)/\(Index.fileName)"
        do {
            return try LogReplay(try Index(path: path, own: node, lines: reader), reader)
        } catch let error as SQLite.Failure where !error.isPassing {
            incidents.report(.recovered, "the index is made again from the log: \(error.message)")
            try discardIndex()
            return try LogReplay(try Index(path: path, own: node, lines: reader), reader)
        }
    }

    private func discardIndex() throws(SyscallError) {
        for suffix in ["", "-wal", "-shm"] { try directory.root.remove(Index.fileName + suffix) }
    }

    private func adopt(_ replay: LogReplay) throws(SQLite.Failure) {
        let lost = try replay.index.lostNames()
        heard = try replay.index.heardNames()
        heardCount = heard.count
        logged = replay.logged
        holdings = logged.subtracting(lost)
        head = max(head, replay.seq)
        index = .ready(replay.index)
        incidents.end(.index, .indexBack, "the index works again")
        if replay.damagedLines > 0 {
            incidents.report(.damagedLine, "\(replay.damagedLines) damaged lines of the log were passed over")
        }
        if isComplete {
            // What was heard of is known by peers alone: they are asked anew.
            forgettings.ring(at: head)
        } else {
            isComplete = true
            bell.ring(at: head)
        }
        showUnshown()
    }

    /// What could not be shown at its time, for want of an index or of room.
    func showUnshown() {
        let late = unshown
        unshown = []
        for (session, stream, index) in late { show(session, stream, index) }
    }

    /// The index is derived: where it fails, the log is complete all the same. What is damaged is made again at once,
    /// what a full disk or a lock caused is tried again later. Answers whether to wait.
    private func failed(_ error: any Error) -> Bool {
        var reason = "\(error)"
        var isDamaged = false
        if let failure = error as? SQLite.Failure {
            (reason, isDamaged) = (failure.message, !failure.isPassing)
        }
        incidents.begin(.index, .indexFailed, "the index failed (\(reason)); the log has everything, it is tried again")
        // Now, and not with its last reference: closing removes files by name, which soon are those of another index.
        switch index {
        case .ready(let index): index.sqlite.close()
        case .replaying(let replay): replay.index.sqlite.close()
        case .failed: break
        }
        index = .failed(reason, isDamaged: isDamaged)
        return true
    }

    // MARK: Writing facts

    /// Appends facts that are new to the log, durable when it returns; answers those that were new.
    @discardableResult
    func append(_ recorded: [RecordedFact]) throws(StoreError) -> [RecordedFact] {
        var names: Set<FactName> = []
        let new = recorded.filter { !logged.contains($0.fact.name) && names.insert($0.fact.name).inserted }
        guard !new.isEmpty else { return [] }
        let positions: [LogPosition]
        do {
            positions = try facts.append(new.map(\.bytes)) { error in
                incidents.report(.logRenewed, "the log of facts failed (\(error)) and goes on in a new segment")
            }
        } catch {
            throw DataDirectory.explain(error, path: "\(directory.path)/log")
        }
        guard isComplete else {
            // The replay finds them in the log.
            for fact in new { logged.insert(fact.fact.name) }
            return new
        }
        var entries: [Index.Entry] = []
        for (fact, position) in zip(new, positions) {
            head += 1
            logged.insert(fact.fact.name)
            holdings.insert(fact.fact.name)
            forgetHeard(fact.fact.name)
            entries.append(Index.Entry(seq: head, position: position, recorded: fact))
        }
        apply(entries)
        bell.ring(at: head)
        return new
    }

    func forgetHeard(_ name: FactName) {
        guard heard.contains(name) else { return }
        heard.remove(name)
        heardCount -= 1
    }

    private func apply(_ entries: [Index.Entry]) {
        for entry in entries {
            if let session = entry.recorded.fact.session { stale.insert(session) }
        }
        guard case .ready(let index) = index else { return }
        do { try index.apply(entries, logged: logged, now: mint.now().realtime) } catch { _ = failed(error) }
    }

    /// Remembers chunk facts that are new here; as many as there is room for.
    func hear(_ facts: [RecordedFact]) throws(StoreError) {
        guard !facts.isEmpty else { return }
        precondition(facts.count <= heardRoom, "who hears asks first how much there is room for")
        try indexed { index throws(SQLite.Failure) in try index.hear(facts[...]) }
        for recorded in facts { heard.insert(recorded.fact.name) }
        heardCount += Int64(facts.count)
    }

    /// How many more chunk facts may be heard of.
    var heardRoom: Int { Int(clamping: max(0, Int64(Limits.heardFacts) - heardCount)) }

    /// As soon as the index can tell where it belongs. No instrument seals so many while the log is replayed.
    func showLater(_ session: SessionID, _ stream: StreamName, _ index: Int64) {
        if unshown.count < Limits.indexLag { unshown.append((session, stream, index)) }
    }

    func noteQuarantine() { quarantined += 1 }

    // MARK: Asking the index

    func indexed<Result>(_ body: (Index) throws(SQLite.Failure) -> Result) throws(StoreError) -> Result {
        if case .failed(_, isDamaged: true) = index { _ = catchUp() }
        switch index {
        case .ready(let index):
            do { return try body(index) } catch {
                // What cannot be read is not believed in anything else: whoever asks next finds it made again.
                if !error.isPassing { _ = failed(error) }
                throw error.isNoSpace ? .outOfSpace(path: directory.path) : .index(error.message)
            }
        case .replaying:
            let progress = replayProgress() ?? (0, 0)
            throw .indexing(doneBytes: progress.done, totalBytes: progress.total)
        case .failed(let reason, _): throw .index(reason)
        }
    }

    /// nil where the line is damaged: it is forgotten.
    func read(_ row: Index.FactRow) throws(StoreError) -> LoggedFact? {
        let bytes: [UInt8]?
        do { bytes = try reader.read(row.position) } catch {
            throw DataDirectory.explain(error, path: "\(directory.path)/log")
        }
        guard let bytes else {
            try forget(row)
            return nil
        }
        return LoggedFact(seq: row.seq, author: row.author, kind: row.kind, bytes: bytes)
    }

    func recorded(seq: Int64) throws(StoreError) -> RecordedFact? {
        guard let row = try indexed({ index throws(SQLite.Failure) in try index.fact(seq: seq) }),
            let logged = try read(row)
        else { return nil }
        return RecordedFact(parsing: logged.bytes)
    }
}

/// Tells followers of the log that it has grown, and how far. More than one ring never waits.
final class Bell: Sendable {
    private struct State {
        var head: Int64 = 0
        var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
        var next = 0
    }

    private let state = Locked(State())

    /// The newest position of the log; asking for it waits for no disk.
    var head: Int64 { state.withLock { $0.head } }

    func begin(at head: Int64) { state.withLock { $0.head = head } }

    func ring(at head: Int64) {
        let listeners = state.withLock { state in
            state.head = head
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.yield() }
    }

    func listen() -> AsyncStream<Void> {
        let (stream, listener) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            let id = state.next
            state.next += 1
            state.listeners[id] = listener
            return id
        }
        listener.yield()
        listener.onTermination = { [weak self] _ in
            self?.state.withLock { state in _ = state.listeners.removeValue(forKey: id) }
        }
        return stream
    }

    func finish() {
        let listeners = state.withLock { state in
            defer { state.listeners = [:] }
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.finish() }
    }
}
