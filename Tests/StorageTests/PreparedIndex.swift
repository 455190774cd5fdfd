import FoundationEssentials
import Glibc
import Model
import Reactor

@testable import Storage

/// SplitMix64; a failing seed can be run again.
struct Seed: RandomNumberGenerator {
    private var state: UInt64

    /// `INDEX_SEED` or another one each time; printed.
    static func random(_ what: String) -> Seed {
        let given = ProcessInfo.processInfo.environment["INDEX_SEED"].flatMap(UInt64.init)
        let state = given ?? .random(in: 0 ... .max)
        print("damage to the index, \(what): INDEX_SEED=\(state)")
        return Seed(state: state)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// The bytes of an index, as they lie on the disk at one moment.
struct IndexFiles {
    static let page = 4096
    static let frame = 24 + page

    var database: [UInt8]
    var wal: [UInt8]
    /// What it covers.
    let seq: Int64

    init(at path: String, seq: Int64) {
        let file = "\(path)/\(Index.fileName)"
        database = FileManager.default.contents(atPath: file).map(Array.init) ?? []
        wal = FileManager.default.contents(atPath: file + "-wal").map(Array.init) ?? []
        self.seq = seq
    }

    func write(to path: String) throws {
        let file = "\(path)/\(Index.fileName)"
        try Data(database).write(to: URL(filePath: file))
        if !wal.isEmpty { try Data(wal).write(to: URL(filePath: file + "-wal")) }
    }
}

extension Index {
    /// With a log that is empty: no fact here tells of a loss, so that no line is read.
    convenience init(at path: String) throws {
        try FileManager.default.createDirectory(atPath: "\(path)/log", withIntermediateDirectories: true)
        try self.init(
            path: "\(path)/\(Index.fileName)", own: PreparedIndex.fact(1).fact.name.author,
            lines: FactLogReader(Directory.open(path)))
    }
}

/// All that an index says, by its tables and by their indexes.
struct IndexContent {
    let seq: Int64
    let checksum: Checksum

    private static let rows = [
        ("meta", "key, value", "key"),
        ("nodes", "id, name", "id"),
        ("facts", "seq, author, incarnation, n, kind, segment, start, length", "seq"),
        ("facts INDEXED BY facts_name", "author, incarnation, n, seq", "author, incarnation, n"),
        ("ranges", "author, incarnation, held", "author, incarnation"),
        ("sessions", "id, author, seq, mission, started", "id"),
        ("ends", "session, seq, author, chunks, rows, at, incarnation, n", "session, seq"),
        ("chunks", "seq, session, stream, idx, sha256, bytes, rows, own, counts, held, checked", "seq"),
        ("chunks INDEXED BY chunks_slot", "session, stream, idx, seq", "session, stream, idx"),
        ("chunks INDEXED BY chunks_sha256", "sha256, seq", "sha256"),
        ("chunks INDEXED BY chunks_checked WHERE held = 1", "checked, seq", "checked, seq"),
        ("chunks INDEXED BY chunks_lost WHERE held = 0", "seq", "seq"),
        ("heard", "author, incarnation, n, session, sha256, bytes, newest, fact", "author, incarnation, n"),
        ("heard INDEXED BY heard_sha256", "sha256, n", "sha256"),
        ("heard INDEXED BY heard_newest", "newest, n", "newest"),
        ("heard INDEXED BY heard_session", "session, n", "session, n"),
    ]

    init(_ index: Index) throws(SQLite.Failure) {
        var checksum = Checksum()
        for (table, columns, order) in Self.rows {
            let row = columns.split(separator: ", ").map { "quote(\($0))" }.joined(separator: "||','||")
            try index.sqlite.query(
                "SELECT group_concat(row, x'0a') FROM (SELECT \(row) AS row FROM \(table) ORDER BY \(order))"
            ) {
                checksum.update(Array(("\(table)\n" + $0.text(0)).utf8)[...])
                return true
            }
        }
        self.checksum = checksum
        seq = try index.cover().seq
    }
}

/// An index that grew commit by commit, what it said after each, and its files at some moments.
struct PreparedIndex {
    /// After this many facts it said one of these.
    private(set) var contents: [Int64: Set<Checksum>] = [:]
    private(set) var closed = IndexFiles(at: "", seq: 0)
    /// The same index, closed when it had grown.
    private(set) var later = IndexFiles(at: "", seq: 0)
    /// What a writer leaves that is killed while it writes new frames over old ones, after a checkpoint, and in one.
    private(set) var killed: [String: IndexFiles] = [:]
    static let cases = ["writing", "copied", "copying"]

    static let batch: Int64 = 40

    init() throws {
        let path = NSTemporaryPath.make("qnode-index")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = "\(path)/\(Index.fileName)"
        var seq: Int64 = 0
        do {
            let index = try Index(at: path)
            contents[0] = try [IndexContent(index).checksum]
            for _ in 0..<30 { try grow(index, &seq) }
        }
        closed = IndexFiles(at: path, seq: seq)
        let start = seq
        for name in Self.cases {
            try closed.write(to: path)
            seq = start
            let index = try Index(at: path)
            try index.sqlite.execute("PRAGMA wal_autocheckpoint=0")
            for _ in 0..<4 { try grow(index, &seq) }
            let reader = name == "copying" ? try SQLite(path: file) : nil
            try reader?.execute("BEGIN; SELECT * FROM meta")
            for _ in 0..<4 { try grow(index, &seq) }
            try index.sqlite.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if name == "writing" { for _ in 0..<3 { try grow(index, &seq) } }
            killed[name] = IndexFiles(at: path, seq: seq)
            try reader?.execute("COMMIT")
        }
        later = IndexFiles(at: path, seq: seq)
    }

    private mutating func grow(_ index: Index, _ seq: inout Int64) throws {
        // The next ones are heard of before they are held.
        try index.hear((seq + 1...seq + Self.batch).map(Self.fact))
        contents[seq, default: []].insert(try IndexContent(index).checksum)
        let entries = (seq + 1...seq + Self.batch).map { n in
            Index.Entry(
                seq: n, position: LogPosition(segment: 1, offset: n * 500, length: 400), recorded: Self.fact(n))
        }
        seq += Self.batch
        var held = Holdings()
        for n in 1...seq { held.insert(Self.fact(n).fact.name) }
        try index.apply(entries, logged: held, now: seq)
        contents[seq, default: []].insert(try IndexContent(index).checksum)
    }

    /// A session of 100 facts, the last of which is its end.
    static func fact(_ n: Int64) -> RecordedFact {
        let author = NodeID(digest: digest(n / 100 % 3))
        let session = SessionID(high: 7, low: UInt64(n / 100))
        let body: Fact.Body =
            switch n % 100 {
            case 0: .session(opening)
            case 99: .end(SessionEnd(reason: "stopped", streams: ["data": .init(chunks: 98, rows: n, bytes: n)]))
            default:
                .chunk(
                    ChunkFact(
                        stream: n % 2 == 0 ? .data : .raw, index: n % 100 / 2, sha256: ChunkID(digest: digest(n)),
                        bytes: 1000 + n, rows: n, firstRow: n, first: ClockPair(realtime: n, boottime: n),
                        last: ClockPair(realtime: n * 7919 % 10007, boottime: n)))
            }
        let name = FactName(author: author, incarnation: Incarnation(word: 9), n: n)
        let at = ClockReading(realtime: n, boottime: n, bootID: session)
        return RecordedFact(
            fact: Fact(name: name, session: session, at: at, body: body), bytes: Array("{\"fact\":\(n)}".utf8))
    }

    private static func digest(_ n: Int64) -> Digest256 {
        var seed = UInt64(bitPattern: n)
        return Digest256(
            bytes: (0..<32).map { _ in
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: seed >> 40)
            })!
    }
}

/// Rot in the middle of each page of a file that another has open.
func rot(_ path: String, firstByte: Int, step: Int) throws {
    let descriptor = open(path, O_RDWR)
    guard descriptor >= 0 else { throw SyscallError("open", code: errno) }
    defer { close(descriptor) }
    var place = off_t(firstByte)
    var byte: UInt8 = 0
    while pread(descriptor, &byte, 1, place) == 1 {
        byte ^= 1
        guard pwrite(descriptor, &byte, 1, place) == 1 else { throw SyscallError("pwrite", code: errno) }
        place += off_t(step)
    }
}
