internal import Model

/// Where the commits of one open chunk ended, so that whoever copies it gets whole commits. Bounded: older commits that
/// fit one piece together are merged.
struct CommitMarks: Sendable {
    struct Mark: Hashable {
        /// Bytes of the chunk by its end.
        let end: Int64
        /// Rows of the chunk by its end.
        let rows: Int64
        let first: ClockPair
        let last: ClockPair
        /// CRC-32C of the chunk's bytes by its end.
        let checksum: UInt32
    }

    /// A stretch of a chunk as it is sent: up to a mark where one is in reach, else as much as one piece takes.
    struct Stretch: Hashable {
        let end: Int64
        /// Rows of the chunk by its end; nil in the middle of a commit, where nobody counted them.
        let rows: Int64?
        let first: ClockPair
        let last: ClockPair
    }

    private(set) var marks: [Mark] = []
    private var mergeAt = Limits.tailMarks

    mutating func append(_ mark: Mark) {
        precondition(mark.end >= marks.last?.end ?? 0, "a chunk only grows")
        marks.append(mark)
        if marks.count > mergeAt { merge() }
    }

    /// Neighbours become one where a piece takes both; what is left cannot be merged again, so the next attempt waits
    /// until there are twice as many.
    private mutating func merge() {
        var merged: [Mark] = []
        for (position, mark) in marks.enumerated() {
            let start = merged.count > 1 ? merged[merged.count - 2].end : 0
            // The newest stays a commit of its own.
            if let before = merged.last, position < marks.count - 1, mark.end - start <= Int64(Limits.tailPieceBytes) {
                merged[merged.count - 1] = Mark(
                    end: mark.end, rows: mark.rows, first: before.first, last: mark.last, checksum: mark.checksum)
            } else {
                merged.append(mark)
            }
        }
        marks = merged
        mergeAt = max(Limits.tailMarks, 2 * marks.count)
    }

    /// What comes behind `offset`, at most `limit` bytes; nil where nothing does.
    func stretch(from offset: Int64, limit: Int64) -> Stretch? {
        let next = position(beyond: offset)
        guard next < marks.count, limit > 0 else { return nil }
        let beyond = position(beyond: offset + limit)
        guard beyond > next else {
            return Stretch(end: offset + limit, rows: nil, first: marks[next].first, last: marks[next].first)
        }
        let last = marks[beyond - 1]
        return Stretch(end: last.end, rows: last.rows, first: marks[next].first, last: last.last)
    }

    /// Rows of the chunk that commits up to `offset` brought.
    func rows(by offset: Int64) -> Int64 {
        let next = position(beyond: offset)
        return next > 0 ? marks[next - 1].rows : 0
    }

    /// The last mark that ends at `offset` or before it.
    func last(by offset: Int64) -> Mark? {
        let next = position(beyond: offset)
        return next > 0 ? marks[next - 1] : nil
    }

    /// The first mark that ends beyond `offset`.
    private func position(beyond offset: Int64) -> Int {
        var (low, high) = (0, marks.count)
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].end > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
