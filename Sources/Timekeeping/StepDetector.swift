/// Notices when a realtime clock is set: realtime − boottime is constant on one boot, since NTP slews both alike,
/// except for steps.
package struct StepDetector: Hashable, Sendable {
    /// Smaller changes are left alone: half of the 10 ms from which on a step is reported, so that none of those is
    /// missed.
    private static let threshold: Int64 = 5_000_000

    private var difference: Int64?
    /// How far the two readings behind `difference` may be apart.
    private var uncertainty: Int64 = 0

    package init() {}

    /// Size of the step since the samples before; nil where there was none. Positive where the clock was set forward.
    package mutating func take(_ sample: ClockSample) -> Int64? {
        let new = sample.realtime - sample.boottime
        let newUncertainty = 2 * sample.uncertainty
        guard let old = difference else {
            difference = new
            uncertainty = newUncertainty
            return nil
        }
        let size = new - old
        let isStep = abs(size) > Self.threshold + uncertainty + newUncertainty
        // Compared with the best sample so far, not with the last, small steps cannot creep.
        if isStep || newUncertainty < uncertainty {
            difference = new
            uncertainty = newUncertainty
        }
        return isStep ? size : nil
    }
}
