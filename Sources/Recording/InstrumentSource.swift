internal import Model

/// Where rows come from: an instrument and whatever connects it. It connects by itself, again and again, until it is
/// cancelled.
package protocol InstrumentSource: Actor {
    /// Rings when there is something to take; at most one ring waits.
    nonisolated var bell: AsyncStream<Void> { get }
    /// What has come since the last call, in order; empty where nothing did. What is not taken in time is dropped and
    /// counted.
    func take() -> [InstrumentEvent]
    func status() -> InstrumentStatus
    /// Returns when cancelled.
    func run() async
}

/// How an instrument is, as status pages show it.
package struct InstrumentStatus: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        case disconnected
        case connecting
        /// Connected, and nothing came for longer than it should.
        case silent
        case menu = "config_menu"
        case banner
        case freerun = "acq_freerun"
        case polled = "acq_polled"
        /// Lines of an instrument of another kind.
        case streaming
    }

    package var state: State
    package var identity: InstrumentIdentity?
    package var port: String?
    package var baud: Int?
    package var model: String?
    package var firmware: String?
    /// Why it is not connected, for people.
    package var trouble: String?
    /// Time between the last rows.
    package var period: Duration?
    package var lines: Int64 = 0
    package var rows: Int64 = 0
    package var resets: Int64 = 0
    package var recoveries: Int64 = 0
    /// Temperatures and voltages that the sensor's converter cannot have given: a hint at bytes that flipped.
    package var offLattice: Int64 = 0
    package var rejected: [LineRejection: Int64] = [:]

    package init(state: State) { self.state = state }
}
