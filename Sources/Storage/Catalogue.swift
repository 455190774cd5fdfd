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
    let log: Log
    let reader: FactLogReader
    let view: FolderView
    private var facts: FactLog
    /// nil while it cannot be used: recording goes on by the log alone.
    private var index: Index?
    private var indexFailure: String?
    private(set) var holdings: Holdings
    private(set) var heard: Holdings
    private var heardCount: Int64
    private(set) var head: Int64
    /// Chunks being pulled piece by piece.
    var pulls: [ChunkID: Pull] = [:]
    /// Session facts that were read for the folder for people; a session has one, which never changes.
    var openings: [SessionID: SessionOpening] = [:]
    /// Sessions whose manifest is behind.
    var stale: Set<SessionID> = []
    /// Open chunks that have a partial copy in the folder for people.
    var partials: Set<ChunkSlot> = []
    /// Before this no manifest is written but those of what ends.
    var manifestsDue = MonotonicTime(nanoseconds: 0)
    private(set) var quarantined: Int64
    private let bell: Bell

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    /// Call on the lane: opening blocks.
    init(
        lane: DiskLane, directory: DataDirectory, node: NodeID, incarnation: Incarnation, journal: Journal,
        view: ViewMode, bell: Bell, log: Log
    ) throws(StoreError) {
        var opened = try OpenedCatalogue.open(directory)
        for report in opened.reports { log.warning(report) }
        self.lane = lane
        self.directory = directory
        self.node = node
        self.incarnation = incarnation
        self.journal = journal
        self.log = log
        self.bell = bell
        self.view = FolderView(directory: directory, mode: view)
        reader = FactLogReader(directory: directory)
        holdings = opened.holdings
        heard = opened.heard
        heardCount = opened.heard.count
        head = opened.head
        quarantined = opened.quarantined
        index = opened.takeIndex()
        facts = opened.takeLog()
        bell.begin(at: head)
    }

    func close() {
        index = nil
        indexFailure = "the store is closed"
    }

    // MARK: Writing facts

    /// Appends facts that are new to the log, durable when it returns; answers those that were new.
    @discardableResult
    func append(_ recorded: [RecordedFact]) throws(StoreError) -> [RecordedFact] {
        var names: Set<FactName> = []
        let new = recorded.filter { !holdings.contains($0.fact.name) && names.insert($0.fact.name).inserted }
        guard !new.isEmpty else { return [] }
        let positions: [LogPosition]
        do {
            positions = try facts.append(new.map(\.bytes))
        } catch {
            throw DataDirectory.explain(error, path: "\(directory.path)/log")
        }
        var entries: [Index.Entry] = []
        for (fact, position) in zip(new, positions) {
            head += 1
            holdings.insert(fact.fact.name)
            if heard.contains(fact.fact.name) {
                heard.remove(fact.fact.name)
                heardCount -= 1
            }
            entries.append(Index.Entry(seq: head, position: position, recorded: fact))
        }
        bell.ring(at: head)
        apply(entries)
        return new
    }

    /// The index is derived: where it fails, the log is complete all the same, and the next start makes it again.
    private func apply(_ entries: [Index.Entry]) {
        guard let index else { return }
        do {
            try index.apply(entries, held: holdings)
        } catch {
            log.error("the index failed; it is made again at the next start", ("reason", error.message))
            indexFailure = error.message
            self.index = nil
        }
        for entry in entries {
            if let session = entry.recorded.fact.session { stale.insert(session) }
        }
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

    func noteQuarantine() { quarantined += 1 }

    // MARK: Asking the index

    func indexed<Result>(_ body: (Index) throws(SQLite.Failure) -> Result) throws(StoreError) -> Result {
        guard let index else { throw .index(indexFailure ?? "it is not open") }
        do { return try body(index) } catch { throw .index(error.message) }
    }

    func read(_ row: Index.FactRow) throws(StoreError) -> LoggedFact? {
        do {
            guard let bytes = try reader.read(row.position) else {
                log.error(
                    "a line of the log is damaged", ("segment", row.position.segment), ("offset", row.position.offset))
                return nil
            }
            return LoggedFact(seq: row.seq, author: row.author, kind: row.kind, bytes: bytes)
        } catch {
            throw DataDirectory.explain(error, path: "\(directory.path)/log")
        }
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
