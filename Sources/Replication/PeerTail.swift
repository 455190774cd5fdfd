package import Storage

/// A peer's open chunks as they grow, read by one reader. Ends with its link.
package protocol PeerTail: Sendable {
    /// The next frame, a heartbeat among them; nil where the peer ended the tail. Throws `PeerLinkError`, or
    /// `CorruptTail`. What is not asked for is not read from the socket beyond a bounded buffer.
    func next() async throws -> TailFrame?

    /// Gives up; a `next` that is under way throws soon. Harmless after the end.
    func close() async
}

/// A frame's bytes do not have their checksum.
package struct CorruptTail: Error, Hashable {
    package init() {}
}
