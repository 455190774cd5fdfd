internal import Model

/// How long a Q-Series driver waits for what. The defaults worked on hardware; a fast simulator has them scaled.
package struct QSeriesTimings: Hashable, Sendable {
    /// After opening, before the first byte is written to a sensor that is to be set up.
    package var afterOpen = Duration.milliseconds(1200)
    /// After `X`, until data.
    package var afterReset = Duration.milliseconds(3500)
    /// For the menu prompt after ESC, counted from the last byte that came.
    package var menuPrompt = Duration.milliseconds(3000)
    /// For a menu command and its prompt.
    package var menuCommand = Duration.seconds(25)
    /// A prompt is one when nothing follows it for this long: a hung sensor that is woken twice prints two.
    package var promptQuiet = Duration.milliseconds(300)
    /// For an answer to a query, beyond the period.
    package var dataLine = Duration.seconds(5)
    /// Silence that is a fault, where three periods are not longer.
    package var silence = Duration.seconds(10)
    /// Between attempts to wake a silent sensor, at most: it doubles up to this.
    package var longestSilence = Duration.seconds(160)
    /// Beyond a period, before the first query.
    package var pollMargin = Duration.milliseconds(500)
    /// A first line whose first byte came this long after opening was not joined midway.
    package var joinMargin = Duration.milliseconds(100)
    /// A sample this long after the last line of a banner or menu is believed even where the banner's end was damaged.
    package var bannerEnd = Duration.seconds(3)
    /// Between attempts to open the port.
    package var reopen = Duration.milliseconds(500)
    /// Assumed where averaging and rate are not known.
    package var period = Duration.seconds(1)

    package init() {}

    /// The same for a sensor that runs `speed` times as fast.
    package func scaled(by speed: Double) -> Self {
        func scale(_ duration: Duration) -> Duration { .nanoseconds(Int64(Double(duration.nanoseconds) / speed)) }
        var timings = self
        for path in [
            \Self.afterOpen, \.afterReset, \.menuPrompt, \.menuCommand, \.promptQuiet, \.dataLine, \.silence,
            \.longestSilence, \.pollMargin, \.joinMargin, \.bannerEnd, \.reopen, \.period,
        ] { timings[keyPath: path] = scale(timings[keyPath: path]) }
        return timings
    }
}
