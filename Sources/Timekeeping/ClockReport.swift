package import Model

/// How a peer's clock stands to this node's, and how sure that is. Offsets are peer − self: added to this node's time
/// they give the peer's.
package struct ClockEstimate: Hashable, Sendable {
    /// This node's `CLOCK_MONOTONIC_RAW` at which it holds.
    package let raw: Int64
    /// Between the two realtime clocks. Nanoseconds; so are all below.
    package let offset: Int64
    /// The true offset is never further away than this, either way.
    package let bound: Int64
    /// Between the two raw clocks, which nobody slews or steps.
    package let rawOffset: Int64
    package let rawBound: Int64
    /// Of the exchange that the estimate rests on.
    package let delay: Int64

    package init(raw: Int64, offset: Int64, bound: Int64, rawOffset: Int64, rawBound: Int64, delay: Int64) {
        self.raw = raw
        self.offset = offset
        self.bound = bound
        self.rawOffset = rawOffset
        self.rawBound = rawBound
        self.delay = delay
    }
}

/// What is known of one peer's clock, for `clock`, `status` and `sync_metadata.json`.
package struct ClockReport: Hashable, Sendable {
    package let peer: NodeID
    /// As of the last exchange; nil before the first. Its offset is peer − self; in files for older tools the sign is
    /// vehicle − topside.
    package let estimate: ClockEstimate?
    /// Rate of the peer's raw clock against ours, parts per billion. Unknown until it is measured.
    package let driftPartsPerBillion: Int64?
    package let exchanges: Int64
    package let refused: Int64
    /// Exchanges that failed on the way.
    package let failed: Int64
    /// This node's clocks at the last accepted exchange.
    package let lastAt: ClockReading?
    package let peerBoot: BootID?
    /// Steps of either realtime clock that exchanges showed, the newest last; few are kept.
    package let steps: [SeenStep]

    package init(
        peer: NodeID, estimate: ClockEstimate?, driftPartsPerBillion: Int64?, exchanges: Int64, refused: Int64,
        failed: Int64, lastAt: ClockReading?, peerBoot: BootID?, steps: [SeenStep]
    ) {
        self.peer = peer
        self.estimate = estimate
        self.driftPartsPerBillion = driftPartsPerBillion
        self.exchanges = exchanges
        self.refused = refused
        self.failed = failed
        self.lastAt = lastAt
        self.peerBoot = peerBoot
        self.steps = steps
    }
}

/// A step of a realtime clock between two exchanges.
package struct SeenStep: Hashable, Sendable {
    package enum Side: String, Hashable, Sendable { case own, peer }

    package let side: Side
    /// Positive where the clock was set forward; nanoseconds.
    package let size: Int64
    /// This node's clocks at the exchange that showed it.
    package let at: ClockReading

    package init(side: Side, size: Int64, at: ClockReading) {
        self.side = side
        self.size = size
        self.at = at
    }
}
