package import Model

/// Sees when somebody sets this machine's clock: realtime jumps against boottime. Slewing, which is slow, is none.
package struct ClockStepDetector: Hashable, Sendable {
    private var last: ClockReading?

    /// A clock that runs 500 ppm fast, looked at every second, gains half a millisecond; a step by hand or by NTP is
    /// 128 ms and more.
    static let threshold = Duration.milliseconds(10)

    package init() {}

    /// The step since the last look.
    package mutating func look(_ now: ClockReading) -> ClockStep? {
        defer { last = now }
        guard let last, last.bootID == now.bootID else { return nil }
        let step = ClockStep(before: ClockPair(last), after: ClockPair(now))
        return step.size.value.magnitude >= Self.threshold.nanoseconds.magnitude ? step : nil
    }
}
