import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

/// An index whose files are damaged is refused, or says what it said at one of its commits; never anything else.
@Suite struct IndexDamageTests {
    private static let prepared = Result { try PreparedIndex() }
    private let made: PreparedIndex

    init() throws { made = try Self.prepared.get() }

    private func expect(_ damage: IndexFiles, _ what: String, emptyIsRight: Bool = false) throws -> Bool {
        let path = NSTemporaryPath.make("qnode-index")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try damage.write(to: path)
        do {
            let found = try IndexContent(Index(at: path))
            let isEmpty = found.seq == 0 && emptyIsRight
            #expect(
                isEmpty || made.contents[found.seq]?.contains(found.checksum) == true, "\(what): a wrong value was read"
            )
            return false
        } catch is SQLite.Failure {
            return true
        }
    }

    @Test("an index that was closed, and one whose writer was killed, are read as they were written")
    func undamaged() throws {
        for files in [made.closed] + made.killed.values {
            let path = NSTemporaryPath.make("qnode-index")
            defer { try? FileManager.default.removeItem(atPath: path) }
            try files.write(to: path)
            let found = try IndexContent(Index(at: path))
            #expect(made.contents[found.seq]?.contains(found.checksum) == true)
            #expect(found.seq == files.seq)
        }
    }

    @Test("a flipped bit anywhere is found when its page is read")
    func flips() throws {
        var random = Seed.random("flips")
        var refused = 0
        for _ in 0..<200 {
            var files = made.closed
            let (byte, bit) = (Int.random(in: files.database.indices, using: &random), Int.random(in: 0..<8))
            files.database[byte] ^= 1 << bit
            if try expect(files, "bit \(bit) of byte \(byte) flipped") { refused += 1 }
        }
        // The rest are in pages that nothing refers to.
        #expect(refused > 150)
    }

    @Test("every bit of the head that is read before page 1 was checked")
    func head() throws {
        for byte in 0..<100 {
            var files = made.closed
            files.database[byte] ^= 1 << (byte % 8)
            #expect(try expect(files, "byte \(byte)"))
        }
    }

    @Test("a page of zeros, half a page of another time, and a page in another's place are found")
    func pages() throws {
        var random = Seed.random("pages")
        let pages = made.closed.database.count / IndexFiles.page
        #expect(pages > 60)
        for page in [0, 1, 2] + (0..<40).map({ _ in Int.random(in: 0..<pages, using: &random) }) {
            let range = page * IndexFiles.page..<(page + 1) * IndexFiles.page
            var zeroed = made.closed
            zeroed.database.replaceSubrange(range, with: repeatElement(0, count: IndexFiles.page))
            _ = try expect(zeroed, "page \(page) zeroed")
            var torn = made.closed
            let middle = range.lowerBound + 512 * Int.random(in: 1..<8, using: &random)
            let end = middle..<range.upperBound
            torn.database.replaceSubrange(end, with: made.later.database[end])
            // A whole page of another time is sound: no checksum of a page tells that.
            if torn.database[range] != made.later.database[range] { _ = try expect(torn, "page \(page) torn") }
            let other = Int.random(in: 0..<pages, using: &random)
            var swapped = made.closed
            for offset in 0..<IndexFiles.page {
                swapped.database.swapAt(page * IndexFiles.page + offset, other * IndexFiles.page + offset)
            }
            _ = try expect(swapped, "pages \(page) and \(other) swapped")
        }
    }

    @Test("a file that ends early is found; one without a byte is a new one")
    func truncations() throws {
        var random = Seed.random("truncations")
        let length = made.closed.database.count
        let pages = length / IndexFiles.page
        var refused = 0
        var lengths = [1, 99, 100, 4095, 4096, length - 4096, length - 1]
        lengths += (0..<20).map { _ in Int.random(in: 0..<pages, using: &random) * IndexFiles.page }
        lengths += (0..<20).map { _ in Int.random(in: 1..<length, using: &random) }
        for cut in lengths {
            var files = made.closed
            files.database.removeSubrange(cut...)
            if try expect(files, "cut at \(cut)", emptyIsRight: cut == 0) { refused += 1 }
        }
        // The rest are in pages at the end that nothing refers to.
        #expect(refused > 40)
        var empty = made.closed
        empty.database = []
        #expect(try !expect(empty, "cut at 0", emptyIsRight: true))
    }

    @Test(
        "a flipped bit in the -wal of a killed writer loses its last commits or is found",
        arguments: PreparedIndex.cases)
    func walFlips(_ name: String) throws {
        var random = Seed.random("-wal, \(name)")
        let killed = try #require(made.killed[name])
        for _ in 0..<60 {
            var files = killed
            let (byte, bit) = (Int.random(in: files.wal.indices, using: &random), Int.random(in: 0..<8))
            files.wal[byte] ^= 1 << bit
            _ = try expect(files, "\(name): bit \(bit) of byte \(byte) of the -wal flipped")
        }
        for byte in stride(from: 0, to: 56, by: 2) {
            var files = killed
            files.wal[byte] ^= 1 << (byte % 8)
            _ = try expect(files, "\(name): byte \(byte) of the -wal")
        }
    }

    @Test(
        "a -wal that lost frames, whole or in part, loses its last commits or is found", arguments: PreparedIndex.cases)
    func walFrames(_ name: String) throws {
        var random = Seed.random("-wal, \(name)")
        let killed = try #require(made.killed[name])
        let frames = (killed.wal.count - 32) / IndexFiles.frame
        #expect(frames > 20)
        for frame in [0, 1, frames - 1] + (0..<10).map({ _ in Int.random(in: 0..<frames, using: &random) }) {
            let start = 32 + frame * IndexFiles.frame
            var zeroed = killed
            zeroed.wal.replaceSubrange(
                start..<start + IndexFiles.frame, with: repeatElement(0, count: IndexFiles.frame))
            _ = try expect(zeroed, "\(name): frame \(frame) zeroed")
            for cut in [start, start + 24, start + Int.random(in: 1..<IndexFiles.frame, using: &random)] {
                var files = killed
                files.wal.removeSubrange(cut...)
                _ = try expect(files, "\(name): -wal cut at \(cut)")
            }
            var swapped = killed
            let other = 32 + Int.random(in: 0..<frames, using: &random) * IndexFiles.frame
            for offset in 0..<IndexFiles.frame { swapped.wal.swapAt(start + offset, other + offset) }
            _ = try expect(swapped, "\(name): frame \(frame) and that at \(other) swapped")
        }
        var gone = killed
        gone.wal = []
        let refused = try expect(gone, "\(name): no -wal")
        // Half a checkpoint needs its -wal.
        #expect(refused == (name == "copying"))
    }

    @Test(
        "a page that rots while the index is open is found too, in the database and in its -wal",
        arguments: ["", "-wal"])
    func rotsWhileOpen(_ suffix: String) throws {
        let path = NSTemporaryPath.make("qnode-index")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try #require(made.killed["writing"]).write(to: path)
        let file = "\(path)/\(Index.fileName)"
        let index = try Index(at: path)
        let isDatabase = suffix.isEmpty
        try rot(
            file + suffix, firstByte: isDatabase ? 2000 : 2056, step: isDatabase ? IndexFiles.page : IndexFiles.frame)
        try index.sqlite.execute("PRAGMA shrink_memory")
        #expect(throws: SQLite.Failure.self) { try IndexContent(index) }
        #expect(throws: SQLite.Failure.self) { try index.sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
    }

    @Test("whoever reads beside a writer finds nothing damaged, whatever checkpoints the writer makes")
    func beside() throws {
        let path = NSTemporaryPath.make("qnode-index")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = "\(path)/\(Index.fileName)"
        let writer = try Index(at: path)
        var held = Holdings()
        for n in Int64(1)...60 {
            // Every fourth of them keeps the checkpoint from copying all.
            let reader = try SQLite(path: file)
            if n % 4 == 0 { try reader.execute("BEGIN; SELECT * FROM meta") }
            let fact = PreparedIndex.fact(n)
            held.insert(fact.fact.name)
            let position = LogPosition(segment: 1, offset: n * 500, length: 400)
            try writer.apply([Index.Entry(seq: n, position: position, recorded: fact)], logged: held, now: n)
            if n % 3 == 0 { try writer.sqlite.execute("PRAGMA wal_checkpoint(PASSIVE)") }
            #expect(try SQLite(path: file).integer("SELECT COUNT(*) FROM facts") == n)
            #expect(try reader.integer("SELECT COUNT(*) FROM facts") == (n % 4 == 0 ? n - 1 : n))
        }
    }

    @Test("pages that are freed, used again and moved out of memory within one transaction pass the check")
    func churn() throws {
        let path = NSTemporaryPath.make("qnode-index")
        defer { try? FileManager.default.removeItem(atPath: path) }
        var random = Seed.random("churn")
        var right: [Int64: Int] = [:]
        do {
            let index = try Index(at: path)
            try index.sqlite.execute("PRAGMA cache_size=10; CREATE TABLE churn (id INTEGER PRIMARY KEY, bytes BLOB)")
            for round in 0..<30 {
                let before = right
                try index.sqlite.execute("BEGIN")
                for _ in 0..<200 {
                    let id = Int64.random(in: 0..<150, using: &random)
                    let count = Int.random(in: 0..<12_000, using: &random)
                    if Bool.random(using: &random) {
                        try index.sqlite.run("DELETE FROM churn WHERE id = ?", [.integer(id)])
                        right[id] = nil
                    } else {
                        try index.sqlite.run(
                            "INSERT OR REPLACE INTO churn VALUES (?, ?)",
                            [.integer(id), .blob([UInt8](repeating: UInt8(id), count: count))])
                        right[id] = count
                    }
                }
                if round % 3 == 2 { right = before }
                try index.sqlite.execute(round % 3 == 2 ? "ROLLBACK" : "COMMIT")
            }
        }
        var found: [Int64: Int] = [:]
        let index = try Index(at: path)
        try index.sqlite.query("SELECT id, bytes FROM churn") { row in
            let bytes = row.blob(1)
            #expect(bytes.allSatisfy { $0 == UInt8(row.integer(0)) })
            found[row.integer(0)] = bytes.count
            return true
        }
        #expect(found == right)
        try index.sqlite.query("PRAGMA integrity_check") { row in
            #expect(row.text(0) == "ok")
            return true
        }
    }
}
