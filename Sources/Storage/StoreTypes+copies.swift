package import Model

/// Bytes of another node's open chunk, to be made durable here.
package struct CopyPiece: Hashable, Sendable {
    package let slot: ChunkSlot
    /// Where in the chunk they begin: at the end of what the copy has.
    package let offset: Int64
    package let bytes: [UInt8]
    /// Rows that are whole by this piece's end and were not before it.
    package let rows: Int64
    /// Rows of the stream before the chunk.
    package let firstRow: Int64
    package let first: ClockPair
    package let last: ClockPair

    package init(
        slot: ChunkSlot, offset: Int64, bytes: [UInt8], rows: Int64, firstRow: Int64, first: ClockPair, last: ClockPair
    ) {
        self.slot = slot
        self.offset = offset
        self.bytes = bytes
        self.rows = rows
        self.firstRow = firstRow
        self.first = first
        self.last = last
    }
}

/// How much of an open chunk is committed here: a copy of another node's, or one of this node's own.
package struct CopyState: Hashable, Sendable {
    package let slot: ChunkSlot
    package let length: Int64
    package let rows: Int64
    package let firstRow: Int64
    /// CRC-32C of the committed bytes.
    package let checksum: UInt32
    package let isOwn: Bool
    package let first: ClockPair
    package let last: ClockPair
    /// When bytes last came, on this node's clocks; of what a start found, the start.
    package let at: ClockReading
}

/// What became of a copy whose chunk is sealed elsewhere.
package enum CopyOutcome: Hashable, Sendable {
    /// The chunk is held, with no byte sent twice.
    case held
    /// The copy is the beginning of the chunk: a pull goes on behind it.
    case short
    /// The copy is not the chunk, and stands in quarantine; the chunk is pulled like any other.
    case mismatch
    /// There is no copy, it has more than the chunk of a peer that closed the session, or the fact is of another slot.
    case none
}

/// What closing another node's session came to.
package struct ClosedSession: Hashable, Sendable {
    /// Chunks that were copies.
    package let sealed: [HeldChunk]
    package let end: SessionEnd
}
