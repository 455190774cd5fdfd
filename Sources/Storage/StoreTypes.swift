package import Model

/// Rows of one stream that are to become durable together.
package struct RowBatch: Hashable, Sendable {
    package let session: SessionID
    package let stream: StreamName
    /// Whole rows, each with its newline; the chunk's preamble is not among them.
    package var bytes: [UInt8]
    package var rows: Int64
    /// When the first and the last of the rows arrived.
    package let first: ClockPair
    package var last: ClockPair

    package init(
        session: SessionID, stream: StreamName, bytes: [UInt8], rows: Int64, first: ClockPair, last: ClockPair
    ) {
        self.session = session
        self.stream = stream
        self.bytes = bytes
        self.rows = rows
        self.first = first
        self.last = last
    }
}

/// How far a stream's open chunk has come: what the seal policy looks at.
package struct OpenChunkState: Hashable, Sendable {
    package let stream: StreamName
    package let index: Int64
    /// Committed bytes, the preamble among them.
    package let bytes: Int64
    package let rows: Int64
    package let first: ClockPair
}

/// A session of this node that has no `end`: found at the start, or running.
package struct OpenSession: Hashable, Sendable {
    package let id: SessionID
    package let opening: SessionOpening
    package let startedAt: ClockReading
    /// The last commit or seal that is known of.
    package let lastActivity: ClockReading
    /// An orderly stop was noted: the node was told to end, it did not die.
    package let stoppedOrderly: Bool
    package let totals: [StreamName: SessionEnd.Totals]
    package let openChunks: [OpenChunkState]
    /// Rows that were acknowledged and are lost: they keep their numbers.
    package var lostRows: [StreamName: Int64] = [:]
}

/// A chunk that the node holds.
package struct HeldChunk: Hashable, Sendable {
    package let session: SessionID
    package let fact: ChunkFact
    package let name: FactName
    /// Position in this node's log.
    package let seq: Int64
    package let at: ClockReading
}

/// A session as lists show it; its totals are of what is held here.
package struct SessionSummary: Hashable, Sendable {
    package let id: SessionID
    package let author: NodeID
    package let opening: SessionOpening
    package let startedAt: ClockReading
    package let end: SessionEnd?
    package let endedAt: ClockReading?
    package let held: [StreamName: SessionEnd.Totals]
    /// Chunks heard of but not held.
    package let missingChunks: Int64
}

/// One fact of the log with its position.
package struct LoggedFact: Hashable, Sendable {
    package let seq: Int64
    package let author: NodeID
    package let kind: String
    package let bytes: [UInt8]
}

/// A chunk heard of but not held.
package struct WantedChunk: Hashable, Sendable {
    package let name: FactName
    package let session: SessionID
    package let mission: String
    package let fact: ChunkFact

    package var claim: ChunkClaim { ChunkClaim(id: fact.sha256, bytes: fact.bytes) }
}

/// What a chunk fact says of its bytes. Facts of one digest and different lengths cannot all be true, and before the
/// bytes are here nobody knows which of them is.
package struct ChunkClaim: Hashable, Sendable {
    package let id: ChunkID
    package let bytes: Int64

    package init(id: ChunkID, bytes: Int64) {
        self.id = id
        self.bytes = bytes
    }
}

/// What became of facts that a peer sent.
package struct ReceiptReport: Hashable, Sendable {
    /// New to this log.
    package var logged = 0
    /// Chunk facts whose bytes are still to be pulled.
    package var heard = 0
    /// Chunk facts whose bytes were here already.
    package var adopted = 0
    /// Known before.
    package var known = 0
    /// Not a fact, too large, or of this very process.
    package var refused = 0

    package init() {}
}

/// What a data directory holds, for `status`.
package struct StoreSummary: Hashable, Sendable {
    package let sessions: Int64
    package let chunks: Int64
    /// Of stream `data`: what people count.
    package let dataChunks: Int64
    package let chunkBytes: Int64
    /// Of stream `data`.
    package let rows: Int64
    package let facts: Int64
    package let wanted: Int64
    /// Live copies of other nodes' open chunks.
    package let copies: Int64
    package let quarantined: Int64
    package let freeBytes: Int64
    /// When the held byte that was not read for longest was last read, by this node's wall clock in nanoseconds.
    package let oldestRead: Int64?
    /// How much of the log the index covers, from 0 to 1, while the counts above are not known; nil where they are.
    package let indexed: Double?
}

/// What is done about an index that is behind the log before a store is open.
package enum IndexOpening: Sendable {
    /// It is brought up to the log.
    case whole
    /// A step of that; the store's `keepIndex` does the rest. Until then recording works, and what asks the index
    /// throws `indexing`.
    case meanwhile
    /// It is thrown away and made again, chunks and folder for people compared with it; called with the bytes of the
    /// log that are done and all of them.
    case anew(progress: @Sendable (Int64, Int64) -> Void)

    var isWaitedFor: Bool { if case .meanwhile = self { false } else { true } }
}

/// How the folder for people is made.
package enum ViewMode: String, Sendable, CaseIterable {
    case link, copy, off
}

/// How much of the folder for people is brought up to date.
package enum ViewRefresh: Hashable, Sendable {
    /// Open chunks that have no partial copy yet.
    case newPartials
    /// Partial copies, and manifests as often as is worth it.
    case due
    case all
}
