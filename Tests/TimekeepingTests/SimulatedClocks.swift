import Model
import Timekeeping

/// SplitMix64: a seed makes a trial, and a failing one can be made again.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func exponential(mean: Double) -> Double { -mean * unit().logarithm }
    mutating func unit() -> Double { Double.random(in: 0.000_001..<1, using: &self) }
}

extension Double {
    /// Natural logarithm on 0..<1 by its series: the tests import no C library.
    fileprivate var logarithm: Double {
        var (value, result) = (self, 0.0)
        while value < 0.7 {
            value *= 2
            result -= 0.693_147_180_559_945_3
        }
        let y = (value - 1) / (value + 1)
        var (term, sum) = (y, 0.0)
        for odd in stride(from: 1.0, to: 15.0, by: 2.0) {
            sum += term / odd
            term *= y * y
        }
        return result + 2 * sum
    }
}

/// One machine's clocks as functions of the true time, in nanoseconds.
struct SimulatedMachine {
    var rawStart: Int64
    /// Parts per million that raw is fast.
    var rawRate: Double
    var realtimeStart: Int64
    /// Parts per million that realtime and boottime are slewed against raw.
    var slew: Double
    var stepped: Int64 = 0
    var boot = BootID.random()

    func raw(_ t: Double) -> Int64 { rawStart + Int64(t * (1 + rawRate / 1e6)) }
    func boottime(_ t: Double) -> Int64 { rawStart + Int64(t * (1 + (rawRate + slew) / 1e6)) }
    func realtime(_ t: Double) -> Int64 { realtimeStart + stepped + Int64(t * (1 + (rawRate + slew) / 1e6)) }

    /// The clocks are read one after another, somewhere within the uncertainty.
    func sample(_ t: Double, _ random: inout Seeded) -> ClockSample {
        let uncertainty = Int64(random.exponential(mean: 300)) + 50
        func late() -> Double { t + Double(uncertainty) * (random.unit() * 1.9 - 0.95) }
        return ClockSample(
            raw: raw(t), realtime: realtime(late()), boottime: boottime(late()), uncertainty: uncertainty + 2)
    }
}

/// Two machines and what lies between them.
struct SimulatedPair {
    var own: SimulatedMachine
    var peer: SimulatedMachine
    /// Least delay there and back, and the mean queue on each way.
    var there: Double
    var back: Double
    var queue: Double
    var t = 0.0
    var random: Seeded

    init(seed: UInt64) {
        var random = Seeded(state: seed)
        func machine() -> SimulatedMachine {
            SimulatedMachine(
                rawStart: .random(in: 0...1_000_000_000_000_000, using: &random),
                rawRate: .random(in: -49.9...49.9, using: &random),
                realtimeStart: .random(in: 1_500_000_000_000_000_000...1_900_000_000_000_000_000, using: &random),
                slew: .random(in: -400...400, using: &random))
        }
        own = machine()
        peer = machine()
        there = .random(in: 20_000...40_000_000, using: &random)
        back = .random(in: 20_000...40_000_000, using: &random)
        queue = .random(in: 1_000...6_000_000, using: &random)
        self.random = random
    }

    /// One exchange, at whose end `t` stands.
    mutating func exchange() -> ClockExchange {
        let sent = own.sample(t, &random)
        t += there + random.exponential(mean: queue)
        let received = peer.sample(t, &random)
        t += 20_000 + random.exponential(mean: 100_000)
        let answered = peer.sample(t, &random)
        t += back + random.exponential(mean: queue)
        let answer = ClockAnswer(received: received, sent: answered, bootID: peer.boot)
        return ClockExchange(sent: sent, answer: answer, received: own.sample(t, &random))
    }

    var trueOffset: Int64 { peer.realtime(t) - own.realtime(t) }
    var trueRawOffset: Int64 { peer.raw(t) - own.raw(t) }
}
