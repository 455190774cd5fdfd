package import Model
package import Storage

/// A peer's open chunks as they grow, read by one reader. Ends with its link.
package protocol PeerTail: Sendable {
    /// The next frame, a heartbeat among them; nil where the peer ended the tail. Throws `PeerLinkError`, or
    /// `CorruptTail`. What is not asked for is not read from the socket beyond a bounded buffer.
    func next() async throws -> TailFrame?

    /// Gives up; a `next` that is under way throws soon. Harmless after the end.
    func close() async
}

/// One frame of a tail.
package enum TailFrame: Hashable, Sendable {
    /// The exact bytes of a session's fact.
    case session(fact: [UInt8])
    /// Committed bytes, and how many more of this chunk are committed at the peer's behind them.
    case commit(CopyPiece, left: Int64)
    /// The chunk's fact, exactly.
    case sealed(ChunkSlot, fact: [UInt8])
    /// The peer does not have it open.
    case dropped(ChunkSlot)
    /// The copy here is longer than what is committed there.
    case beyond(ChunkSlot)
    case heartbeat
}

/// A frame's bytes do not have their checksum.
package struct CorruptTail: Error, Hashable {
    package init() {}
}
