internal import Model
internal import Reactor

/// The index of the log in SQLite: derived, deletable, made again from the log. It also remembers what was heard of but
/// is not held. Used by the catalogue alone. Tables: `Docs/Storage.md`, "The index".
final class Index {
    static let fileName = "index.sqlite"
    private static let version: Int64 = 5
    private static let schema = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE nodes (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);
        CREATE TABLE facts (
            seq INTEGER PRIMARY KEY, author INTEGER NOT NULL, incarnation INTEGER NOT NULL, n INTEGER NOT NULL,
            kind TEXT NOT NULL, segment INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL);
        CREATE UNIQUE INDEX facts_name ON facts (author, incarnation, n);
        CREATE TABLE ranges (
            author INTEGER NOT NULL, incarnation INTEGER NOT NULL, held TEXT NOT NULL,
            PRIMARY KEY (author, incarnation)) WITHOUT ROWID;
        CREATE TABLE sessions (
            id BLOB PRIMARY KEY, author INTEGER NOT NULL, seq INTEGER NOT NULL, mission TEXT NOT NULL,
            started INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE ends (
            session BLOB NOT NULL, seq INTEGER NOT NULL, author INTEGER NOT NULL, chunks INTEGER NOT NULL,
            rows INTEGER NOT NULL, at INTEGER NOT NULL, incarnation INTEGER NOT NULL, n INTEGER NOT NULL,
            PRIMARY KEY (session, seq)) WITHOUT ROWID;
        CREATE TABLE chunks (
            seq INTEGER PRIMARY KEY, session BLOB NOT NULL, stream TEXT NOT NULL, idx INTEGER NOT NULL,
            sha256 BLOB NOT NULL, bytes INTEGER NOT NULL, rows INTEGER NOT NULL, own INTEGER NOT NULL,
            counts INTEGER NOT NULL, held INTEGER NOT NULL, checked INTEGER NOT NULL);
        CREATE INDEX chunks_slot ON chunks (session, stream, idx);
        CREATE INDEX chunks_sha256 ON chunks (sha256);
        CREATE INDEX chunks_checked ON chunks (checked) WHERE held = 1;
        CREATE INDEX chunks_lost ON chunks (seq) WHERE held = 0;
        CREATE TABLE heard (
            author INTEGER NOT NULL, incarnation INTEGER NOT NULL, n INTEGER NOT NULL, session BLOB NOT NULL,
            sha256 BLOB NOT NULL, bytes INTEGER NOT NULL, newest INTEGER NOT NULL, fact BLOB NOT NULL,
            PRIMARY KEY (author, incarnation, n)) WITHOUT ROWID;
        CREATE INDEX heard_sha256 ON heard (sha256);
        CREATE INDEX heard_newest ON heard (newest);
        CREATE INDEX heard_session ON heard (session);
        """

    let sqlite: SQLite
    /// Only this node's own word counts of what is lost here.
    private let own: NodeID?
    private let lines: FactLogReader
    private var nodeRows: [NodeID: Int64] = [:]
    private var nodeNames: [Int64: NodeID] = [:]

    /// The last line that is covered, to be compared with the log before the index is believed.
    struct Cover: Hashable {
        var seq: Int64 = 0
        var position = LogPosition(segment: 1, offset: 0, length: 0)
        var checksum: Int64 = 0
    }

    /// Opens or makes it; a file that is no index of this version throws, and the caller makes another.
    init(path: String, own: NodeID?, lines: FactLogReader) throws(SQLite.Failure) {
        self.own = own
        self.lines = lines
        sqlite = try SQLite(path: path)
        try sqlite.execute(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-4000; PRAGMA temp_store=MEMORY")
        let version = try sqlite.integer("PRAGMA user_version") ?? 0
        if version == 0 {
            try sqlite.execute("BEGIN; \(Self.schema) PRAGMA user_version=\(Self.version); COMMIT")
        } else if version != Self.version {
            throw SQLite.Failure(message: "the index has version \(version)")
        }
        try loadNodes()
    }

    /// Before a long replay: more pages stay in memory, and checkpoints are few and large.
    func prepareForMuch() throws(SQLite.Failure) {
        try sqlite.execute("PRAGMA cache_size=-32000; PRAGMA wal_autocheckpoint=16384")
    }

    /// After it: the next start does not have to read a long write-ahead log of SQLite's.
    func settle() throws(SQLite.Failure) {
        try sqlite.execute(
            """
            PRAGMA wal_checkpoint(TRUNCATE); PRAGMA cache_size=-4000; PRAGMA wal_autocheckpoint=1000;
            PRAGMA shrink_memory
            """)
    }

    private func loadNodes() throws(SQLite.Failure) {
        nodeRows = [:]
        nodeNames = [:]
        var rows: [(Int64, [UInt8])] = []
        try sqlite.query("SELECT id, name FROM nodes") { row in
            rows.append((row.integer(0), row.blob(1)))
            return true
        }
        for (row, name) in rows {
            guard let digest = Digest256(bytes: name) else { throw SQLite.Failure(message: "a node's name is damaged") }
            remember(NodeID(digest: digest), row)
        }
    }

    func transaction<Result>(_ body: () throws(SQLite.Failure) -> Result) throws(SQLite.Failure) -> Result {
        try sqlite.execute("BEGIN IMMEDIATE")
        do {
            let result = try body()
            try sqlite.execute("COMMIT")
            return result
        } catch {
            // What failed is reported; that nothing of it stays is all a rollback is for.
            _ = try? sqlite.execute("ROLLBACK")
            // Rows of `nodes` that it had made are taken back with it, and their numbers will be another's.
            try loadNodes()
            throw error
        }
    }

    // MARK: Nodes

    private func remember(_ node: NodeID, _ row: Int64) {
        nodeRows[node] = row
        nodeNames[row] = node
    }

    func row(of node: NodeID) throws(SQLite.Failure) -> Int64 {
        if let row = nodeRows[node] { return row }
        try sqlite.run("INSERT OR IGNORE INTO nodes (name) VALUES (?)", [.blob(node.digest.bytes)])
        guard let row = try sqlite.integer("SELECT id FROM nodes WHERE name = ?", [.blob(node.digest.bytes)]) else {
            throw SQLite.Failure(message: "a node's row is missing")
        }
        remember(node, row)
        return row
    }

    func node(_ row: Int64) -> NodeID? { nodeNames[row] }

    // MARK: Cover and ranges

    func cover() throws(SQLite.Failure) -> Cover {
        var values: [String: Int64] = [:]
        try sqlite.query("SELECT key, value FROM meta") { row in
            values[row.text(0)] = row.integer(1)
            return true
        }
        guard let seq = values["seq"] else { return Cover() }
        return Cover(
            seq: seq,
            position: LogPosition(
                segment: values["segment"] ?? 0, offset: values["start"] ?? 0, length: values["length"] ?? 0),
            checksum: values["checksum"] ?? 0)
    }

    private func setCover(_ cover: Cover) throws(SQLite.Failure) {
        let values = [
            "seq": cover.seq, "segment": cover.position.segment, "start": cover.position.offset,
            "length": cover.position.length, "checksum": cover.checksum,
        ]
        for (key, value) in values {
            try sqlite.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [.text(key), .integer(value)])
        }
    }

    /// Names of all facts in the log.
    func logged() throws(SQLite.Failure) -> Holdings {
        var holdings = Holdings()
        var isSound = true
        try sqlite.query("SELECT author, incarnation, held FROM ranges") { row in
            guard let author = self.node(row.integer(0)), let ranges = RangeSet64(row.text(2), limit: .max) else {
                isSound = false
                return false
            }
            holdings[author, Incarnation(word: UInt64(bitPattern: row.integer(1)))] = ranges
            return true
        }
        guard isSound else { throw SQLite.Failure(message: "the ranges are damaged") }
        return holdings
    }

    // MARK: Applying the log

    struct Entry {
        let seq: Int64
        let position: LogPosition
        let recorded: RecordedFact
    }

    /// Takes lines that are durable in the log, in their order; `logged` is the ranges after them, `now` this node's
    /// wall clock.
    func apply(_ entries: [Entry], logged: Holdings, now: Int64) throws(SQLite.Failure) {
        guard let last = entries.last else { return }
        try transaction { () throws(SQLite.Failure) in
            var touched: Set<FactName> = []
            for entry in entries {
                try apply(entry, now: now)
                let name = entry.recorded.fact.name
                touched.insert(FactName(author: name.author, incarnation: name.incarnation, n: 1))
            }
            for name in touched { try setRanges(of: name, logged) }
            try setCover(
                Cover(
                    seq: last.seq, position: last.position, checksum: Int64(Checksum(last.recorded.bytes).value)))
        }
    }

    func setRanges(of name: FactName, _ logged: Holdings) throws(SQLite.Failure) {
        try sqlite.run(
            "INSERT OR REPLACE INTO ranges (author, incarnation, held) VALUES (?, ?, ?)",
            [
                .integer(try row(of: name.author)), .integer(name.incarnation.row),
                .text(logged[name.author, name.incarnation].description),
            ])
    }

    private func apply(_ entry: Entry, now: Int64) throws(SQLite.Failure) {
        let fact = entry.recorded.fact
        let author = try row(of: fact.name.author)
        let name: [SQLite.Value] = [.integer(author), .integer(fact.name.incarnation.row), .integer(fact.name.n)]
        try sqlite.run(
            """
            INSERT INTO facts (author, incarnation, n, seq, kind, segment, start, length)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            name + [
                .integer(entry.seq), .text(fact.body.kind), .integer(entry.position.segment),
                .integer(entry.position.offset), .integer(entry.position.length),
            ])
        switch (fact.body, fact.session) {
        case (.session(let opening), let id?):
            try sqlite.run(
                "INSERT OR IGNORE INTO sessions (id, author, seq, mission, started) VALUES (?, ?, ?, ?, ?)",
                [
                    .blob(id.bytes), .integer(author), .integer(entry.seq), .text(opening.mission),
                    .integer(fact.at.realtime),
                ])
            try rankAgain(id)
        case (.chunk(let chunk), let id?):
            try insert(chunk, of: id, author: author, seq: entry.seq, at: min(fact.at.realtime, now))
            try sqlite.run("DELETE FROM heard WHERE author = ? AND incarnation = ? AND n = ?", name)
        case (.end(let end), let id?):
            let totals = end.streams.values
            try sqlite.run(
                """
                INSERT INTO ends (session, seq, author, chunks, rows, at, incarnation, n)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    .blob(id.bytes), .integer(entry.seq), .integer(author),
                    .integer(Self.sum(totals.map(\.chunks))), .integer(Self.sum(totals.map(\.rows))),
                    .integer(fact.at.realtime), .integer(fact.name.incarnation.row), .integer(fact.name.n),
                ])
        case (.lost(let state), _) where fact.name.author == own:
            if let id = state.sha256 { try lose(id) }
        case (.held(let state), _) where fact.name.author == own:
            if let id = state.sha256 { try regain(id) }
        default: break
        }
    }

    /// A line that an earlier entry stands for; nil where it is damaged.
    func line(_ position: LogPosition) throws(SQLite.Failure) -> RecordedFact? {
        do {
            return try lines.read(position).flatMap { RecordedFact(parsing: $0) }
        } catch {
            throw SQLite.Failure(message: "the log cannot be read: \(error.reason)")
        }
    }

    /// Of a peer's numbers, which may be anything.
    private static func sum(_ numbers: [Int64]) -> Int64 {
        numbers.reduce(0) { sum, number in
            let (total, overflow) = sum.addingReportingOverflow(max(0, number))
            return overflow ? .max : total
        }
    }
}

extension Incarnation {
    /// SQLite's integers are signed.
    var row: Int64 { Int64(bitPattern: word) }
    init(row: Int64) { self.init(word: UInt64(bitPattern: row)) }
}
