internal import Model

extension Index {
    struct FactRow {
        let seq: Int64
        let author: NodeID
        let kind: String
        let position: LogPosition
    }

    private static let factColumns = "seq, kind, segment, start, length, author"

    private func factRow(_ row: SQLite.Row) -> FactRow? {
        guard let author = node(row.integer(5)) else { return nil }
        return FactRow(
            seq: row.integer(0), author: author, kind: row.text(1),
            position: LogPosition(segment: row.integer(2), offset: row.integer(3), length: row.integer(4)))
    }

    func facts(after seq: Int64, limit: Int) throws(SQLite.Failure) -> [FactRow] {
        var rows: [FactRow] = []
        try sqlite.query(
            "SELECT \(Self.factColumns) FROM facts WHERE seq > ? ORDER BY seq LIMIT ?",
            [.integer(seq), .integer(Int64(limit))]
        ) { row in
            if let fact = self.factRow(row) { rows.append(fact) }
            return true
        }
        return rows
    }

    /// The facts of one range, until `body` answers false.
    func facts(
        author: NodeID, incarnation: Incarnation, range: ClosedRange<Int64>, _ body: (FactRow) -> Bool
    ) throws(SQLite.Failure) {
        try sqlite.query(
            """
            SELECT \(Self.factColumns) FROM facts
            WHERE author = ? AND incarnation = ? AND n BETWEEN ? AND ? ORDER BY n
            """,
            [
                .integer(try row(of: author)), .integer(incarnation.row), .integer(range.lowerBound),
                .integer(range.upperBound),
            ]
        ) { row in self.factRow(row).map(body) ?? true }
    }

    func fact(seq: Int64) throws(SQLite.Failure) -> FactRow? {
        var found: FactRow?
        try sqlite.query("SELECT \(Self.factColumns) FROM facts WHERE seq = ?", [.integer(seq)]) { row in
            found = self.factRow(row)
            return false
        }
        return found
    }

    /// The fact whose line begins there. Reads the whole table: it is asked for damaged lines only.
    func fact(segment: Int64, start: Int64) throws(SQLite.Failure) -> FactRow? {
        var found: FactRow?
        try sqlite.query(
            "SELECT \(Self.factColumns) FROM facts WHERE segment = ? AND start = ?",
            [.integer(segment), .integer(start)]
        ) { row in
            found = self.factRow(row)
            return false
        }
        return found
    }

    func name(seq: Int64) throws(SQLite.Failure) -> FactName? {
        var name: FactName?
        try sqlite.query("SELECT author, incarnation, n FROM facts WHERE seq = ?", [.integer(seq)]) { row in
            name = self.node(row.integer(0)).map {
                FactName(author: $0, incarnation: Incarnation(row: row.integer(1)), n: row.integer(2))
            }
            return false
        }
        return name
    }

    // MARK: Sessions

    struct SessionRow {
        let id: SessionID
        let author: NodeID
        let seq: Int64
        let mission: String
        let endSeq: Int64?
    }

    /// The end that counts, alike on every node and whichever came first: the author's own word before that of a peer
    /// that closed the session, then the one that tells of more.
    private static let end = """
        SELECT e.seq FROM ends e JOIN sessions o ON o.id = e.session WHERE e.session = s.id
        ORDER BY e.author = o.author DESC, e.chunks DESC, e.rows DESC, e.at, e.incarnation, e.n LIMIT 1
        """

    func sessions(_ id: SessionID? = nil) throws(SQLite.Failure) -> [SessionRow] {
        let filter = id == nil ? "" : "WHERE s.id = ?"
        var rows: [SessionRow] = []
        try sqlite.query(
            "SELECT s.id, s.author, s.seq, s.mission, (\(Self.end)) FROM sessions s \(filter) ORDER BY s.started, s.id",
            id.map { [.blob($0.bytes)] } ?? []
        ) { row in
            if let id = SessionID(bytes: row.blob(0)), let author = self.node(row.integer(1)) {
                rows.append(
                    SessionRow(
                        id: id, author: author, seq: row.integer(2), mission: row.text(3),
                        endSeq: row.isNull(4) ? nil : row.integer(4)))
            }
            return true
        }
        return rows
    }

    func sessionCount() throws(SQLite.Failure) -> Int64 {
        try sqlite.integer("SELECT COUNT(*) FROM sessions") ?? 0
    }

    /// Sessions of this author without an end.
    func unended(of author: NodeID) throws(SQLite.Failure) -> [SessionID] {
        var found: [SessionID] = []
        try sqlite.query(
            "SELECT id FROM sessions WHERE author = ? AND NOT EXISTS (SELECT 1 FROM ends WHERE session = sessions.id)",
            [.integer(try row(of: author))]
        ) {
            if let id = SessionID(bytes: $0.blob(0)) { found.append(id) }
            return true
        }
        return found
    }

    func totals(of session: SessionID) throws(SQLite.Failure) -> [StreamName: SessionEnd.Totals] {
        var totals: [StreamName: SessionEnd.Totals] = [:]
        try sqlite.query(
            """
            SELECT stream, COUNT(*), SUM(rows), SUM(bytes) FROM chunks WHERE session = ? AND counts = 1 GROUP BY stream
            """, [.blob(session.bytes)]
        ) { row in
            if let stream = StreamName(row.text(0)) {
                totals[stream] = SessionEnd.Totals(chunks: row.integer(1), rows: row.integer(2), bytes: row.integer(3))
            }
            return true
        }
        return totals
    }

    /// Positions in the log of the session's chunk facts, by slot and rank.
    func chunkSeqs(of session: SessionID) throws(SQLite.Failure) -> [Int64] {
        var seqs: [Int64] = []
        try sqlite.query(
            """
            SELECT seq FROM chunks WHERE session = ? AND held = 1
            ORDER BY stream, idx, counts DESC, rows DESC, sha256, seq
            """, [.blob(session.bytes)]
        ) { row in
            seqs.append(row.integer(0))
            return true
        }
        return seqs
    }

    /// The chunk that counts in a slot.
    func firstChunk(
        _ session: SessionID, _ stream: StreamName, _ index: Int64
    ) throws(SQLite.Failure) -> ChunkID? {
        var found: ChunkID?
        try sqlite.query(
            "SELECT sha256 FROM chunks WHERE session = ? AND stream = ? AND idx = ? AND counts = 1",
            [.blob(session.bytes), .text(stream.description), .integer(index)]
        ) { row in
            found = Digest256(bytes: row.blob(0)).map(ChunkID.init(digest:))
            return false
        }
        return found
    }

    struct Counts {
        var chunks: Int64 = 0
        var dataChunks: Int64 = 0
        var chunkBytes: Int64 = 0
        var rows: Int64 = 0
    }

    func counts() throws(SQLite.Failure) -> Counts {
        var counts = Counts()
        try sqlite.query(
            """
            SELECT COUNT(*), SUM(bytes), SUM(CASE stream WHEN 'data' THEN rows END), SUM(stream = 'data')
            FROM chunks WHERE counts = 1
            """
        ) { row in
            counts = Counts(
                chunks: row.integer(0), dataChunks: row.integer(3), chunkBytes: row.integer(1), rows: row.integer(2))
            return false
        }
        return counts
    }

    // MARK: Heard of

    /// Remembers chunk facts in one transaction.
    func hear(_ facts: some Collection<RecordedFact>) throws(SQLite.Failure) {
        guard !facts.isEmpty else { return }
        try transaction { () throws(SQLite.Failure) in
            for recorded in facts { try hear(recorded) }
        }
    }

    func hear(_ recorded: RecordedFact) throws(SQLite.Failure) {
        guard case .chunk(let chunk) = recorded.fact.body, let session = recorded.fact.session else { return }
        let name = recorded.fact.name
        try sqlite.run(
            """
            INSERT OR IGNORE INTO heard (author, incarnation, n, session, sha256, bytes, newest, fact)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .integer(try row(of: name.author)), .integer(name.incarnation.row), .integer(name.n),
                .blob(session.bytes), .blob(chunk.sha256.digest.bytes), .integer(chunk.bytes),
                .integer(chunk.last.realtime), .blob(recorded.bytes),
            ])
    }

    func heardNames() throws(SQLite.Failure) -> Holdings {
        var holdings = Holdings()
        try sqlite.query("SELECT author, incarnation, n FROM heard") { row in
            if let author = self.node(row.integer(0)) {
                holdings.insert(
                    FactName(author: author, incarnation: Incarnation(row: row.integer(1)), n: row.integer(2)))
            }
            return true
        }
        return holdings
    }

    /// Exact bytes of heard chunk facts that name these bytes and whose session is known.
    func heardFacts(naming id: ChunkID) throws(SQLite.Failure) -> [[UInt8]] {
        try facts("sha256 = ? AND session IN (SELECT id FROM sessions)", [.blob(id.digest.bytes)])
    }

    func heardFacts(of session: SessionID) throws(SQLite.Failure) -> [[UInt8]] {
        try facts("session = ?", [.blob(session.bytes)])
    }

    private func facts(_ condition: String, _ values: [SQLite.Value]) throws(SQLite.Failure) -> [[UInt8]] {
        var found: [[UInt8]] = []
        try sqlite.query("SELECT fact FROM heard WHERE \(condition)", values) { row in
            found.append(row.blob(0))
            return true
        }
        return found
    }

    /// Heard chunks of known sessions, the newest first, until `body` answers false. What it is given reads the rest.
    /// A fact that names bytes which are held, and another length, is nobody's chunk.
    func forEachWanted(
        mission: String?, _ body: (ChunkClaim, () -> Catalogue.WantedRow) -> Bool
    ) throws(SQLite.Failure) {
        let filter = mission == nil ? "" : "AND s.mission = ?"
        try sqlite.query(
            """
            SELECT h.sha256, h.bytes, s.mission, h.fact FROM heard h JOIN sessions s ON s.id = h.session
            WHERE NOT EXISTS (
                SELECT 1 FROM chunks c WHERE c.sha256 = h.sha256 AND c.held = 1 AND c.bytes <> h.bytes) \(filter)
            ORDER BY h.newest DESC
            """, mission.map { [.text($0)] } ?? []
        ) { row in
            guard let digest = Digest256(bytes: row.blob(0)) else { return true }
            let claim = ChunkClaim(id: ChunkID(digest: digest), bytes: row.integer(1))
            return body(claim) { Catalogue.WantedRow(claim: claim, fact: row.blob(3), mission: row.text(2)) }
        }
    }

    func heardCount(_ session: SessionID? = nil) throws(SQLite.Failure) -> Int64 {
        if let session {
            return try sqlite.integer("SELECT COUNT(*) FROM heard WHERE session = ?", [.blob(session.bytes)]) ?? 0
        }
        return try sqlite.integer("SELECT COUNT(*) FROM heard") ?? 0
    }
}
