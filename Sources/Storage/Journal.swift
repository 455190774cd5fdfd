internal import Model
internal import Reactor

/// The commit lane's owner: the write-ahead log, the open chunks and the sessions of this node, and its live copies of
/// other nodes' open chunks. It never touches the
/// index and never hashes for another.
actor Journal {
    struct Key: Hashable {
        let session: SessionID
        let stream: StreamName
    }

    private let lane: DiskLane
    let directory: DataDirectory
    let node: NodeID
    let room: DiskRoom
    let incidents: StoreIncidents
    let now: @Sendable () -> ClockReading
    var wal: WriteAheadLog
    /// The last append or sync failed: the segment is left alone and the next commit begins another.
    var walFailed = false
    private var sessions: [SessionID: SessionState]
    var open: [Key: OpenChunk] = [:]
    var closing: [ChunkSlot: ClosedChunk]
    /// Live copies of other nodes' open chunks.
    var copies: [ChunkSlot: OpenChunk] = [:]
    /// Copies that take no bytes any more: they are being sealed, used by a pull, or set aside.
    var leaving: [ChunkSlot: CopyFile] = [:]
    /// The copies' files are being written to the disk before the next roll.
    var hasStartedCopies = false
    /// Where there are copies, for those who only want to know that.
    nonisolated let copySlots = CopySlots()
    var pendingSeals: [FactName: WALRecord.Seal]
    /// Gaps that recovery found, until they are in the log.
    var pendingFacts: [FactName: RecordedFact]
    /// Sealed, and not yet counted by their sessions' files: never to be sealed again, and not yet to be forgotten.
    private var sealedFacts: Set<FactName> = []
    private var sealedSlots: Set<ChunkSlot> = []
    /// Chunks that recovery found and that may be sealed already: the log has to be asked before they are.
    private var doubtful: Set<ChunkSlot>
    private var recording: RecordingFile
    /// How far the open chunks are, for those who copy them.
    nonisolated let board = TailBoard()

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    /// Begins where recovery left off; the new segment names all that recovery found, so that the old ones can go.
    init(
        lane: DiskLane, directory: DataDirectory, node: NodeID, recovered: RecoveredJournal, recording: RecordingFile,
        room: DiskRoom, incidents: StoreIncidents, now: @escaping @Sendable () -> ClockReading
    ) throws(StoreError) {
        self.lane = lane
        self.directory = directory
        self.node = node
        self.room = room
        self.incidents = incidents
        self.now = now
        self.recording = recording
        sessions = recovered.sessions
        closing = Dictionary(uniqueKeysWithValues: recovered.closed.map { ($0.slot, $0) })
        pendingSeals = recovered.seals
        doubtful = recovered.mayBeSealed ? Set(recovered.closed.map(\.slot)) : []
        pendingFacts = recovered.facts
        let at = now()
        for copy in recovered.copies {
            let chunk = OpenChunk(copy, at: at)
            copies[copy.slot] = chunk
            copySlots.insert(copy.slot)
            board.grew([chunk.growth(by: [], first: chunk.first)])
        }
        do {
            let last = recovered.segments.last ?? 0
            wal = try WriteAheadLog.begin(after: last, in: directory.wal, records: recovered.records)
            for number in recovered.segments { try directory.wal.remove(WriteAheadLog.name(number)) }
            try directory.wal.synchronize()
        } catch {
            throw DataDirectory.explain(error, path: directory.path)
        }
    }

    // MARK: Sessions

    func begin(_ fact: Fact) throws(StoreError) {
        guard let id = fact.session else { preconditionFailure("a session fact names its session") }
        let state = SessionState(fact: fact)
        try lifting { () throws(SyscallError) in try persist(id, state) }
        sessions[id] = state
    }

    /// The session has its `end` in the log: nothing of it stays here.
    func forget(_ id: SessionID) throws(StoreError) {
        guard sessions[id] != nil else { return }
        try lifting { () throws(SyscallError) in
            let parent = try directory.open.makeDirectory(node.description)
            let folder = try parent.makeDirectory(id.description)
            try folder.remove("session.json")
            _ = try parent.removeDirectory(id.description)
            try parent.synchronize()
        }
        sessions[id] = nil
    }

    func totals(of id: SessionID) throws(StoreError) -> [StreamName: SessionEnd.Totals] {
        guard let state = sessions[id] else { throw .unknownSession(id) }
        return Self.totals(state)
    }

    private static func totals(_ state: SessionState) -> [StreamName: SessionEnd.Totals] {
        let streams = state.opening?.streams ?? []
        return Dictionary(uniqueKeysWithValues: streams.map { ($0.name, state.totals($0.name)) })
    }

    /// Sessions whose end was begun, with its reason.
    func endingSessions() -> [SessionID: String] { sessions.compactMapValues(\.ending) }

    func noteEnding(_ id: SessionID, reason: String) throws(StoreError) {
        guard var state = sessions[id], state.ending != reason else { return }
        state.ending = reason
        try lifting { () throws(SyscallError) in try persist(id, state) }
        sessions[id] = state
    }

    func openSessions() -> [OpenSession] {
        sessions.compactMap { id, state in
            guard let opening = state.opening, state.ending == nil else { return nil }
            return OpenSession(
                id: id, opening: opening, startedAt: state.fact.at, lastActivity: state.lastActivity,
                stoppedOrderly: state.stopped, totals: Self.totals(state),
                openChunks: open.filter { $0.key.session == id }.map(\.value.state).sorted { $0.stream < $1.stream },
                lostRows: state.lostRows)
        }.sorted { $0.startedAt.boottime < $1.startedAt.boottime }
    }

    /// Open chunks and copies with their committed length: what the view for people copies.
    func openChunks() -> [(slot: ChunkSlot, length: Int64, file: SharedFile)] {
        (Array(open.values) + Array(copies.values)).filter { $0.length > 0 }.map { ($0.slot, $0.length, $0.file) }
    }

    func noteOrderlyStop() throws(StoreError) {
        for (id, var state) in sessions {
            state.stopped = true
            state.lastActivity = now()
            sessions[id] = state
            try lifting { () throws(SyscallError) in try persist(id, state) }
        }
    }

    private func persist(_ id: SessionID, _ state: SessionState) throws(SyscallError) {
        let folder = try directory.openFolder(author: node, session: id)
        try DataDirectory.replace("session.json", in: folder, with: JSONCoding.encode(state))
    }

    // MARK: The wish

    /// nil is a stop: that it was in this boot is remembered.
    func setWish(_ wish: RecordingWish?) throws(StoreError) {
        let changed = RecordingFile(wish: wish, stoppedInBoot: wish == nil ? now().bootID : nil)
        try lifting { () throws(SyscallError) in
            try DataDirectory.replace("recording.json", in: directory.root, with: JSONCoding.encode(changed))
        }
        recording = changed
    }

    func currentWish() -> RecordingWish? { recording.wish }
    func stoppedInBoot() -> BootID? { recording.stoppedInBoot }

    // MARK: Commit

    /// What one commit adds to one chunk.
    struct Addition {
        let chunk: OpenChunk
        var bytes: [UInt8]
        var rows: Int64
        let first: ClockPair
        var last: ClockPair
    }

    func commit(_ batches: [RowBatch]) throws(StoreError) -> [OpenChunkState] {
        var additions: [Key: Addition] = [:]
        guard room.takesRows(batches.reduce(0) { $0 + $1.bytes.count }) else {
            throw .outOfSpace(path: directory.path)
        }
        for batch in batches where !batch.bytes.isEmpty { try add(batch, to: &additions) }
        guard !additions.isEmpty else { return [] }
        return try commit(Array(additions.values)).map(\.chunk.state)
    }

    /// One append and one sync for all of it; answers them in their order in the log.
    @discardableResult
    func commit(_ additions: [Addition]) throws(StoreError) -> [Addition] {
        let inOrder = additions.sorted { $0.chunk.slot < $1.chunk.slot }
        try lifting { () throws(SyscallError) in
            for addition in inOrder { try catchUp(addition.chunk) }
            try renewWhereFailed()
            if !(try append(try records(inOrder))) {
                // The roll may have moved a chunk to another file: what went there before its record goes there again.
                try appendAgain(try records(inOrder))
            }
        }
        for addition in inOrder { acknowledge(addition) }
        board.grew(inOrder.map { $0.chunk.growth(by: $0.bytes, first: $0.first) })
        rollWhereDue()
        return inOrder
    }

    private func add(_ batch: RowBatch, to additions: inout [Key: Addition]) throws(StoreError) {
        let key = Key(session: batch.session, stream: batch.stream)
        if additions[key] != nil {
            additions[key]?.bytes.append(contentsOf: batch.bytes)
            additions[key]?.rows += batch.rows
            additions[key]?.last = batch.last
            return
        }
        let (chunk, preamble) = try openChunk(key, first: batch.first)
        additions[key] = Addition(
            chunk: chunk, bytes: chunk.length == 0 ? preamble + batch.bytes : batch.bytes, rows: batch.rows,
            first: batch.first, last: batch.last)
    }

    /// The stream's open chunk; its file is created with its first row, durable in its folder.
    private func openChunk(_ key: Key, first: ClockPair) throws(StoreError) -> (OpenChunk, preamble: [UInt8]) {
        guard let state = sessions[key.session], let description = state.description(of: key.stream) else {
            throw .unknownSession(key.session)
        }
        if let chunk = open[key] { return (chunk, description.preamble) }
        try noteContinuing(key.session)
        let totals = state.totals(key.stream)
        let slot = ChunkSlot(author: node, session: key.session, stream: key.stream, index: totals.chunks)
        let chunk = try lifting { () throws(SyscallError) in
            let folder = try directory.openFolder(author: node, session: key.session)
            // What is there under this name was never acknowledged: recovery took all that was.
            try folder.remove(OpenChunk.fileName(slot))
            let file = try folder.openFile(OpenChunk.fileName(slot), .createNew)
            try folder.synchronize()
            return OpenChunk(
                slot: slot, firstRow: state.nextRow(key.stream), first: first, file: SharedFile(file), at: now())
        }
        open[key] = chunk
        return (chunk, description.preamble)
    }

    /// Rows come again after an orderly stop: should the process die now, that is to be seen.
    private func noteContinuing(_ id: SessionID) throws(StoreError) {
        guard var state = sessions[id], state.stopped else { return }
        state.stopped = false
        state.lastActivity = now()
        try lifting { () throws(SyscallError) in try persist(id, state) }
        sessions[id] = state
    }

    /// The record of one addition; bytes too many for the write-ahead log go to the chunk's file first, synced.
    private func record(_ addition: Addition) throws(SyscallError) -> WALRecord.Commit {
        let chunk = addition.chunk
        let isInline = addition.bytes.count <= Limits.inlineCommitBytes
        if !isInline {
            try healSuspect(chunk)
            try chunk.append(addition.bytes)
            try chunk.synchronize()
        }
        return WALRecord.Commit(
            slot: chunk.slot, offset: chunk.length, length: Int64(addition.bytes.count), rows: addition.rows,
            firstRow: chunk.firstRow, checksum: Checksum(addition.bytes).value, first: addition.first,
            last: addition.last, inline: isInline ? addition.bytes : nil)
    }

    /// The bytes are durable; the chunk's file gets them now and is synced at the seal and when the log rolls.
    private func acknowledge(_ addition: Addition) {
        let (chunk, at) = (addition.chunk, now())
        chunk.committed(
            addition.bytes, rows: addition.rows, first: addition.first, last: addition.last,
            inFile: addition.bytes.count > Limits.inlineCommitBytes, at: at)
        if chunk.slot.author == node { sessions[chunk.slot.session]?.lastActivity = at }
        // Nothing is lost where this fails: the write-ahead log has them, and the next flush tries again, in another
        // file where this one takes no more.
        do { try chunk.flush() } catch {}
    }

    private func records(_ additions: [Addition]) throws(SyscallError) -> [WALRecord] {
        var records: [WALRecord] = []
        for addition in additions { records.append(.commit(try record(addition))) }
        return records
    }

    // MARK: Sealing

    /// Closes the open chunks of one stream or of all; answers them, and any whose seal has failed before.
    func close(_ session: SessionID, _ stream: StreamName?) throws(StoreError) -> [ClosedChunk] {
        guard sessions[session] != nil else { throw .unknownSession(session) }
        for (key, chunk) in open where key.session == session && (stream == nil || key.stream == stream) {
            try lifting { () throws(SyscallError) in
                if chunk.length == 0 {
                    // Its first commit never succeeded.
                    try directory.openFolder(author: node, session: session).remove(chunk.fileName)
                } else {
                    try healSuspect(chunk)
                    try chunk.flush()
                    try chunk.cutSurplus()
                    board.moved(chunk.slot, to: chunk.file, lengthInFile: chunk.lengthInFile)
                }
            }
            open[key] = nil
            guard chunk.length > 0 else { continue }
            let closed = chunk.close()
            closing[closed.slot] = closed
            sessions[session]?.count(closed.slot, rows: closed.rows, bytes: closed.bytes)
        }
        return closing.values.filter { chunk in
            let slot = chunk.slot
            return slot.session == session && (stream == nil || slot.stream == stream) && !sealedSlots.contains(slot)
                && !doubtful.contains(slot)
        }
        .sorted { $0.slot < $1.slot }
    }

    /// Step 2 of a seal: from here on a crash cannot lose the fact.
    func appendSeals(_ seals: [FactName: WALRecord.Seal]) throws(StoreError) {
        let new = seals.filter { pendingSeals[$0.key] == nil }
        guard !new.isEmpty else { return }
        let records = new.values.map(WALRecord.seal)
        try lifting { () throws(SyscallError) in
            try renewWhereFailed()
            if !(try append(records)) { try appendAgain(records) }
        }
        pendingSeals.merge(new) { first, _ in first }
    }

    /// The facts are in the log: the write-ahead log need not remember the chunks any more.
    func sealed(_ facts: [FactName], slots: [ChunkSlot]) throws(StoreError) {
        sealedFacts.formUnion(facts)
        sealedSlots.formUnion(slots)
        // What the session's file does not count yet, the write-ahead log goes on remembering.
        for session in Set(sealedSlots.map(\.session)) {
            guard let state = sessions[session] else { continue }
            try lifting { () throws(SyscallError) in try persist(session, state) }
        }
        for fact in sealedFacts { pendingSeals[fact] = nil }
        for slot in sealedSlots {
            closing[slot] = nil
            forgetCopy(slot)
        }
        (sealedFacts, sealedSlots) = ([], [])
        rollWhereDue()
    }

    /// A chunk that was found open and is sealed already.
    func discard(_ chunk: ClosedChunk) throws(StoreError) {
        guard closing[chunk.slot] != nil else { return }
        try lifting { () throws(SyscallError) in
            let folder = try directory.openFolder(author: node, session: chunk.slot.session)
            let name = OpenChunk.fileName(chunk.slot)
            guard try folder.kind(of: name) == .file else { return }
            try folder.rename(name, to: directory.quarantine, as: "\(chunk.slot.session).\(name).sealed")
        }
        closing[chunk.slot] = nil
    }

    /// The log was asked: what is still closed is to be sealed.
    func trustClosed() { doubtful = [] }

    /// The gaps that recovery found are in the log.
    func logged() { pendingFacts = [:] }

    func lifting<Result>(_ body: () throws(SyscallError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch { throw DataDirectory.explain(error, path: directory.path) }
    }
}
