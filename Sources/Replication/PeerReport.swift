package import Model

/// Where a peer stands, for people: `status`, `peers`, and the older service's counters.
package struct PeerReport: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        /// No address is known at the moment.
        case lost
        case dialling
        case greeting
        /// Holdings are compared and facts fetched.
        case comparing
        case live
        /// It answers and refuses; asked again, less and less often.
        case refused
        /// Not followed by policy; it may still state what it holds.
        case unfollowed
    }

    /// Nil until it said who it is.
    package var id: NodeID?
    package var name: String?
    package var role: Role?
    package var version: String?
    package var state: State
    /// Where it is connected, or was last.
    package var endpoint: Endpoint?
    /// Since anything came from it.
    package var silence: Duration?
    /// Chunks that it has, that are wanted, and that are not here; nil where that is not known: it is not connected,
    /// not compared yet, or the look for them failed.
    package var backlog: Backlog?
    /// Facts of it that are heard and not taken yet, and those that were not asked for, as no more may be remembered.
    package var factsWaiting: Int64 = 0
    /// How long there has been a backlog from it; zero where there is none. Nil before the first comparison.
    package var behindFor: Duration?
    /// How its open chunks are followed; nil where they are not to be.
    package var tail: Tail?
    /// For how long something that it committed may be missing here, since this node heard of it; zero where all of
    /// it is here. Nil where nobody can say: it is not followed, or does not tell of its open chunks.
    package var lag: Duration?
    /// Its chunks that grow here as they grow there.
    package var growingChunks = 0
    /// Bytes a second that came of chunks, open ones among them, over the last seconds.
    package var bytesPerSecond: Int64 = 0
    package var bytesMirrored: Int64 = 0
    package var chunksDownloaded: Int64 = 0
    /// `CLOCK_REALTIME` when its last chunk became durable here.
    package var lastSync: Int64?
    package var faults = FaultCounts()
    /// The last trouble in words.
    package var lastFault: String?
    /// What it stated to hold of this node's own facts, and how many of them are not among that. Nil where it stated
    /// nothing.
    package var unacknowledged: Int64?

    /// Why nothing is fetched from it for now, although it has what is missing here.
    package var pullPause: String?

    package init(state: State) { self.state = state }

    /// How long the backlog takes at the present rate; nil where there is none, or nothing moves.
    package var timeToDone: Duration? {
        guard let backlog, backlog.bytes > 0, bytesPerSecond > 0 else { return nil }
        return .seconds((backlog.bytes - 1) / bytesPerSecond + 1)
    }

    /// It has something that is wanted and is not here; nil where that is not known.
    package var isBehind: Bool? { behindFor.flatMap { _ in backlog.map { $0.chunks > 0 } } }

    package enum Tail: String, Hashable, Sendable {
        /// Not open, or it has not yet said once that all it had is said.
        case awaited
        case open
    }

    package struct Backlog: Hashable, Sendable {
        package var chunks: Int64 = 0
        package var bytes: Int64 = 0
        /// `bytes` is reckoned from the newest chunks: there are too many to add up each time.
        package var isEstimate = false

        package init(chunks: Int64 = 0, bytes: Int64 = 0, isEstimate: Bool = false) {
            self.chunks = chunks
            self.bytes = bytes
            self.isEstimate = isEstimate
        }
    }
}
