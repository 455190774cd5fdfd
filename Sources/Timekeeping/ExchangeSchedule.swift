internal import Model

/// Decides when to ask a peer for the time: a burst on connect, then now and then; after a failure soon again, less and
/// less so, and then with a burst.
package struct ExchangeSchedule: Hashable, Sendable {
    private var burstLeft = Limits.clockBurst
    private var failures = 0

    package init() {}

    package var isInBurst: Bool { burstLeft > 0 }

    /// Until the next exchange.
    package mutating func succeeded() -> Duration {
        failures = 0
        burstLeft = max(0, burstLeft - 1)
        return burstLeft > 0 ? Limits.clockBurstInterval : Limits.clockInterval
    }

    package mutating func failed() -> Duration {
        let delay = min(Limits.clockInterval, Limits.clockRetryDelay * (1 << min(failures, 8)))
        failures += 1
        burstLeft = Limits.clockBurst
        return delay
    }
}
