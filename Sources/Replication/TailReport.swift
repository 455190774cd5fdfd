package import Model

/// How live copies of a peer's open chunks stand.
package struct TailReport: Hashable, Sendable {
    /// A tail of what the peer itself writes is open.
    package var isLive = false
    /// Chunks that grow here as they grow there.
    package var openChunks = 0
    /// Bytes that became durable here by it, since the start.
    package var bytes: Int64 = 0
    /// Clocks of the newest row that is durable here, as its author read them.
    package var newest: ClockPair?
    /// Since when something that is committed there is not durable here, or nobody can say; nil where all of it is.
    package var behindSince: MonotonicTime?

    package init() {}

    /// Age of the newest row that is not durable here, at most: zero where every committed row is.
    package func lag(now: MonotonicTime) -> Duration { behindSince.map { max(.zero, $0.duration(to: now)) } ?? .zero }
}
