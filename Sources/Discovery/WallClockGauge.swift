internal import Model

/// Notices that the wall clock was set, by comparing it with the time since boot whenever Avahi sets or meets a
/// time-out.
///
/// Inside Avahi times are wall-clock times too: its queue of events, its histories of what was just asked or answered,
/// the ages of its records. Set forward, all of them are due at once, each runs once, and what the link then says again
/// is heard again. Set back by an hour, they would all wait for an hour: then the responder has to be made anew. No
/// watch of its own is needed for that: the first of the stale events comes, by its delay, when it was due, and finds
/// the step.
struct WallClockGauge: Sendable {
    private var last: (offset: Int64, boottime: Int64)?

    /// Steps smaller than this delay Avahi by no more than this.
    static let smallest = Duration.seconds(1)
    /// An NTP client slews by at most this share.
    private static let slewPerMille: Int64 = 1

    /// By how much the wall clock was set since the last look, where it was.
    mutating func step(realtime: Int64, boottime: Int64) -> Duration? {
        let offset = realtime - boottime
        defer { last = (offset, boottime) }
        guard let last else { return nil }
        let slewed = (boottime - last.boottime) / 1000 * Self.slewPerMille
        let step = offset - last.offset
        return step.magnitude > UInt64(max(0, Self.smallest.nanoseconds + slewed)) ? .nanoseconds(step) : nil
    }

    /// Microseconds until a wall-clock time, never negative, at most a day: Avahi's longest wait is an hour.
    static func delayMicroseconds(untilSeconds seconds: Int64, microseconds: Int64, realtime: Int64) -> Int64 {
        let day: Int64 = 86_400
        let now = realtime / 1_000_000_000
        guard seconds >= now else { return 0 }
        guard seconds - now < day else { return day * 1_000_000 }
        return max(0, (seconds - now) * 1_000_000 + microseconds - realtime % 1_000_000_000 / 1000)
    }
}
