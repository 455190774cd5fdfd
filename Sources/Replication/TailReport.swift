package import Model

/// How live copies of a peer's open chunks stand.
package struct TailReport: Hashable, Sendable {
    /// A tail of what the peer itself writes is open.
    package var isLive = false
    /// All that the peer had to say was durable here at least once since that tail was opened.
    package var isJoined = false
    /// When the last word of it came, a heartbeat for one.
    package var heardAt: MonotonicTime?
    /// Chunks that grow here as they grow there.
    package var openChunks = 0
    /// Bytes that became durable here by it, since the start.
    package var bytes: Int64 = 0
    /// Clocks of the newest row that is durable here, as its author read them.
    package var newest: ClockPair?
    /// Since when something of which this node was told is not durable here, or nobody can say; nil where all of it is.
    package var behindSince: MonotonicTime?

    package init() {}

    /// For how long something that is committed there may be missing here: since this node was told of it, or since
    /// the last word where a heartbeat is overdue; zero where all of it is here. What is on its way from the peer is
    /// not counted before it arrives.
    package func lag(now: MonotonicTime) -> Duration {
        let overdue = heardAt.flatMap { isLive && $0.duration(to: now) > Limits.tailOverdue ? $0 : nil }
        return (behindSince ?? overdue).map { max(.zero, $0.duration(to: now)) } ?? .zero
    }
}
