internal import Model
internal import Reactor

/// What the write-ahead log and `open/` say after a crash: the start-up path, whether there was one or not.
struct RecoveredJournal {
    /// Chunks that were being written: replayed, cut to what was committed, synced; they wait for their seal.
    var closed: [ClosedChunk] = []
    /// Seals that were begun and may or may not have been finished.
    var seals: [FactName: WALRecord.Seal] = [:]
    var sessions: [SessionID: SessionState] = [:]
    /// Segments that are there, ascending.
    var segments: [Int64] = []
    /// One sentence for each thing that was not as it should be.
    var reports: [String] = []
    /// Stretches of rows that could not be recovered.
    var damage: [Damage] = []

    struct Damage: Sendable {
        let slot: ChunkSlot
        let at: ClockPair
    }
}

/// One chunk's recovery: its file is brought to exactly the bytes that were committed.
private struct Replay {
    let slot: ChunkSlot
    let firstRow: Int64
    let first: ClockPair
    var last: ClockPair
    var length: Int64 = 0
    var rows: Int64 = 0
    /// What the file must read, in order: bytes from the log, or a checksum over what the file has.
    var pieces: [(offset: Int64, length: Int64, checksum: UInt32, inline: [UInt8]?, rows: Int64, last: ClockPair)] = []
    var hasHole = false
}

/// Reads a data directory's write-ahead log and brings `open/` in order.
struct JournalRecovery {
    let directory: DataDirectory
    let node: NodeID
    private var replays: [ChunkSlot: Replay] = [:]
    private var result = RecoveredJournal()

    init(directory: DataDirectory, node: NodeID) {
        self.directory = directory
        self.node = node
    }

    mutating func run() throws(SyscallError) -> RecoveredJournal {
        try readSessions()
        result.segments = try WriteAheadLog.segments(in: directory.wal)
        for number in result.segments { try readSegment(number) }
        for replay in replays.values.sorted(by: { $0.slot < $1.slot }) { try restoreOrSetAside(replay) }
        // A session's totals count its chunks in their order, sealed and found open alike.
        let sealed = sealedSlots().map { ($0.0, $0.1.rows, $0.1.bytes) }
        let closed = result.closed.map { ($0.slot, $0.rows, $0.bytes) }
        for (slot, rows, bytes) in (sealed + closed).sorted(by: { $0.0 < $1.0 }) {
            result.sessions[slot.session]?.count(slot, rows: rows, bytes: bytes)
        }
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

    // MARK: The log

    private mutating func readSegment(_ number: Int64) throws(SyscallError) {
        let reading = try WriteAheadLog.read(number, in: directory.wal)
        for record in reading.records { apply(record) }
        let name = WriteAheadLog.name(number)
        if !reading.damaged.isEmpty {
            result.reports.append(
                "write-ahead log \(name) has \(reading.damaged.count) damaged stretches; a copy is in quarantine")
            try keepAside(reading.bytes, as: "wal-\(name)")
        } else if Int(reading.soundLength) < reading.bytes.count {
            // What a crash tore was never acknowledged.
            let torn = Array(reading.bytes[Int(reading.soundLength)...])
            result.reports.append(
                "write-ahead log \(name) ended in \(torn.count) torn bytes; they are kept in quarantine")
            try keepAside(torn, as: "wal-\(name)-\(reading.soundLength)-torn")
        }
    }

    private func keepAside(_ bytes: [UInt8], as name: String) throws(SyscallError) {
        try DataDirectory.replace(name, in: directory.quarantine, with: bytes)
    }

    private mutating func apply(_ record: WALRecord) {
        switch record {
        case .commit(let commit): apply(commit)
        case .checkpoint(let checkpoint):
            var replay = Replay(
                slot: checkpoint.slot, firstRow: checkpoint.firstRow, first: checkpoint.first, last: checkpoint.last)
            // The file itself has these bytes, unless pieces of an earlier segment can give them again.
            let earlier = replays[checkpoint.slot]?.pieces.filter { $0.offset + $0.length <= checkpoint.length } ?? []
            let covered = earlier.first?.offset == 0 && earlier.reduce(0) { $0 + $1.length } == checkpoint.length
            replay.pieces =
                covered
                ? earlier
                : [(0, checkpoint.length, checkpoint.checksum, nil, checkpoint.rows, checkpoint.last)]
            replay.length = checkpoint.length
            replay.rows = checkpoint.rows
            replays[checkpoint.slot] = replay
        case .seal(let seal):
            guard let fact = RecordedFact(parsing: seal.fact) else { return }
            result.seals[fact.fact.name] = seal
            if case .open(let slot) = seal.source { replays[slot] = nil }
        }
    }

    private mutating func apply(_ commit: WALRecord.Commit) {
        var replay =
            replays[commit.slot]
            ?? Replay(slot: commit.slot, firstRow: commit.firstRow, first: commit.first, last: commit.last)
        if commit.offset < replay.length {
            // The same bytes again: a commit that was not acknowledged and was repeated.
            guard commit.offset + commit.length > replay.length else { return }
            replay.pieces.removeAll { $0.offset >= commit.offset }
            replay.length = replay.pieces.last.map { $0.offset + $0.length } ?? 0
            replay.rows = replay.pieces.reduce(0) { $0 + $1.rows }
        }
        guard commit.offset == replay.length, !replay.hasHole else {
            replay.hasHole = true
            replays[commit.slot] = replay
            return
        }
        replay.pieces.append((commit.offset, commit.length, commit.checksum, commit.inline, commit.rows, commit.last))
        replay.length += commit.length
        replay.rows += commit.rows
        replay.last = commit.last
        replays[commit.slot] = replay
    }

    // MARK: The files

    /// A chunk whose file cannot be read does not keep the node from starting: it is set aside, and a gap tells of it.
    private mutating func restoreOrSetAside(_ replay: Replay) throws(SyscallError) {
        do {
            try restore(replay)
        } catch {
            guard error.isUnreadable else { throw error }
            let (slot, name) = (replay.slot, OpenChunk.fileName(replay.slot))
            try directory.openFolder(author: slot.author, session: slot.session)
                .rename(name, to: directory.quarantine, as: "\(slot.session).\(name).unreadable")
            result.reports.append("chunk \(name) of session \(slot.session) cannot be read; it is kept in quarantine")
            result.damage.append(.init(slot: slot, at: replay.last))
        }
    }

    private mutating func restore(_ replay: Replay) throws(SyscallError) {
        let slot = replay.slot
        guard replay.length > 0 else { return }
        let folder = try directory.openFolder(author: slot.author, session: slot.session)
        let name = OpenChunk.fileName(slot)
        let file = SharedFile(try folder.openFile(name, .createOrOpen))
        let found = try file.descriptor.length()
        var sound = Replay(slot: slot, firstRow: replay.firstRow, first: replay.first, last: replay.first)
        let digester = ChunkDigester()
        var checksum = Checksum()
        for piece in replay.pieces {
            let bytes: [UInt8]
            if let inline = piece.inline {
                try file.descriptor.write(inline, at: piece.offset)
                bytes = inline
            } else {
                bytes = try file.descriptor.read(count: Int(clamping: piece.length), at: piece.offset)
            }
            guard bytes.count == piece.length, Checksum(bytes).value == piece.checksum else { break }
            digester.update(bytes[...])
            checksum.update(bytes[...])
            sound.length += piece.length
            sound.rows += piece.rows
            sound.last = piece.last
        }
        try cut(file, name: "\(slot.session).\(name)", to: sound.length, found: max(found, sound.length))
        if sound.length < replay.length || replay.hasHole {
            result.reports.append(
                "chunk \(name) of session \(slot.session) lost committed bytes; what is sound was kept")
            result.damage.append(.init(slot: slot, at: sound.last))
        }
        try file.descriptor.synchronize()
        try folder.synchronize()
        guard sound.length > 0 else { return }
        let closed = ClosedChunk(
            slot: slot, id: digester.finish(), file: file, bytes: sound.length, rows: sound.rows,
            firstRow: replay.firstRow, first: replay.first, last: sound.last, checksum: checksum.value)
        result.closed.append(closed)
        result.sessions[slot.session]?.noteActivity(closed.last)
    }

    /// Bytes behind the last commit were never acknowledged: kept aside, and cut.
    private mutating func cut(
        _ file: SharedFile, name: String, to length: Int64, found: Int64
    ) throws(SyscallError) {
        guard found > length else { return }
        let torn = try file.descriptor.read(count: Int(clamping: found - length), at: length)
        try keepAside(torn, as: "\(name).\(length).torn")
        result.reports.append("\(name) had \(torn.count) bytes that were never committed; they are kept in quarantine")
        try file.descriptor.truncate(to: length)
    }

    private func sealedSlots() -> [(ChunkSlot, ChunkFact)] {
        result.seals.values.compactMap { seal in
            guard case .open(let slot) = seal.source, let recorded = RecordedFact(parsing: seal.fact),
                case .chunk(let chunk) = recorded.fact.body
            else { return nil }
            return (slot, chunk)
        }.sorted { $0.0 < $1.0 }
    }

    /// Files under `open/` that no record names were never acknowledged: they are kept in quarantine.
    private mutating func setAsideStrangers() throws(SyscallError) {
        guard try directory.open.kind(of: node.description) == .directory else { return }
        let author = try directory.open.openDirectory(node.description)
        let known = Set(result.closed.map(\.slot) + sealedSlots().map(\.0))
        for name in try author.names() {
            guard let id = SessionID(name), try author.kind(of: name) == .directory else { continue }
            let folder = try author.openDirectory(name)
            let kept = Set(known.filter { $0.session == id }.map(OpenChunk.fileName)).union(["session.json"])
            for file in try folder.names() where !kept.contains(file) {
                guard let length = try folder.length(of: file) else { continue }
                if length > 0, !file.hasPrefix(".") {
                    try folder.rename(file, to: directory.quarantine, as: "\(id).\(file).unknown")
                    result.reports.append("\(file) of session \(id) is in no write-ahead log; it is kept in quarantine")
                } else {
                    try folder.remove(file)
                }
            }
        }
    }
}
