import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

/// A write-ahead log that was damaged where it was sound before.
@Suite struct DamagedLogTests {
    /// A session that was being written when the process died, and where the records of its log are.
    private struct Left {
        let path: String
        let session: SessionID
        let log: [UInt8]
        let records: [Range<Int>]
        let rows: [String]
        let sealed: Int
    }

    /// What recovery makes of it.
    private struct Found {
        let rows: [String]
        let raw: [String]
        let damage: [RecoveredJournal.Damage]
        let closed: [ClosedChunk]
    }

    private static func row(_ number: Int) -> String { "\(number)," + String(repeating: "v", count: number % 7) }

    /// A sealed chunk, then an open one of `commits` commits, two rows of `data` and two of `raw` each.
    private func leave(_ scratch: Scratch, commits: Int) async throws -> Left {
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        var rows: [String] = []
        func commit() async throws {
            let new = [Self.row(rows.count), Self.row(rows.count + 1)]
            let numbers = new.indices.map { "r\(rows.count + $0)" }
            let at = Int64(rows.count + 1)
            _ = try await store.commit([
                batch(session, rows: new, at: at), batch(session, .raw, rows: numbers, at: at),
            ])
            rows += new
        }
        try await commit()
        _ = try await store.seal(session)
        let sealed = rows.count
        for _ in 0..<commits { try await commit() }
        let path = "\(scratch.path)/\(try scratch.crashed(as: "left"))"
        let log = try #require(FileManager.default.contents(atPath: path + "/wal/000001").map(Array.init))
        var records: [Range<Int>] = []
        var position = WriteAheadLog.fileMagic.count
        while let (_, length) = WALRecord.decode(log[position...]) {
            records.append(position..<position + length)
            position += length
        }
        #expect(position == log.count && records.count == 2 + 2 + 2 * commits)
        return Left(path: path, session: session, log: log, records: records, rows: rows, sealed: sealed)
    }

    /// Recovery of the directory with this log; `withFiles`: with what the open chunks' files had.
    private func recover(_ left: Left, log: [UInt8], withFiles: Bool = true) throws -> Found {
        let path = "\(left.path)-damaged"
        let files = FileManager.default
        try? files.removeItem(atPath: path)
        try makeDirectories(path + "/wal")
        try files.copyItem(atPath: left.path + "/open", toPath: path + "/open")
        if !withFiles {
            for name in try files.subpathsOfDirectory(atPath: path + "/open")
            where name.contains("data.") || name.contains("raw.") {
                try files.removeItem(atPath: "\(path)/open/\(name)")
            }
        }
        _ = files.createFile(atPath: path + "/wal/000001", contents: Data(log))
        var recovery = JournalRecovery(directory: try DataDirectory(path), node: Scratch.author)
        let result = try recovery.run()
        func rows(_ stream: StreamName) throws -> [String] {
            try result.closed.filter { $0.slot.stream == stream }.sorted { $0.slot < $1.slot }.flatMap { chunk in
                let bytes = try chunk.file.descriptor.read(count: Int(chunk.bytes) + 1, at: 0)
                #expect(bytes.count == chunk.bytes && ChunkDigester.digest(of: bytes) == chunk.id)
                let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
                if stream == .data { #expect(lines.first == "timestamp,value", "a chunk begins with its header line") }
                let rows = stream == .data ? Array(lines.dropFirst()) : lines
                #expect(chunk.rows == rows.count)
                return rows
            }
        }
        return Found(
            rows: try rows(.data), raw: try rows(.raw), damage: result.damage, closed: result.closed)
    }

    /// Nothing is twice, nothing is torn, nothing is out of order.
    private func isSubsequence(_ rows: [String], of all: [String]) -> Bool {
        var rest = all[...]
        for row in rows {
            guard let at = rest.firstIndex(of: row) else { return false }
            rest = rest[(at + 1)...]
        }
        return true
    }

    @Test("a bit that flips anywhere in a record costs nothing while the chunk's file has the bytes, or that record")
    func flippedBits() async throws {
        let scratch = try Scratch()
        let left = try await leave(scratch, commits: 3)
        let open = Array(left.rows[left.sealed...])
        let raw = (left.sealed..<left.rows.count).map { "r\($0)" }
        for (number, record) in left.records.enumerated() {
            for position in stride(from: record.lowerBound, to: record.upperBound, by: 5) {
                var log = left.log
                log[position] ^= UInt8(1 << (position % 8))
                let found = try recover(left, log: log)
                let place = "record \(number), byte \(position - record.lowerBound)"
                // The records of the sealed chunks, and their seals: they may be found open once more.
                let rows = found.rows.filter { !left.rows[..<left.sealed].contains($0) }
                let lines = found.raw.filter { !["r0", "r1"].contains($0) }
                #expect(isSubsequence(rows, of: open) && isSubsequence(lines, of: raw), "\(place)")
                let lost = (open.count - rows.count) + (raw.count - lines.count)
                #expect(lost == 0 || lost == 2, "\(place): \(lost) rows are lost")
                let ofOpen = found.damage.filter { $0.slot.index == 1 }
                #expect(lost == 0 || ofOpen.count == 1, "\(place): a loss without a gap")
                // Where it is the place of the bytes that is damaged, what is between may be thought lost.
                let isPlace = (73..<82).contains(position - record.lowerBound)
                #expect(lost > 0 || isPlace || ofOpen.isEmpty, "\(place): a gap without a loss")
                // Its header and its bytes are not needed where the file has them.
                let isHeader = position < record.lowerBound + WALRecord.headerBytes
                if number >= 4, isHeader || position > record.upperBound - 5 { #expect(lost == 0, "\(place)") }
            }
        }
    }

    @Test("what follows a damaged record becomes the next chunk, and a gap tells what is missing")
    func holes() async throws {
        let scratch = try Scratch()
        let left = try await leave(scratch, commits: 4)
        let open = Array(left.rows[left.sealed...])
        // Records 4, 6, 8 and 10 are those of `data` in the open chunk. Without its file nothing else has the bytes.
        for (commit, number) in [4, 6, 8, 10].enumerated() {
            var log = left.log
            for position in left.records[number] { log[position] = 0 }
            let found = try recover(left, log: log, withFiles: false)
            var expected = open
            expected.removeSubrange(commit * 2..<commit * 2 + 2)
            #expect(found.rows == expected)
            #expect(found.raw == (left.sealed..<left.rows.count).map { "r\($0)" })
            let chunks = found.closed.filter { $0.slot.stream == .data }
            let isInside = commit > 0 && commit < 3
            #expect(chunks.map(\.slot.index) == (isInside ? [1, 2] : [1]))
            // At the end, nothing tells that there was more.
            guard commit < 3 else { continue }
            #expect(found.damage.map(\.slot.stream) == [.data])
            let gap = try #require(found.damage.first)
            let next = Int64(left.sealed + commit * 2 + 3)
            #expect(gap.to == ClockPair(realtime: next, boottime: next))
            if commit > 0 { #expect(gap.from == ClockPair(realtime: next - 4, boottime: next - 4)) }
        }
    }

    @Test("a log that is cut anywhere gives all whole records before the cut, and no row of half a record")
    func truncation() async throws {
        let scratch = try Scratch()
        let left = try await leave(scratch, commits: 2)
        let open = Array(left.rows[left.sealed...])
        for length in left.records[3].upperBound...left.log.count {
            let whole = left.records.count { $0.upperBound <= length } - 4
            let found = try recover(left, log: Array(left.log[..<length]), withFiles: false)
            // A commit of two streams is two records in the order of their names: `data` may be ahead of `raw`.
            #expect(found.rows == Array(open.prefix((whole + 1) / 2 * 2)), "\(length)")
            #expect(found.raw.count == whole / 2 * 2 && found.rows.count >= found.raw.count, "\(length)")
            #expect(found.damage.isEmpty, "\(length)")
        }
    }
}
