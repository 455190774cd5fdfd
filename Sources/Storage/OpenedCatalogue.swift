internal import Model
internal import Reactor

/// The log and an index that covers all of it: what opening a catalogue comes to.
struct OpenedCatalogue: ~Copyable {
    private(set) var holdings = Holdings()
    private(set) var heard = Holdings()
    private(set) var head: Int64 = 0
    private(set) var quarantined: Int64 = 0
    private(set) var reports: [String] = []
    private var index: Index?
    private var log: FactLog?

    /// Opens the log, believes the index as far as the log confirms it, and replays the rest; an index that names a
    /// line the log does not have is made again.
    static func open(_ directory: DataDirectory) throws(StoreError) -> OpenedCatalogue {
        var opened = OpenedCatalogue()
        do throws(SyscallError) {
            var reports: [String] = []
            opened.log = try FactLog.open(directory, reports: &reports)
            opened.reports = reports
            opened.quarantined = Int64(try directory.quarantine.names().count)
        } catch {
            throw DataDirectory.explain(error, path: "\(directory.path)/log")
        }
        do {
            try opened.attach(try Index(path: "\(directory.path)/\(Index.fileName)"), directory)
        } catch let error as SQLite.Failure {
            opened.reports.append("the index is made again: \(error.message)")
            try opened.rebuild(directory)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("an index fails with SQLite's words: \(error)")
        }
        return opened
    }

    private mutating func rebuild(_ directory: DataDirectory) throws(StoreError) {
        do throws(SyscallError) {
            for suffix in ["", "-wal", "-shm"] { try directory.root.remove(Index.fileName + suffix) }
        } catch {
            throw DataDirectory.explain(error, path: directory.path)
        }
        holdings = Holdings()
        heard = Holdings()
        head = 0
        do {
            try attach(try Index(path: "\(directory.path)/\(Index.fileName)"), directory)
        } catch let error as SQLite.Failure {
            throw StoreError.index(error.message)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("an index fails with SQLite's words: \(error)")
        }
    }

    private mutating func attach(_ index: Index, _ directory: DataDirectory) throws {
        let reader = FactLogReader(directory: directory)
        let cover = try index.cover()
        if cover.seq > 0 {
            guard let line = try Self.line(at: cover.position, reader, directory),
                Int64(Checksum(line).value) == cover.checksum
            else {
                throw SQLite.Failure(message: "it covers a line that the log does not have")
            }
        }
        holdings = try index.holdings()
        head = cover.seq
        try replay(from: cover, reader, into: index)
        heard = try index.heardNames()
        self.index = index
    }

    /// nil where the log has no such line.
    private static func line(
        at position: LogPosition, _ reader: FactLogReader, _ directory: DataDirectory
    ) throws(StoreError) -> [UInt8]? {
        do {
            return try reader.read(position)
        } catch {
            if error.isNotFound { return nil }
            throw DataDirectory.explain(error, path: "\(directory.path)/log")
        }
    }

    private mutating func replay(from cover: Index.Cover, _ reader: FactLogReader, into index: Index) throws {
        var batch: [Index.Entry] = []
        var damaged = 0
        var held = holdings
        var seq = head
        let start = cover.seq == 0 ? (Int64(1), Int64(0)) : (cover.position.segment, cover.position.end)
        try reader.forEach(from: start) { line throws(StoreError) in
            guard case .fact(let bytes, let position) = line, let recorded = RecordedFact(parsing: bytes) else {
                damaged += 1
                return
            }
            // A repetition after a failed sync: the first of a name counts.
            guard !held.contains(recorded.fact.name) else { return }
            held.insert(recorded.fact.name)
            seq += 1
            batch.append(Index.Entry(seq: seq, position: position, recorded: recorded))
            guard batch.count >= Limits.indexLag else { return }
            do throws(SQLite.Failure) { try index.apply(batch, held: held) } catch { throw .index(error.message) }
            batch.removeAll(keepingCapacity: true)
        }
        try index.apply(batch, held: held)
        holdings = held
        head = seq
        if damaged > 0 { reports.append("\(damaged) damaged lines of the log were passed over") }
    }

    mutating func takeIndex() -> Index? {
        defer { index = nil }
        return index
    }

    mutating func takeLog() -> FactLog {
        guard let taken = log.take() else { preconditionFailure("a log is taken once") }
        return taken
    }
}
