import Model
import Testing

@testable import Timekeeping

@Suite struct ClockEstimatorTests {
    private let boot = BootID.random()

    @Test("the bound holds in all of 2,000 trials of asymmetric, queueing links and drifting, slewed clocks")
    func boundHolds() throws {
        for seed in 1...2_000 as ClosedRange<UInt64> {
            var pair = SimulatedPair(seed: seed)
            var estimator = ClockEstimator(ownBoot: boot)
            for number in 0..<24 {
                let change = try estimator.accept(pair.exchange())
                let estimate = try #require(estimator.estimate)
                let isTrue = abs(estimate.offset - pair.trueOffset) <= estimate.bound
                let isRawTrue = abs(estimate.rawOffset - pair.trueRawOffset) <= estimate.rawBound
                guard isTrue, isRawTrue, change == ClockEstimator.Change() else {
                    Issue.record("seed \(seed), exchange \(number): \(estimate), truth \(pair.trueOffset), \(change)")
                    return
                }
                pair.t += number < 12 ? 50e6 : 10e9
                let later = try #require(estimator.estimate(at: pair.own.raw(pair.t)))
                guard abs(later.rawOffset - pair.trueRawOffset) <= later.rawBound else {
                    Issue.record("seed \(seed), after exchange \(number): \(later), truth \(pair.trueRawOffset)")
                    return
                }
            }
        }
    }

    @Test("on a quiet link the bound is small, and so the test above says something")
    func boundIsTight() throws {
        var pair = SimulatedPair(seed: 1)
        (pair.there, pair.back, pair.queue) = (30_000, 30_000, 5_000)
        var estimator = ClockEstimator(ownBoot: boot)
        for _ in 0..<12 {
            _ = try estimator.accept(pair.exchange())
            pair.t += 50e6
        }
        let estimate = try #require(estimator.estimate)
        #expect(estimate.bound < 200_000)
        #expect(estimate.rawBound < 150_000)
        #expect(estimate.delay < 80_000)
    }

    @Test("one slow exchange after a quick one changes nothing")
    func leastDelayCounts() throws {
        var pair = SimulatedPair(seed: 7)
        (pair.there, pair.back, pair.queue) = (100_000, 100_000, 1_000)
        var estimator = ClockEstimator(ownBoot: boot)
        _ = try estimator.accept(pair.exchange())
        let before = try #require(estimator.estimate)
        pair.back = 300_000_000
        _ = try estimator.accept(pair.exchange())
        let after = try #require(estimator.estimate)
        #expect(after.rawOffset == before.rawOffset)
        #expect(after.rawBound - before.rawBound < 100_000)
    }

    @Test(
        "a step of either realtime clock is seen, and the estimate that shows it is right at once",
        arguments: [
            10_000_000, -10_000_000, 1_000_000_000, -1_000_000_000, 946_684_800_000_000_000, -946_684_800_000_000_000,
        ] as [Int64], [SeenStep.Side.own, .peer])
    func steps(size: Int64, side: SeenStep.Side) throws {
        for seed in 1...50 as ClosedRange<UInt64> {
            var pair = SimulatedPair(seed: seed)
            var estimator = ClockEstimator(ownBoot: boot)
            for _ in 0..<5 {
                _ = try estimator.accept(pair.exchange())
                pair.t += 1e9
            }
            switch side {
            case .own: pair.own.stepped = size
            case .peer: pair.peer.stepped = size
            }
            let change = try estimator.accept(pair.exchange())
            let estimate = try #require(estimator.estimate)
            #expect(abs(estimate.offset - pair.trueOffset) <= estimate.bound, "seed \(seed)")
            #expect(change.steps.map(\.side) == [side], "seed \(seed)")
            #expect(abs((change.steps.first?.size ?? 0) - size) < 100_000, "seed \(seed)")
            #expect(change.restart == nil)
            #expect(try estimator.accept(pair.exchange()) == ClockEstimator.Change())
        }
    }

    @Test("another boot of the peer starts anew")
    func reboot() throws {
        var pair = SimulatedPair(seed: 3)
        var estimator = ClockEstimator(ownBoot: boot)
        _ = try estimator.accept(pair.exchange())
        pair.peer.boot = .random()
        pair.peer.rawStart -= 900_000_000_000
        pair.t += 60e9
        #expect(try estimator.accept(pair.exchange()).restart == .rebooted)
        let estimate = try #require(estimator.estimate)
        #expect(abs(estimate.offset - pair.trueOffset) <= estimate.bound)
        #expect(estimator.peerBoot == pair.peer.boot)
    }

    @Test("a machine that slept contradicts what was measured before, and starts anew")
    func slept() throws {
        var pair = SimulatedPair(seed: 4)
        var estimator = ClockEstimator(ownBoot: boot)
        for _ in 0..<4 { _ = try estimator.accept(pair.exchange()) }
        pair.own.rawStart -= 5_000_000_000
        #expect(try estimator.accept(pair.exchange()).restart == .contradiction)
        let estimate = try #require(estimator.estimate)
        #expect(abs(estimate.rawOffset - pair.trueRawOffset) <= estimate.rawBound)
    }

    @Test("small steps do not creep: their sum is seen")
    func creepingSteps() {
        var detector = StepDetector()
        let seen = (0..<20).compactMap { number in
            detector.take(
                ClockSample(
                    raw: number, realtime: 1_000_000_000_000 + number * 2_000_000, boottime: 0, uncertainty: 100))
        }
        #expect(!seen.isEmpty)
        #expect(seen.reduce(0, +) >= 30_000_000)
    }
}

@Suite struct HostileClockTests {
    private func sample(_ raw: Int64, realtime: Int64 = 1_700_000_000_000_000_000, uncertainty: Int64 = 100)
        -> ClockSample
    {
        ClockSample(raw: raw, realtime: realtime, boottime: raw, uncertainty: uncertainty)
    }

    private func exchange(_ t2: ClockSample, _ t3: ClockSample) -> ClockExchange {
        ClockExchange(
            sent: sample(1_000_000), answer: ClockAnswer(received: t2, sent: t3, bootID: .random()),
            received: sample(2_000_000))
    }

    @Test("answers that no clock gives are refused and leave the estimate alone")
    func refusals() throws {
        var estimator = ClockEstimator(ownBoot: .random())
        let extremes: [Int64] = [.min, .min + 1, -1, .max, .max - 1, 1 << 62]
        for extreme in extremes {
            #expect(throws: ClockRefusal.absurd) {
                _ = try estimator.accept(exchange(sample(extreme), sample(extreme)))
            }
            #expect(throws: ClockRefusal.absurd) {
                _ = try estimator.accept(exchange(sample(5), sample(6, realtime: extreme)))
            }
            #expect(throws: ClockRefusal.absurd) {
                _ = try estimator.accept(exchange(sample(5, uncertainty: extreme), sample(6)))
            }
        }
        #expect(throws: ClockRefusal.backwards) { _ = try estimator.accept(exchange(sample(10), sample(9))) }
        #expect(throws: ClockRefusal.impossibleDelay) {
            _ = try estimator.accept(exchange(sample(10), sample(5_000_000)))
        }
        #expect(estimator.estimate == nil)
        let slow = ClockExchange(
            sent: sample(0), answer: ClockAnswer(received: sample(5), sent: sample(6), bootID: .random()),
            received: sample(3_000_000_000))
        #expect(throws: ClockRefusal.tooSlow) { _ = try estimator.accept(slow) }
        let backwards = ClockExchange(sent: sample(9), answer: slow.answer, received: sample(8))
        #expect(throws: ClockRefusal.backwards) { _ = try estimator.accept(backwards) }
    }

    @Test("the extremes that are still taken do not overflow")
    func extremes() throws {
        let far: Int64 = 1_000_000_000_000_000_000
        for (ownRaw, peerRaw) in [(0, far), (far - 1_000_000, 0)] as [(Int64, Int64)] {
            for (ownTime, peerTime) in [(0, 4 * far), (4 * far, 0)] as [(Int64, Int64)] {
                var estimator = ClockEstimator(ownBoot: .random())
                let exchange = ClockExchange(
                    sent: sample(ownRaw, realtime: ownTime),
                    answer: ClockAnswer(
                        received: sample(peerRaw, realtime: peerTime, uncertainty: 1_000_000_000),
                        sent: sample(peerRaw, realtime: peerTime, uncertainty: 1_000_000_000), bootID: .random()),
                    received: sample(ownRaw + 1_000_000, realtime: ownTime))
                _ = try estimator.accept(exchange)
                let estimate = try #require(estimator.estimate(at: far))
                #expect(abs(estimate.offset - (peerTime - ownTime)) <= estimate.bound)
            }
        }
    }
}
