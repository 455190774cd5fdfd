internal import Model

/// Which chunks are held, which of them counts in its slot, and when their bytes were last read.
extension Index {
    func insert(
        _ chunk: ChunkFact, of id: SessionID, author: Int64, seq: Int64, at realtime: Int64
    ) throws(SQLite.Failure) {
        let own = try sqlite.integer("SELECT author FROM sessions WHERE id = ?", [.blob(id.bytes)]) == author
        try sqlite.run(
            """
            INSERT INTO chunks (session, stream, idx, seq, sha256, bytes, rows, own, counts, held, checked)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 1, ?)
            """,
            [
                .blob(id.bytes), .text(chunk.stream.description), .integer(chunk.index), .integer(seq),
                .blob(chunk.sha256.digest.bytes), .integer(chunk.bytes), .integer(chunk.rows), .integer(own ? 1 : 0),
                .integer(realtime),
            ])
        try rank(Slot(session: id.bytes, stream: chunk.stream.description, index: chunk.index))
    }

    /// A slot as its rows spell it.
    struct Slot: Hashable {
        let session: [UInt8]
        let stream: String
        let index: Int64
    }

    /// Alike on every node: the session's author first, then more rows, then the smaller digest; of what is held.
    private func rank(_ slot: Slot) throws(SQLite.Failure) {
        try sqlite.run(
            """
            UPDATE chunks SET counts = (seq = COALESCE((
                SELECT seq FROM chunks WHERE session = ?1 AND stream = ?2 AND idx = ?3 AND held = 1
                ORDER BY own DESC, rows DESC, sha256 ASC, seq ASC LIMIT 1), -1))
            WHERE session = ?1 AND stream = ?2 AND idx = ?3
            """, [.blob(slot.session), .text(slot.stream), .integer(slot.index)])
    }

    /// A session fact that came after its chunks, since its line was damaged and fetched again: now it is known which
    /// of them are its author's.
    func rankAgain(_ session: SessionID) throws(SQLite.Failure) {
        var slots: Set<Slot> = []
        try sqlite.query("SELECT stream, idx FROM chunks WHERE session = ?", [.blob(session.bytes)]) { row in
            slots.insert(Slot(session: session.bytes, stream: row.text(0), index: row.integer(1)))
            return true
        }
        guard !slots.isEmpty else { return }
        try sqlite.run(
            """
            UPDATE chunks SET own = (SELECT f.author FROM facts f WHERE f.seq = chunks.seq)
                = (SELECT author FROM sessions WHERE id = ?1)
            WHERE session = ?1
            """, [.blob(session.bytes)])
        for slot in slots { try rank(slot) }
    }

    // MARK: Gone and back

    /// The chunk's bytes are gone: its facts are what was heard of again.
    func lose(_ id: ChunkID) throws(SQLite.Failure) {
        var positions: [LogPosition] = []
        try sqlite.query(
            """
            SELECT f.segment, f.start, f.length FROM chunks c JOIN facts f ON f.seq = c.seq
            WHERE c.sha256 = ? AND c.held = 1
            """, [.blob(id.digest.bytes)]
        ) { row in
            positions.append(
                LogPosition(segment: row.integer(0), offset: row.integer(1), length: row.integer(2)))
            return true
        }
        for position in positions {
            guard let recorded = try line(position) else { continue }
            try hear(recorded)
        }
        try setHeld(id, false)
    }

    /// The chunk's bytes are here again.
    func regain(_ id: ChunkID) throws(SQLite.Failure) {
        try setHeld(id, true)
        try sqlite.run(
            """
            DELETE FROM heard WHERE sha256 = ?1 AND EXISTS (SELECT 1 FROM facts f
                WHERE f.author = heard.author AND f.incarnation = heard.incarnation AND f.n = heard.n)
            """, [.blob(id.digest.bytes)])
    }

    private func setHeld(_ id: ChunkID, _ isHeld: Bool) throws(SQLite.Failure) {
        try sqlite.run(
            "UPDATE chunks SET held = ? WHERE sha256 = ?", [.integer(isHeld ? 1 : 0), .blob(id.digest.bytes)])
        for slot in try slots(of: id) { try rank(slot) }
    }

    /// Where the log has the first fact of a chunk that is held.
    func heldSeq(of id: ChunkID) throws(SQLite.Failure) -> Int64? {
        try sqlite.integer("SELECT seq FROM chunks WHERE sha256 = ? AND held = 1", [.blob(id.digest.bytes)])
    }

    func slots(of id: ChunkID) throws(SQLite.Failure) -> [Slot] {
        var slots: [Slot] = []
        try sqlite.query("SELECT session, stream, idx FROM chunks WHERE sha256 = ?", [.blob(id.digest.bytes)]) { row in
            slots.append(Slot(session: row.blob(0), stream: row.text(1), index: row.integer(2)))
            return true
        }
        return slots
    }

    /// Slots of the chunks that entered the log last, each with the chunk that counts there.
    func newest(_ limit: Int) throws(SQLite.Failure) -> [(slot: Slot, id: ChunkID)] {
        var found: [(slot: Slot, id: ChunkID)] = []
        try sqlite.query(
            "SELECT session, stream, idx, sha256 FROM chunks WHERE counts = 1 ORDER BY seq DESC LIMIT ?",
            [.integer(Int64(limit))]
        ) { row in
            if let digest = Digest256(bytes: row.blob(3)) {
                let slot = Slot(session: row.blob(0), stream: row.text(1), index: row.integer(2))
                found.append((slot, ChunkID(digest: digest)))
            }
            return true
        }
        return found
    }

    func chunkCount(of session: [UInt8]) throws(SQLite.Failure) -> Int64 {
        try sqlite.integer("SELECT COUNT(*) FROM chunks WHERE session = ?", [.blob(session)]) ?? 0
    }

    /// Facts of the log that name these bytes, held or not.
    func names(of id: ChunkID) throws(SQLite.Failure) -> [FactName] {
        try names("c.sha256 = ?", [.blob(id.digest.bytes)])
    }

    /// Chunk facts of the log whose bytes are gone.
    func lostNames() throws(SQLite.Failure) -> Holdings {
        try names("c.held = 0", []).reduce(into: Holdings()) { $0.insert($1) }
    }

    private func names(_ condition: String, _ values: [SQLite.Value]) throws(SQLite.Failure) -> [FactName] {
        var names: [FactName] = []
        try sqlite.query(
            "SELECT f.author, f.incarnation, f.n FROM chunks c JOIN facts f ON f.seq = c.seq WHERE \(condition)", values
        ) { row in
            if let author = self.node(row.integer(0)) {
                names.append(FactName(author: author, incarnation: Incarnation(row: row.integer(1)), n: row.integer(2)))
            }
            return true
        }
        return names
    }

    /// Some of the chunks whose bytes are gone, others each time.
    func someLost(_ limit: Int) throws(SQLite.Failure) -> [HeldFile] {
        try files(
            "SELECT sha256, bytes FROM chunks WHERE held = 0 ORDER BY RANDOM() LIMIT ?",
            [.integer(Int64(limit))])
    }

    /// A line of the log that turned out to be damaged: what stood in it is not known here any more.
    func forget(_ seq: Int64, _ name: FactName, logged: Holdings) throws(SQLite.Failure) {
        try transaction { () throws(SQLite.Failure) in
            var slots: [Slot] = []
            try sqlite.query("SELECT session, stream, idx FROM chunks WHERE seq = ?", [.integer(seq)]) { row in
                slots.append(Slot(session: row.blob(0), stream: row.text(1), index: row.integer(2)))
                return true
            }
            for table in ["facts", "chunks", "sessions", "ends"] {
                try sqlite.run("DELETE FROM \(table) WHERE seq = ?", [.integer(seq)])
            }
            for slot in slots { try rank(slot) }
            try setRanges(of: name, logged)
        }
    }

    // MARK: Reading everything again

    struct HeldFile {
        let id: ChunkID
        let bytes: Int64
    }

    /// Held chunks that were last read before `realtime`, the oldest first.
    func unread(since realtime: Int64, limit: Int) throws(SQLite.Failure) -> [HeldFile] {
        try files(
            "SELECT sha256, bytes FROM chunks WHERE held = 1 AND checked < ? ORDER BY checked LIMIT ?",
            [.integer(realtime), .integer(Int64(limit))])
    }

    private func files(_ query: String, _ values: [SQLite.Value]) throws(SQLite.Failure) -> [HeldFile] {
        var files: [HeldFile] = []
        try sqlite.query(query, values) { row in
            if let digest = Digest256(bytes: row.blob(0)) {
                files.append(HeldFile(id: ChunkID(digest: digest), bytes: row.integer(1)))
            }
            return true
        }
        return files
    }

    func length(of id: ChunkID) throws(SQLite.Failure) -> Int64? {
        try sqlite.integer("SELECT bytes FROM chunks WHERE sha256 = ? AND held = 1 LIMIT 1", [.blob(id.digest.bytes)])
    }

    func setRead(_ ids: [ChunkID], at realtime: Int64) throws(SQLite.Failure) {
        guard !ids.isEmpty else { return }
        try transaction { () throws(SQLite.Failure) in
            for id in ids {
                try sqlite.run(
                    "UPDATE chunks SET checked = ? WHERE sha256 = ?", [.integer(realtime), .blob(id.digest.bytes)])
            }
        }
    }

    /// When the byte that was not read for longest was last read; nil where nothing is held.
    func oldestRead() throws(SQLite.Failure) -> Int64? {
        try sqlite.integer("SELECT checked FROM chunks WHERE held = 1 ORDER BY checked LIMIT 1")
    }
}
