internal import Model
internal import Storage

/// Rows and facts that wait for the disk. Bounded in bytes: rows that do not fit are dropped, counted, and told of as
/// one gap when the disk takes rows again. What is being committed stays here until it was acknowledged.
struct RowQueue: Sendable {
    struct PendingRows: Sendable {
        let session: SessionID
        var data: RowBatch?
        var raw: RowBatch?

        var batches: [RowBatch] { [data, raw].compactMap { $0 } }
        var byteCount: Int { batches.reduce(0) { $0 + $1.bytes.count } }
        var rowCount: Int64 { data?.rows ?? 0 }

        /// Goes before what came while it was tried.
        mutating func prepend(_ earlier: PendingRows) {
            data = Self.joined(earlier.data, data)
            raw = Self.joined(earlier.raw, raw)
        }

        private static func joined(_ first: RowBatch?, _ second: RowBatch?) -> RowBatch? {
            guard var joined = first else { return second }
            guard let second else { return first }
            joined.bytes += second.bytes
            joined.rows += second.rows
            joined.last = second.last
            return joined
        }
    }

    struct Loss: Hashable, Sendable {
        let session: SessionID
        var rows: Int64
        let from: ClockPair
        var to: ClockPair
    }

    private(set) var pending: [PendingRows] = []
    private(set) var byteCount = 0
    private(set) var rowCount: Int64 = 0
    /// What was dropped since the disk took rows last: one for each session that lost any.
    private(set) var losses: [Loss] = []
    private let byteLimit: Int
    private var stamp: RowWriter.Stamp?

    init(byteLimit: Int = Limits.queuedRowBytes) { self.byteLimit = byteLimit }

    var isEmpty: Bool { pending.isEmpty }
    func isEmpty(for session: SessionID) -> Bool { !pending.contains { $0.session == session } }

    /// Spells one line as a row of `raw` and, where it is one, of `data`; false where there is no room for them.
    mutating func append(
        _ line: ReceivedLine, row: Int64?, sensorID: String, session: SessionID, writer: RowWriter
    ) -> Bool {
        let at = ClockPair(line.at)
        // Once rows are lost, later ones are too until the disk took some: order stays, and the gap is one.
        guard losses.isEmpty, byteCount < byteLimit else {
            var loss = Loss(session: session, rows: 0, from: at, to: at)
            if losses.last?.session == session { loss = losses.removeLast() }
            loss.rows += line.isRow ? 1 : 0
            loss.to = at
            losses.append(loss)
            return false
        }
        let stamp = stamp.flatMap { $0.at == line.at ? $0 : nil } ?? RowWriter.Stamp(line.at)
        self.stamp = stamp
        let position = pending.firstIndex { $0.session == session } ?? pending.endIndex
        if position == pending.endIndex { pending.append(PendingRows(session: session)) }
        let before = pending[position].byteCount
        if line.isRow {
            var batch = Self.batch(&pending[position].data, .data, session, at)
            writer.appendRow(line, stamp, sensorID: sensorID, to: &batch.bytes)
            batch.rows += 1
            pending[position].data = batch
            rowCount += 1
        }
        var batch = Self.batch(&pending[position].raw, .raw, session, at)
        RowWriter.appendRaw(line, stamp, row: row, to: &batch.bytes)
        batch.rows += 1
        pending[position].raw = batch
        byteCount += pending[position].byteCount - before
        return true
    }

    /// Takes the batch out, so that its bytes grow in place.
    private static func batch(
        _ slot: inout RowBatch?, _ stream: StreamName, _ session: SessionID, _ at: ClockPair
    ) -> RowBatch {
        guard var batch = slot.take() else {
            return RowBatch(session: session, stream: stream, bytes: [], rows: 0, first: at, last: at)
        }
        batch.last = at
        return batch
    }

    /// The rows of one session, to be committed. They count as queued until `committed`.
    mutating func takeFirst() -> PendingRows? { pending.isEmpty ? nil : pending.removeFirst() }

    mutating func committed(_ rows: PendingRows) {
        byteCount -= rows.byteCount
        rowCount -= rows.rowCount
    }

    /// They were not acknowledged: they are committed again, before what came since.
    mutating func putBack(_ rows: PendingRows) {
        if let position = pending.firstIndex(where: { $0.session == rows.session }) {
            pending[position].prepend(rows)
        } else {
            pending.insert(rows, at: 0)
        }
    }

    /// Gives up everything that waits: rows that were not written are lost, and those that had no room behind them.
    mutating func abandon() -> [Loss] {
        var given = pending.compactMap { rows in
            (rows.data ?? rows.raw).map {
                Loss(session: rows.session, rows: rows.rowCount, from: $0.first, to: $0.last)
            }
        }
        for lost in losses {
            if let position = given.firstIndex(where: { $0.session == lost.session }) {
                given[position].rows += lost.rows
                given[position].to = lost.to
            } else {
                given.append(lost)
            }
        }
        (pending, byteCount, rowCount, losses) = ([], 0, 0, [])
        return given
    }

    /// Rows of a session that nobody knows any more: they have no place.
    mutating func drop(_ rows: PendingRows) -> Loss? {
        committed(rows)
        return (rows.data ?? rows.raw).map {
            Loss(session: rows.session, rows: rows.rowCount, from: $0.first, to: $0.last)
        }
    }

    /// What was dropped, once there is room again.
    mutating func takeLosses() -> [Loss] {
        guard byteCount < byteLimit else { return [] }
        defer { losses = [] }
        return losses
    }
}
