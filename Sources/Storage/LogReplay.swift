internal import Model
internal import Reactor

/// Brings an index up to the end of the log, a stretch at a time, so that what cannot wait gets its turn in between.
/// It believes the index as far as the log confirms it.
final class LogReplay {
    let index: Index
    /// Of the lines that the index covers.
    private(set) var logged: Holdings
    private(set) var seq: Int64
    private(set) var damagedLines = 0
    /// Bytes of the log that the index covers.
    private(set) var doneBytes: Int64 = 0
    private let reader: FactLogReader
    private var segment: Int64
    private var lines: FactLines?
    private var offset: Int64
    private var doneSegments: Int64 = 0
    /// It takes more than one step.
    private var isLong = false

    /// Throws where the index names a line that the log does not have.
    init(_ index: Index, _ reader: FactLogReader) throws {
        self.index = index
        self.reader = reader
        let cover = try index.cover()
        if cover.seq > 0 {
            guard let line = try reader.read(cover.position), Int64(Checksum(line).value) == cover.checksum
            else { throw SQLite.Failure(message: "it covers a line that the log does not have") }
        }
        logged = try index.logged()
        seq = cover.seq
        segment = cover.seq == 0 ? 1 : cover.position.segment
        offset = cover.seq == 0 ? 0 : cover.position.end
        for earlier in try reader.segments() where earlier < segment { doneSegments += try reader.length(of: earlier) }
        doneBytes = doneSegments + offset
    }

    /// All bytes of the log.
    func totalBytes() throws(SyscallError) -> Int64 {
        var total: Int64 = 0
        for number in try reader.segments() { total += try reader.length(of: number) }
        return total
    }

    /// Takes the next facts, at most as many as an index may lag. True where the log has no more.
    func step(now: Int64) throws -> Bool {
        var batch: [Index.Entry] = []
        var isAtEnd = false
        while batch.count < Limits.indexLag {
            guard let line = try nextLine() else {
                isAtEnd = true
                break
            }
            guard let bytes = line.fact, let recorded = RecordedFact(parsing: bytes) else {
                damagedLines += 1
                // It had its number when it was whole: positions that followers know stay what they are.
                if !line.isUnfinished { seq += 1 }
                continue
            }
            // A repetition after a failed sync: the first of a name counts.
            guard !logged.contains(recorded.fact.name) else { continue }
            logged.insert(recorded.fact.name)
            seq += 1
            let position = LogPosition(segment: segment, offset: line.offset, length: Int64(bytes.count))
            batch.append(Index.Entry(seq: seq, position: position, recorded: recorded))
        }
        if !isAtEnd, !isLong {
            isLong = true
            try index.prepareForMuch()
        }
        try index.apply(batch, logged: logged, now: now)
        if isAtEnd, isLong { try index.settle() }
        return isAtEnd
    }

    private func nextLine() throws(SyscallError) -> FactLines.Line? {
        while true {
            if lines == nil {
                guard let file = try reader.file(of: segment) else {
                    guard let next = try following() else { return nil }
                    (segment, offset) = (next, 0)
                    continue
                }
                lines = FactLines(file: file, from: offset)
            }
            if let line = try lines?.next() {
                doneBytes = doneSegments + line.offset
                return line
            }
            guard let next = try following() else { return nil }
            doneSegments += try reader.length(of: segment)
            (segment, offset, lines) = (next, 0, nil)
        }
    }

    private func following() throws(SyscallError) -> Int64? {
        let segment = self.segment
        return try reader.segments().first { $0 > segment }
    }
}
