internal import Model
internal import Reactor

/// One moment on three clocks of one machine. `raw` is not slewed by NTP: exchanges are reckoned on it, and the others
/// are mapped from it. The three were not read at the same instant: each is true at some instant within `uncertainty`
/// of `raw`.
package struct ClockSample: Hashable, Sendable {
    /// `CLOCK_MONOTONIC_RAW`, nanoseconds.
    package let raw: Int64
    /// `CLOCK_REALTIME`, nanoseconds since 1970.
    package let realtime: Int64
    /// `CLOCK_BOOTTIME`, nanoseconds.
    package let boottime: Int64
    /// Nanoseconds.
    package let uncertainty: Int64

    package init(raw: Int64, realtime: Int64, boottime: Int64, uncertainty: Int64) {
        self.raw = raw
        self.realtime = realtime
        self.boottime = boottime
        self.uncertainty = uncertainty
    }

    /// Numbers within which differences of differences cannot overflow: an uptime of 31 years, a date before 2096.
    package var isSane: Bool {
        (0...1_000_000_000_000_000_000).contains(raw) && (0...4_000_000_000_000_000_000).contains(realtime)
            && (0...2_000_000_000_000_000_000).contains(boottime) && (0...1_000_000_000).contains(uncertainty)
    }

    /// Now: the other clocks are read between two readings of raw; of a few tries, the one least disturbed.
    package static func now() -> Self {
        var best = once()
        for _ in 0..<2 where best.uncertainty > 1_000 {
            let other = once()
            if other.uncertainty < best.uncertainty { best = other }
        }
        return best
    }

    private static func once() -> Self {
        let before = SystemClock.raw()
        let reading = SystemClock.reading()
        let after = SystemClock.raw()
        let half = (after - before) / 2
        return Self(
            raw: before + half, realtime: reading.realtime, boottime: reading.boottime,
            uncertainty: max(0, after - before - half) + 1)
    }
}
