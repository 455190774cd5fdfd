package import Model

/// What was pulled from one peer since this process started, across its connections.
package struct PullTally: Hashable, Sendable {
    package private(set) var bytesMirrored: Int64 = 0
    package private(set) var chunksDownloaded: Int64 = 0
    /// `CLOCK_REALTIME` of the last chunk that became durable here.
    package private(set) var lastSync: Int64?
    package private(set) var faults = FaultCounts()
    package private(set) var lastFault: String?
    /// Since when the peer has had something that is missing here.
    var behindSince: MonotonicTime?
    /// The peer's holdings were compared on the link that stands.
    var isCompared = false
    private var meter = RateMeter()

    package init() {}

    package mutating func received(_ bytes: Int, now: MonotonicTime) { meter.add(Int64(bytes), now: now) }

    package mutating func admitted(_ bytes: Int64, realtime: Int64) {
        bytesMirrored += bytes
        chunksDownloaded += 1
        lastSync = realtime
    }

    package mutating func count(_ fault: PeerFault, _ reason: String) {
        faults.count(fault)
        lastFault = reason
    }

    package func bytesPerSecond(now: MonotonicTime) -> Int64 { meter.bytesPerSecond(now: now) }
}
