/// Four timestamps: this node asks, the peer receives and answers, this node reads. Times are each side's own, on
/// `CLOCK_MONOTONIC_RAW`, with samples of its other clocks beside them.
package struct ClockExchange: Hashable, Sendable {
    /// First timestamp: this node, before the request was written.
    package let sent: ClockSample
    /// Second and third timestamps: the peer's.
    package let answer: ClockAnswer
    /// Fourth timestamp: this node, after the answer was read.
    package let received: ClockSample

    package init(sent: ClockSample, answer: ClockAnswer, received: ClockSample) {
        self.sent = sent
        self.answer = answer
        self.received = received
    }
}

/// Why an exchange is not believed.
package enum ClockRefusal: Error, Hashable, Sendable {
    /// Numbers beyond what any clock shows.
    case absurd
    /// A side answered before it was asked.
    case backwards
    /// The peer claims to have worked longer than the whole exchange took.
    case impossibleDelay
    /// The whole took so long that it says nothing.
    case tooSlow
}
