internal import Model
internal import Reactor

/// What the write-ahead log and `open/` say after a crash: the start-up path, whether there was one or not.
struct RecoveredJournal {
    /// Chunks that were being written: replayed, cut to what was committed, synced; they wait for their seal.
    var closed: [ClosedChunk] = []
    /// Live copies of other nodes' open chunks, brought in order the same way; they stay copies.
    var copies: [CopyFile] = []
    /// Which record's slot a chunk comes from, where its own is another: what stood behind damage is a chunk of its
    /// own.
    var origins: [ChunkSlot: ChunkSlot] = [:]
    /// Seals that were begun and may or may not have been finished.
    var seals: [FactName: WALRecord.Seal] = [:]
    /// Gaps that an earlier recovery found and may or may not have logged.
    var facts: [FactName: RecordedFact] = [:]
    var sessions: [SessionID: SessionState] = [:]
    /// Segments that are there, ascending.
    var segments: [Int64] = []
    /// A part of the log is no record: bytes that no record names may have been acknowledged.
    var hasDamage = false
    /// Some of `closed` may be sealed already: the log has to be asked.
    var mayBeSealed = false
    /// One sentence for each thing that was not as it should be.
    var reports: [String] = []
    /// Stretches of rows that could not be recovered.
    var damage: [Damage] = []

    /// All that a new segment has to name, so that the old ones can go.
    var records: [WALRecord] {
        closed.map { .checkpoint($0.checkpoint) } + copies.map { .checkpoint($0.checkpoint) }
            + seals.values.map(WALRecord.seal) + facts.values.map { .fact($0.bytes) }
    }

    struct Damage: Hashable, Sendable {
        let slot: ChunkSlot
        let from: ClockPair
        let to: ClockPair?
        /// nil where nothing tells.
        let rows: Int64?

        var gap: Gap { Gap(stream: slot.stream, reason: Gap.Reason.corrupt, from: from, to: to, rowsLost: rows) }
    }
}

/// Reads a data directory's write-ahead log and brings `open/` in order. It may die at any call and be made again: what
/// it reads stays until the journal has begun a segment that names all that was found.
struct JournalRecovery {
    let directory: DataDirectory
    let node: NodeID
    private var replays: [ChunkSlot: ChunkReplay] = [:]
    var result = RecoveredJournal()

    init(directory: DataDirectory, node: NodeID) {
        self.directory = directory
        self.node = node
    }

    mutating func run() throws(SyscallError) -> RecoveredJournal {
        try readSessions()
        result.segments = try WriteAheadLog.segments(in: directory.wal)
        for number in result.segments { try readSegment(number) }
        // A slot that only damaged records name is believed where it can be the stream's next.
        for (slot, replay) in replays where !replay.isCertain && slot.index > lastIndex(slot) { replays[slot] = nil }
        for replay in replays.values.sorted(by: { $0.slot < $1.slot }) { try restore(replay) }
        // A session counts a chunk when it is closed: it may be sealed, if the record of that is gone.
        result.mayBeSealed =
            result.hasDamage
            || result.closed.contains { chunk in
                chunk.slot.index < result.sessions[chunk.slot.session]?.totals(chunk.slot.stream).chunks ?? 0
            }
        countChunks()
        try setAsideStrangers()
        return result
    }

    private mutating func readSessions() throws(SyscallError) {
        guard try directory.open.kind(of: node.description) == .directory else { return }
        let folder = try directory.open.openDirectory(node.description)
        for name in try folder.names() {
            guard let id = SessionID(name), try folder.kind(of: name) == .directory else { continue }
            let session = try folder.openDirectory(name)
            guard let bytes = try DataDirectory.contents(of: "session.json", in: session, limit: 4 * Limits.factBytes)
            else { continue }
            do {
                let state = try JSONCoding.decode(SessionState.self, from: bytes)
                guard state.fact.session == id, state.opening != nil else { continue }
                result.sessions[id] = state
            } catch {
                result.reports.append(
                    "session.json of session \(id) is damaged; its chunks are kept, it is not continued")
            }
        }
    }

    /// A session's totals count its chunks in their order, sealed and found open alike.
    private mutating func countChunks() {
        let sealed = sealedSlots().map { ($0.0, $0.1.rows, $0.1.bytes, $0.1.firstRow) }
        let closed = result.closed.map { ($0.slot, $0.rows, $0.bytes, $0.firstRow) }
        for (slot, rows, bytes, firstRow) in (sealed + closed).sorted(by: { $0.0 < $1.0 }) {
            result.sessions[slot.session]?.count(slot, rows: rows, bytes: bytes)
            // Rows that were lost keep their numbers.
            result.sessions[slot.session]?.noteRows(slot.stream, upTo: firstRow + rows)
        }
    }

    // MARK: The log

    private mutating func readSegment(_ number: Int64) throws(SyscallError) {
        let reading = try WriteAheadLog.read(number, in: directory.wal)
        var doubtful = reading.doubtful[...]
        for (position, record) in reading.records.enumerated() {
            while let next = doubtful.first, next.before <= position { doubt(doubtful.removeFirst().record) }
            apply(record)
        }
        for next in doubtful { doubt(next.record) }
        let name = WriteAheadLog.name(number)
        if !reading.damaged.isEmpty {
            result.hasDamage = true
            result.reports.append(
                "write-ahead log \(name) has \(reading.damaged.count) damaged stretches; a copy is in quarantine")
            try keepAside(reading.bytes, as: "wal-\(name)")
        } else if Int(reading.soundLength) < reading.bytes.count {
            // What a crash tore was never acknowledged.
            result.hasDamage = result.hasDamage || reading.hasDamagedEnd
            let torn = Array(reading.bytes[Int(reading.soundLength)...])
            result.reports.append(
                "write-ahead log \(name) ended in \(torn.count) torn bytes; they are kept in quarantine")
            try keepAside(torn, as: "wal-\(name)-\(reading.soundLength)-torn")
        }
    }

    func keepAside(_ bytes: [UInt8], as name: String) throws(SyscallError) {
        try DataDirectory.replace(name, in: directory.quarantine, with: bytes)
    }

    private mutating func apply(_ record: WALRecord) {
        switch record {
        case .commit, .checkpoint: record.apply(to: &replays)
        case .seal(let seal):
            guard let fact = RecordedFact(parsing: seal.fact) else { return }
            result.seals[fact.fact.name] = seal
            record.apply(to: &replays)
        case .fact(let bytes):
            guard let fact = RecordedFact(parsing: bytes) else { return }
            result.facts[fact.fact.name] = fact
        }
    }

    /// Fields of a damaged record are a hint where bytes of a known stream might be found.
    private mutating func doubt(_ record: WALRecord) {
        switch record {
        case .commit(let commit):
            guard isKnown(commit.slot) else { return }
            let empty = ChunkReplay(slot: commit.slot, firstRow: nextRow(commit.slot))
            replays[commit.slot, default: empty].take(commit, isDoubtful: true)
        case .checkpoint(let checkpoint):
            guard isKnown(checkpoint.slot) else { return }
            let empty = ChunkReplay(slot: checkpoint.slot, firstRow: nextRow(checkpoint.slot))
            replays[checkpoint.slot, default: empty].take(checkpoint, isDoubtful: true)
        case .seal, .fact: return
        }
    }

    private func isKnown(_ slot: ChunkSlot) -> Bool {
        slot.author == node && result.sessions[slot.session]?.description(of: slot.stream) != nil
    }

    private func nextRow(_ slot: ChunkSlot) -> Int64 { result.sessions[slot.session]?.nextRow(slot.stream) ?? 0 }

    /// The greatest index that is known to be the stream's, or its next.
    private func lastIndex(_ slot: ChunkSlot) -> Int64 {
        let named = replays.values.filter(\.isCertain).map(\.slot) + sealedSlots().map(\.0)
        let indices = named.filter { $0.session == slot.session && $0.stream == slot.stream }.map { $0.index + 1 }
        return max(indices.max() ?? 0, result.sessions[slot.session]?.totals(slot.stream).chunks ?? 0)
    }

    /// An index that no record and no chunk of the stream has.
    func freeIndex(_ slot: ChunkSlot) -> Int64 {
        let slots = Array(replays.keys) + sealedSlots().map(\.0) + result.closed.map(\.slot)
        let used = slots.filter { $0.session == slot.session && $0.stream == slot.stream }.map { $0.index + 1 }
        return max(used.max() ?? 0, result.sessions[slot.session]?.totals(slot.stream).chunks ?? 0)
    }

    /// Rows that the chunk had when the stream's next one was begun, where there is one.
    func totalRows(_ replay: ChunkReplay) -> Int64? {
        let slot = replay.slot
        func isNext(_ other: ChunkSlot) -> Bool {
            other.session == slot.session && other.stream == slot.stream && other.index == slot.index + 1
        }
        let next =
            replays.values.first { $0.isCertain && isNext($0.slot) }?.firstRow
            ?? sealedSlots().first { isNext($0.0) }?.1.firstRow
        return next.map { $0 - replay.firstRow }
    }

    private func sealedSlots() -> [(ChunkSlot, ChunkFact)] {
        result.seals.values.compactMap { seal in
            guard case .open(let slot) = seal.source, let recorded = RecordedFact(parsing: seal.fact),
                case .chunk(let chunk) = recorded.fact.body
            else { return nil }
            return (slot, chunk)
        }.sorted { $0.0 < $1.0 }
    }

    // MARK: Strangers

    /// Files under `open/` that no record names were never acknowledged, where the log is sound: they are kept in
    /// quarantine. Where it is not, they may have been.
    private mutating func setAsideStrangers() throws(SyscallError) {
        let known = Set(result.closed.map(\.slot) + result.copies.map(\.slot) + sealedSlots().map(\.0))
        for name in try directory.open.names() {
            guard let author = NodeID(name), try directory.open.kind(of: name) == .directory else { continue }
            try setAsideStrangers(of: author, known: known.filter { $0.author == author })
        }
    }

    private mutating func setAsideStrangers(of node: NodeID, known: Set<ChunkSlot>) throws(SyscallError) {
        let author = try directory.open.openDirectory(node.description)
        for name in try author.names() {
            guard let id = SessionID(name), try author.kind(of: name) == .directory else { continue }
            let folder = try author.openDirectory(name)
            let kept = Set(known.filter { $0.session == id }.map(OpenChunk.fileName)).union(["session.json"])
            for file in try folder.names() where !kept.contains(file) {
                guard let length = try folder.length(of: file) else { continue }
                guard length > 0, !file.hasPrefix(".") else {
                    try folder.remove(file)
                    continue
                }
                try folder.rename(file, to: directory.quarantine, as: "\(id).\(file).unknown")
                result.reports.append("\(file) of session \(id) is in no write-ahead log; it is kept in quarantine")
                if result.hasDamage, node == self.node { noteLost(file, of: id) }
            }
            // A folder of copies goes with the last of them.
            if node != self.node { _ = try author.removeDirectory(name) }
        }
    }

    /// The record that named this chunk is damaged.
    private mutating func noteLost(_ file: String, of session: SessionID) {
        let parts = file.split(separator: ".")
        guard parts.count == 2, let stream = StreamName(parts[0]), let index = Int64(parts[1]),
            let state = result.sessions[session], state.description(of: stream) != nil
        else { return }
        let slot = ChunkSlot(author: node, session: session, stream: stream, index: index)
        guard !result.damage.contains(where: { $0.slot == slot }) else { return }
        result.damage.append(.init(slot: slot, from: ClockPair(state.lastActivity), to: nil, rows: nil))
    }
}
