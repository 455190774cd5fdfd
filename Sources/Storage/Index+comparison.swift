internal import Model

extension Index {
    /// The chunk that counts in each slot of a session.
    func counted(in session: SessionID) throws(SQLite.Failure) -> [(slot: Slot, id: ChunkID)] {
        var found: [(slot: Slot, id: ChunkID)] = []
        try sqlite.query(
            "SELECT stream, idx, sha256 FROM chunks WHERE session = ? AND counts = 1 ORDER BY stream, idx",
            [.blob(session.bytes)]
        ) { row in
            if let digest = Digest256(bytes: row.blob(2)) {
                let slot = Slot(session: session.bytes, stream: row.text(0), index: row.integer(1))
                found.append((slot, ChunkID(digest: digest)))
            }
            return true
        }
        return found
    }

    /// Every chunk of a session, held or lost.
    func ids(of session: SessionID) throws(SQLite.Failure) -> [ChunkID] {
        var found: [ChunkID] = []
        try sqlite.query("SELECT sha256 FROM chunks WHERE session = ?", [.blob(session.bytes)]) { row in
            if let digest = Digest256(bytes: row.blob(0)) { found.append(ChunkID(digest: digest)) }
            return true
        }
        return found
    }

    /// Every chunk that is held, with its length.
    func held() throws(SQLite.Failure) -> [HeldFile] { try unread(since: .max, limit: .max) }

    func opening(of row: SessionRow) throws(SQLite.Failure) -> SessionOpening? {
        guard let fact = try fact(seq: row.seq), let recorded = try line(fact.position),
            case .session(let opening) = recorded.fact.body
        else { return nil }
        return opening
    }

    /// Makes another index known to this one's connection.
    func attach(_ path: String) throws(SQLite.Failure) { try sqlite.run("ATTACH DATABASE ? AS other", [.text(path)]) }

    enum Side { case own, other }

    /// How much there is that this side does not say and the other does, in words; nil where it is nothing. Numbers of
    /// rows and of nodes differ between the two.
    func difference(from side: Side) throws(SQLite.Failure) -> String? {
        let parts = [
            (
                "facts",
                """
                SELECT a.name, f.incarnation, f.n, f.kind, f.segment, f.start, f.length
                FROM %.facts f JOIN %.nodes a ON a.id = f.author
                """
            ),
            (
                "sessions",
                "SELECT s.id, a.name, s.mission, s.started FROM %.sessions s JOIN %.nodes a ON a.id = s.author"
            ),
            (
                "ends",
                "SELECT e.session, a.name, e.incarnation, e.n, e.chunks, e.rows, e.at FROM %.ends e "
                    + "JOIN %.nodes a ON a.id = e.author"
            ),
            (
                "chunks",
                """
                SELECT a.name, f.incarnation, f.n, c.session, c.stream, c.idx, c.sha256, c.bytes, c.rows
                FROM %.chunks c JOIN %.facts f ON f.seq = c.seq JOIN %.nodes a ON a.id = f.author
                """
            ),
        ]
        for (name, query) in parts {
            let lacking = query.replacing("%", with: side == .own ? "main" : "other")
            let having = query.replacing("%", with: side == .own ? "other" : "main")
            let count = try sqlite.integer("SELECT COUNT(*) FROM (\(having) EXCEPT \(lacking))") ?? 0
            if count > 0 { return "\(count) \(name)" }
        }
        return nil
    }
}
