import Model
import Reactor
import Testing

@testable import Discovery

@Suite struct ResponderPolicyTests {
    @Test("which responder is in use follows from the mode and the daemon")
    func choices() {
        func use(
            _ mode: DiscoveryMode, _ daemon: ResponderPolicy.Daemon, _ interfaces: [String] = []
        ) -> ResponderPolicy.Choice {
            ResponderPolicy(mode: mode, interfaces: InterfaceChoice(names: interfaces)).choice(daemon).use
        }
        #expect(use(.auto, .present) == .daemon)
        #expect(use(.auto, .absent("")) == .embedded)
        #expect(use(.auto, .unknown) == .none)
        #expect(use(.auto, .present, ["lo"]) == .embedded)
        #expect(use(.auto, .present, ["lo", "eth0"]) == .daemon)
        #expect(use(.daemon, .present, ["lo"]) == .daemon)
        #expect(use(.daemon, .absent("")) == .none)
        #expect(use(.embedded, .present) == .embedded)
        #expect(use(.off, .present) == .none)
        #expect(!ResponderPolicy(mode: .embedded, interfaces: InterfaceChoice(names: [])).asksForDaemon)
    }

    @Test("without names every network is taken and no loopback; with names exactly those")
    func interfaces() {
        let network = Network([
            .init(index: 1, name: "lo", isLoopback: true, addresses: []),
            .init(index: 2, name: "eth0", isLoopback: false, addresses: []),
            .init(index: 3, name: "tun0", isLoopback: false, addresses: []),
        ])
        #expect(network.chosen(by: InterfaceChoice(names: [])).map(\.name) == ["eth0", "tun0"])
        #expect(network.chosen(by: InterfaceChoice(names: ["lo", "tun0"])).map(\.name) == ["lo", "tun0"])
    }
}

@Suite struct WallClockGaugeTests {
    private static let second: Int64 = 1_000_000_000

    @Test("a clock that is set is noticed once, either way")
    func steps() {
        var gauge = WallClockGauge()
        #expect(gauge.step(realtime: 5000 * Self.second, boottime: 10 * Self.second) == nil)
        #expect(gauge.step(realtime: 5001 * Self.second, boottime: 11 * Self.second) == nil)
        #expect(gauge.step(realtime: 1402 * Self.second, boottime: 12 * Self.second) == .seconds(-3600))
        #expect(gauge.step(realtime: 1403 * Self.second, boottime: 13 * Self.second) == nil)
        #expect(gauge.step(realtime: 9004 * Self.second, boottime: 14 * Self.second) == .seconds(7600))
    }

    @Test("slewing by NTP is no step, however long nobody looked")
    func slew() {
        var gauge = WallClockGauge()
        _ = gauge.step(realtime: 0, boottime: 0)
        let hours: Int64 = 36_000
        #expect(gauge.step(realtime: hours * Self.second - 18 * Self.second, boottime: hours * Self.second) == nil)
    }

    @Test("delays are relative, never negative, and never longer than a day")
    func delays() {
        func delay(_ seconds: Int64, _ microseconds: Int64, _ realtime: Int64) -> Int64 {
            WallClockGauge.delayMicroseconds(untilSeconds: seconds, microseconds: microseconds, realtime: realtime)
        }
        #expect(delay(0, 0, 5000 * Self.second) == 0)
        #expect(delay(5000, 250_000, 5000 * Self.second + 100_000_900) == 150_000)
        #expect(delay(5000, 0, 5000 * Self.second + 1) == 0)
        #expect(delay(4999, 999_999, 5000 * Self.second) == 0)
        #expect(delay(.max, 0, 5000 * Self.second) == 86_400_000_000)
        #expect(delay(.min, 0, 5000 * Self.second) == 0)
        #expect(delay(5000, 0, -5 * Self.second) == 5_005_000_000)
    }
}

@Suite struct LineThrottleTests {
    @Test("a flood is cut to a handful of lines and then one an interval, and says how many were left out")
    func flood() {
        var throttle = LineThrottle()
        var written = 0
        for step in 0..<10_000 {
            let now = MonotonicTime(nanoseconds: Int64(step) * 1_000_000)
            if case .write = throttle.verdict(isWarning: true, now: now) { written += 1 }
        }
        #expect(written == LineThrottle.burst)
        let later = MonotonicTime(nanoseconds: 10_000_000_000)
        #expect(throttle.verdict(isWarning: true, now: later) == .write(unwritten: 9_990))
        #expect(throttle.verdict(isWarning: true, now: later) == .leaveOut)
        #expect(throttle.verdict(isWarning: false, now: later) == .write(unwritten: 0))
    }
}

@Suite struct AdvertisementTests {
    @Test("any name becomes an instance name of at most 63 bytes of whole characters without controls")
    func names() {
        func name(_ text: String) -> String {
            Advertisement(name: text, idPrefix: "00000000000000aa", role: .vehicle, bootID: .random(), port: 1).name
        }
        #expect(name("My vehicle.2") == "My vehicle.2")
        #expect(name("") == "qnode-00000000000000aa")
        #expect(name("a\u{0}b\nc") == "abc")
        #expect(name(String(repeating: "é", count: 50)) == String(repeating: "é", count: 31))
        #expect(name(String(repeating: "x", count: 64)).utf8.count == 63)
    }
}
