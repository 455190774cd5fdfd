import Model

/// Asks a sensor in polled mode for its samples: armed once after every reset, then one query at a time.
struct QSeriesPolling: Sendable {
    private enum Phase: Sendable {
        case unarmed
        /// The first average is being taken.
        case arming
        case asked(unanswered: Int)
        case resting
    }

    let tag: Character
    private let interval: Duration
    private let timings: QSeriesTimings
    private var phase = Phase.unarmed
    private var askedAt: MonotonicTime
    private(set) var deadline: MonotonicTime

    /// Queries without an answer before the sensor is armed anew: it may have been reset unheard.
    private static let patience = 3

    init(tag: Character, interval: Duration, timings: QSeriesTimings, now: MonotonicTime) {
        self.tag = tag
        self.interval = interval
        self.timings = timings
        askedAt = now
        deadline = now
    }

    /// A sample came.
    mutating func answered(now: MonotonicTime) {
        guard case .asked = phase else { return }
        phase = .resting
        deadline = max(now, askedAt.advanced(by: interval))
    }

    mutating func tick(now: MonotonicTime) -> [UInt8] {
        guard now >= deadline else { return [] }
        switch phase {
        case .unarmed:
            phase = .arming
            deadline = now.advanced(by: interval + timings.pollMargin)
            return Array("*\(tag)Q000!".utf8)
        case .asked(let unanswered) where unanswered + 1 >= Self.patience:
            phase = .unarmed
            return tick(now: now)
        case .asked(let unanswered): return ask(unanswered: unanswered + 1, now)
        case .arming, .resting: return ask(unanswered: 0, now)
        }
    }

    private mutating func ask(unanswered: Int, _ now: MonotonicTime) -> [UInt8] {
        phase = .asked(unanswered: unanswered)
        askedAt = now
        deadline = now.advanced(by: interval + timings.dataLine)
        return Array(">\(tag)*".utf8)
    }
}
