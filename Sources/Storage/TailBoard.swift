internal import Model
internal import Reactor

/// How far every open chunk of this node is, and every copy it holds of somebody else's: written by the journal after
/// each commit, read by those who copy. Only what is committed stands here.
final class TailBoard: Sendable {
    /// What one commit added to one chunk, or what is there of a copy that a start found.
    struct Growth {
        let slot: ChunkSlot
        let firstRow: Int64
        let file: SharedFile
        /// Committed bytes and rows of the chunk, and how many of the bytes its file has.
        let length: Int64
        let rows: Int64
        let lengthInFile: Int64
        let first: ClockPair
        let last: ClockPair
        /// CRC-32C of the committed bytes.
        let checksum: UInt32
        /// The newest bytes; empty where only the file is to be read.
        let bytes: [UInt8]
    }

    /// How an open chunk's time on the board ended.
    enum End: Hashable {
        /// By law 1; the exact bytes of its fact.
        case sealed(fact: [UInt8])
        case dropped
    }

    /// What is to be told next of one chunk.
    enum Portion {
        case nothing
        /// Committed, and neither in memory nor in the file yet.
        case later
        /// The asker has more than is committed here.
        case beyond(length: Int64)
        case part(Part)
        /// It is open no more; how that came about, where it is remembered.
        case gone(End?)
    }

    /// A stretch of a chunk, with its bytes or where they are.
    struct Part {
        enum Source {
            case memory([UInt8])
            case file(SharedFile)
        }

        let source: Source
        let stretch: CommitMarks.Stretch
        let firstRow: Int64
        /// Rows that commits up to its beginning brought.
        let rowsBefore: Int64
        /// Committed bytes behind it.
        let left: Int64
    }

    fileprivate struct Entry {
        let firstRow: Int64
        var file: SharedFile
        var length: Int64 = 0
        var lengthInFile: Int64 = 0
        var marks = CommitMarks()
        /// The newest commits' bytes: who keeps up needs no file.
        var recent: [(offset: Int64, bytes: [UInt8])] = []
        var recentBytes = 0
        /// The board's version when it changed last.
        var version: Int64 = 0
    }

    private struct Listener {
        let authors: Set<NodeID>?
        let bell: AsyncStream<Void>.Continuation
    }

    private struct State {
        var version: Int64 = 0
        var entries: [ChunkSlot: Entry] = [:]
        /// Of all entries.
        var recentBytes = 0
        var ends: [(version: Int64, slot: ChunkSlot, end: End)] = []
        /// The newest version whose end is not among them any more.
        var forgotten: Int64 = 0
        var listeners: [Int: Listener] = [:]
        var listenerCount = 0
    }

    private let state = Locked(State())

    // MARK: Told by the journal

    func grew(_ growths: [Growth]) {
        let bells = state.withLock { state in
            state.version += 1
            for growth in growths { Self.grow(growth, &state) }
            if state.recentBytes > Limits.tailRecentTotalBytes { Self.forgetRecent(&state) }
            return Self.bells(of: Set(growths.map(\.slot.author)), in: state)
        }
        for bell in bells { bell.yield() }
    }

    private static func grow(_ growth: Growth, _ state: inout State) {
        // Taken out, so that its arrays grow in place.
        var entry =
            state.entries.removeValue(forKey: growth.slot) ?? Entry(firstRow: growth.firstRow, file: growth.file)
        state.recentBytes -= entry.recentBytes
        entry.file = growth.file
        entry.length = growth.length
        entry.lengthInFile = growth.lengthInFile
        entry.version = state.version
        entry.marks.append(
            CommitMarks.Mark(
                end: growth.length, rows: growth.rows, first: growth.first, last: growth.last,
                checksum: growth.checksum))
        if !growth.bytes.isEmpty, growth.bytes.count <= Limits.inlineCommitBytes {
            entry.recent.append((growth.length - Int64(growth.bytes.count), growth.bytes))
            entry.recentBytes += growth.bytes.count
            while entry.recent.count > 1, entry.recentBytes > Limits.tailRecentBytes {
                entry.recentBytes -= entry.recent.removeFirst().bytes.count
            }
        } else {
            (entry.recent, entry.recentBytes) = ([], 0)
        }
        state.recentBytes += entry.recentBytes
        state.entries[growth.slot] = entry
    }

    /// Of those that grew longest ago; a quarter at once, so that many chunks are not sorted for each commit.
    private static func forgetRecent(_ state: inout State) {
        let limit = Limits.tailRecentTotalBytes / 4 * 3
        for (slot, entry) in state.entries.sorted(by: { $0.value.version < $1.value.version }) {
            guard state.recentBytes > limit else { return }
            state.recentBytes -= entry.recentBytes
            state.entries[slot]?.recent = []
            state.entries[slot]?.recentBytes = 0
        }
    }

    /// The chunk's committed bytes are in this file, up to there.
    func moved(_ slot: ChunkSlot, to file: SharedFile, lengthInFile: Int64) {
        state.withLock { state in
            state.entries[slot]?.file = file
            state.entries[slot]?.lengthInFile = lengthInFile
        }
    }

    /// The chunk is open no more; what followed it is told once.
    func ended(_ slot: ChunkSlot, _ end: End) {
        let bells = state.withLock { state in
            guard let entry = state.entries.removeValue(forKey: slot) else {
                return [AsyncStream<Void>.Continuation]()
            }
            state.recentBytes -= entry.recentBytes
            state.version += 1
            state.ends.append((state.version, slot, end))
            if state.ends.count > Limits.tailEndsKept { state.forgotten = state.ends.removeFirst().version }
            return Self.bells(of: [slot.author], in: state)
        }
        for bell in bells { bell.yield() }
    }

    private static func bells(of authors: Set<NodeID>, in state: State) -> [AsyncStream<Void>.Continuation] {
        state.listeners.values.compactMap { listener in
            listener.authors.map { !$0.isDisjoint(with: authors) } ?? true ? listener.bell : nil
        }
    }

    // MARK: Asked by those who copy

    /// Rings this bell from now on when anything of these authors changes; nil: of anybody. Until its stream ends.
    func ring(_ bell: AsyncStream<Void>.Continuation, of authors: Set<NodeID>?) {
        let number = state.withLock { state in
            state.listenerCount += 1
            state.listeners[state.listenerCount] = Listener(authors: authors, bell: bell)
            return state.listenerCount
        }
        bell.onTermination = { [weak self] _ in
            self?.state.withLock { state in _ = state.listeners.removeValue(forKey: number) }
        }
    }

    struct Changes {
        let version: Int64
        let open: [ChunkSlot]
        let ended: [ChunkSlot]
        /// Of some chunks nothing may be said here although they ended: whoever follows any looks at all of them.
        let isPartial: Bool
    }

    /// What changed behind this version of the board.
    func changes(since version: Int64) -> Changes {
        state.withLock { state in
            guard state.version > version else {
                return Changes(version: version, open: [], ended: [], isPartial: false)
            }
            return Changes(
                version: state.version, open: state.entries.filter { $0.value.version > version }.map(\.key),
                ended: state.ends.reversed().prefix { $0.version > version }.map(\.slot),
                isPartial: state.forgotten > version)
        }
    }

    /// Committed bytes of an open chunk; nil where it is not open.
    func length(of slot: ChunkSlot) -> Int64? { state.withLock { $0.entries[slot]?.length } }

    /// Every open chunk's committed length, where anything changed behind this version of the board.
    func lengths(since version: Int64) -> (version: Int64, chunks: [(slot: ChunkSlot, length: Int64)]) {
        state.withLock { state in
            guard state.version > version else { return (version, []) }
            return (state.version, state.entries.sorted { $0.key < $1.key }.map { ($0.key, $0.value.length) })
        }
    }

    /// What there is to compare a copy of this length with.
    enum Beginning {
        /// Such a beginning is not committed here.
        case none
        /// It is, and neither its checksum is known nor are its bytes in the file yet.
        case later
        case checksum(UInt32)
        /// The bytes up to `from` have this checksum; those behind them are in the file.
        case file(SharedFile, from: Int64, checksum: UInt32)
    }

    func beginning(_ slot: ChunkSlot, to offset: Int64) -> Beginning {
        state.withLock { state in
            guard let entry = state.entries[slot], offset <= entry.length else { return .none }
            let mark = entry.marks.last(by: offset)
            if let mark, mark.end == offset { return .checksum(mark.checksum) }
            guard offset <= entry.lengthInFile else { return .later }
            return .file(entry.file, from: mark?.end ?? 0, checksum: mark?.checksum ?? 0)
        }
    }

    /// Bytes of all chunks that stay in memory.
    var recentBytes: Int { state.withLock { $0.recentBytes } }

    /// What a copy of this length lacks, at most `limit` bytes of it.
    func portion(_ slot: ChunkSlot, from offset: Int64, limit: Int) -> Portion {
        state.withLock { state in
            guard let entry = state.entries[slot] else {
                return .gone(state.ends.last { $0.slot == slot }?.end)
            }
            guard offset <= entry.length else { return .beyond(length: entry.length) }
            guard offset < entry.length else { return .nothing }
            if let oldest = entry.recent.first, oldest.offset <= offset,
                let stretch = entry.marks.stretch(from: offset, limit: Int64(limit))
            {
                return .part(entry.part(.memory(entry.recentBytes(offset..<stretch.end)), offset, stretch))
            }
            // Bytes that the file does not have yet come when it has them.
            let reach = min(Int64(limit), entry.lengthInFile - offset)
            guard let stretch = entry.marks.stretch(from: offset, limit: reach) else { return .later }
            return .part(entry.part(.file(entry.file), offset, stretch))
        }
    }
}

extension TailBoard.Entry {
    fileprivate func part(
        _ source: TailBoard.Part.Source, _ offset: Int64, _ stretch: CommitMarks.Stretch
    ) -> TailBoard.Part {
        TailBoard.Part(
            source: source, stretch: stretch, firstRow: firstRow, rowsBefore: marks.rows(by: offset),
            left: length - stretch.end)
    }

    fileprivate func recentBytes(_ range: Range<Int64>) -> [UInt8] {
        if let newest = recent.last, newest.offset == range.lowerBound, newest.bytes.count == range.count {
            return newest.bytes
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for (offset, part) in recent {
            let wanted = range.clamped(to: offset..<offset + Int64(part.count))
            if !wanted.isEmpty { bytes += part[Int(wanted.lowerBound - offset)..<Int(wanted.upperBound - offset)] }
        }
        return bytes
    }
}
