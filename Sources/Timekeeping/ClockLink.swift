package import Model

/// Supplies exchanges with one peer, over a connection that carries nothing else. Supplied by Gateway.
package protocol ClockLink: Sendable {
    /// One question and its answer: `sent` is sampled right before the request is written, `received` right after the
    /// answer was read. Throws soon after its task is cancelled; a link whose connection broke opens another for the
    /// next exchange.
    func exchange() async throws -> ClockExchange
}

/// The answering side's part of an exchange: what `GET /v1/clock` carries.
package struct ClockAnswer: Hashable, Sendable {
    /// Sampled when the request had been read.
    package let received: ClockSample
    /// Sampled right before the answer is written.
    package let sent: ClockSample
    package let bootID: BootID

    package init(received: ClockSample, sent: ClockSample, bootID: BootID) {
        self.received = received
        self.sent = sent
        self.bootID = bootID
    }
}
