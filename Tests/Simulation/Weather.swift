import Model

/// How the way between two nodes is, in both directions alike.
struct Weather {
    var latency: Duration = .milliseconds(1)
    /// Up to this much more, each message another.
    var jitter: Duration = .zero
    /// Bytes a second.
    var rate: Double = 12_500_000
    /// Messages that come a retransmission later.
    var loss = 0.0
    /// Messages that never come, on a connection that seems to stand.
    var vanishing = 0.0
    /// Messages with which their link ends.
    var breaking = 0.0
    /// Pieces of chunks with a wrong byte.
    var corruption = 0.0
    /// Answers of chunks that end in the middle.
    var cutting = 0.0

    /// Drawn for one path of one world.
    init(_ sim: Simulator, isRough: Bool) {
        latency = sim.pick([.microseconds(100), .milliseconds(1), .milliseconds(20), .milliseconds(150)])
        jitter = latency * Double.random(in: 0...1, using: &sim.random)
        rate = sim.pick([12_500_000, 12_500_000, 1_000_000, 100_000])
        guard isRough else { return }
        loss = sim.pick([0, 0.01, 0.05, 0.2])
        vanishing = sim.pick([0, 0, 0.002, 0.01])
        breaking = sim.pick([0, 0, 0.002, 0.02])
        cutting = sim.pick([0, 0, 0.02, 0.2])
        corruption = sim.pick([0, 0, 0, 0.02, 0.1])
    }

    /// The same way on a calm day.
    var calmed: Self {
        var calm = self
        calm.loss = 0
        calm.vanishing = 0
        calm.breaking = 0
        calm.cutting = 0
        calm.corruption = 0
        return calm
    }
}

/// The way between two nodes.
final class Path {
    /// What a cut means for what stands and for what is dialled.
    enum Cut {
        /// Nothing comes through and nobody says so; what was sent comes late.
        case silent
        /// Standing links end at once, dials are refused.
        case loud
        /// Standing links never carry anything again, and nobody says so.
        case forgetful
    }

    var weather: Weather
    /// As it was before it became calm.
    private(set) var stormy: Weather
    var cut: Cut?
    /// When the last byte that is on its way has left, in each direction.
    var busyUntil: [Bool: Int64] = [:]
    var held: [() -> Void] = []

    init(_ weather: Weather) {
        self.weather = weather
        stormy = weather
    }

    func calm() { weather = stormy.calmed }
}
