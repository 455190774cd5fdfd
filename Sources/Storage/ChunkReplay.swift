internal import Model
internal import Reactor

/// What the write-ahead log says of one chunk: stretches of its bytes in their order. Of two words about the same bytes
/// the later counts, since what is repeated was not acknowledged before.
struct ChunkReplay {
    /// Bytes that one record vouches for.
    struct Piece {
        let offset: Int64
        let length: Int64
        let checksum: UInt32
        /// nil where the chunk's file has them, or nobody.
        let inline: [UInt8]?
        var rows: Int64
        var first: ClockPair
        var last: ClockPair
        /// Its record is damaged: it counts only where bytes are found that have the checksum, and of its rows and
        /// times nothing is believed.
        let isDoubtful: Bool
        var end: Int64 { offset + length }
    }

    /// A stretch of sound bytes, or one of which nothing sound is left.
    enum Span {
        case sound([Piece])
        /// `rows` is nil where nothing tells how many there were.
        case missing(rows: Int64?, times: (from: ClockPair, to: ClockPair)?)
    }

    let slot: ChunkSlot
    private(set) var firstRow: Int64
    private(set) var pieces: [Piece] = []
    /// A sound record names the slot.
    private(set) var isCertain = false

    private var end: Int64 { pieces.last?.end ?? 0 }

    init(slot: ChunkSlot, firstRow: Int64) {
        self.slot = slot
        self.firstRow = firstRow
    }

    mutating func take(_ commit: WALRecord.Commit, isDoubtful: Bool) {
        guard commit.length > 0 else { return }
        note(commit.firstRow, isDoubtful)
        guard !isDoubtful || commit.offset >= end else { return }
        pieces.removeAll { $0.end > commit.offset }
        let inline = commit.inline.flatMap { Checksum($0).value == commit.checksum ? $0 : nil }
        pieces.append(
            Piece(
                offset: commit.offset, length: commit.length, checksum: commit.checksum, inline: inline,
                rows: commit.rows, first: commit.first, last: commit.last, isDoubtful: isDoubtful))
    }

    mutating func take(_ checkpoint: WALRecord.Checkpoint, isDoubtful: Bool) {
        guard checkpoint.length > 0 else { return }
        note(checkpoint.firstRow, isDoubtful)
        guard !isDoubtful || pieces.isEmpty else { return }
        pieces.removeAll { $0.end > checkpoint.length }
        // The file itself has these bytes, unless pieces of an earlier segment can give them again.
        let isCovered =
            end == checkpoint.length && !pieces.contains { $0.isDoubtful }
            && pieces.reduce(0) { $0 + $1.length } == checkpoint.length
        guard !isCovered else { return }
        pieces = [
            Piece(
                offset: 0, length: checkpoint.length, checksum: checkpoint.checksum, inline: nil, rows: checkpoint.rows,
                first: checkpoint.first, last: checkpoint.last, isDoubtful: isDoubtful)
        ]
    }

    private mutating func note(_ firstRow: Int64, _ isDoubtful: Bool) {
        guard !isDoubtful else { return }
        self.firstRow = firstRow
        isCertain = true
    }

    /// The chunk from its first byte on. `check` answers a piece's rows where its bytes are found sound; `total` is how
    /// many rows the chunk had, where something later tells; `hasLostEnd`: bytes behind the last piece are missing.
    /// `hasDamage`: what damaged records say of bytes that are nowhere counts as lost; a torn end's does not.
    func spans(
        total: Int64?, hasDamage: Bool, hasLostEnd: Bool, _ check: (Piece) throws(SyscallError) -> Int64?
    ) throws(SyscallError) -> [Span] {
        var spans: [Span] = []
        var expected: Int64 = 0
        for (position, piece) in pieces.enumerated() {
            let checked = try check(piece)
            guard checked != nil || hasDamage || !piece.isDoubtful else { continue }
            if piece.offset > expected { Self.append(.missing(rows: nil, times: nil), to: &spans) }
            expected = piece.end
            guard let rows = checked else {
                let isKnown = !piece.isDoubtful
                Self.append(
                    .missing(rows: isKnown ? piece.rows : nil, times: isKnown ? (piece.first, piece.last) : nil),
                    to: &spans)
                continue
            }
            var sound = piece
            sound.rows = rows
            if piece.isDoubtful { settle(&sound, position) }
            Self.append(.sound([sound]), to: &spans)
        }
        if hasLostEnd { Self.append(.missing(rows: nil, times: nil), to: &spans) }
        return total.map { Self.counted(spans, total: $0) } ?? spans
    }

    /// Times that a damaged record tells may be anything; those of its neighbours are near enough.
    private func settle(_ piece: inout Piece, _ position: Int) {
        let before = pieces[..<position].last { !$0.isDoubtful }?.last
        let after = pieces[(position + 1)...].first { !$0.isDoubtful }?.first
        piece.first = before ?? after ?? piece.first
        piece.last = after ?? before ?? piece.last
    }

    private static func append(_ span: Span, to spans: inout [Span]) {
        switch (spans.last, span) {
        case (.sound(let before)?, .sound(let pieces)):
            spans[spans.count - 1] = .sound(before + pieces)
        case (.missing(let before, let times)?, .missing(let rows, let more)):
            var sum: Int64?
            if let before, let rows { sum = before + rows }
            let from = times ?? more
            let to = more ?? times
            spans[spans.count - 1] = .missing(rows: sum, times: from.flatMap { from in to.map { (from.from, $0.to) } })
        default: spans.append(span)
        }
    }

    /// Where one stretch is of unknown rows, or rows are missing at the end, the total tells how many.
    private static func counted(_ spans: [Span], total: Int64) -> [Span] {
        let known = spans.reduce(Int64(0)) { $0 + ($1.rows ?? 0) }
        guard total >= known else { return spans }
        let unknown = spans.indices.filter { spans[$0].rows == nil }
        if unknown.isEmpty, total > known { return spans + [.missing(rows: total - known, times: nil)] }
        guard unknown.count == 1, case .missing(_, let times) = spans[unknown[0]] else { return spans }
        var counted = spans
        counted[unknown[0]] = .missing(rows: total - known, times: times)
        return counted
    }
}

extension ChunkReplay.Span {
    var rows: Int64? {
        switch self {
        case .sound(let pieces): pieces.reduce(0) { $0 + $1.rows }
        case .missing(let rows, _): rows
        }
    }
}
