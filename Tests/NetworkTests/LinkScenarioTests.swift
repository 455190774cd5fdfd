import Gateway
import HTTP
import Model
import Reactor
import TestSupport
import Testing

/// What a tether does at sea, between two real nodes. In each case everything ends up equal and verified and nothing
/// stalls. Most of it is waiting: the cases run side by side, each in namespaces of its own.
@Suite(.timeLimit(.minutes(5)), .enabled(if: Lab.tetherObstacle == nil, "\(Lab.excuse)"))
struct LinkScenarioTests {
    /// How long the link is lost, and how.
    struct Outage: Sendable, CustomTestStringConvertible {
        let seconds: Int
        let loss: LinkLoss

        var testDescription: String { "\(seconds) s, \(loss.rawValue)" }

        /// 12 s: a connection that is not given up by then retransmits seconds later.
        static let all =
            [2, 5, 12, 20, 60].flatMap { seconds in
                [LinkLoss.carrier, .silence].map { Outage(seconds: seconds, loss: $0) }
            } + [LinkLoss.vehicleMute, .topsideMute].map { Outage(seconds: 12, loss: $0) }
    }

    @Test("after an outage what was recorded meanwhile follows at once", arguments: Outage.all)
    func outage(_ outage: Outage) async throws {
        try await LinkScenario.run("outage of \(outage.testDescription)") { scenario in
            let tether = try await scenario.lab.tether
            try await outage.loss.set(true, tether)
            let lost = SystemClock.monotonic()
            try await scenario.pass(.seconds(outage.seconds))
            // What was at the topside may still become durable; of a mute topside the vehicle's last frames come.
            if outage.loss != .topsideMute {
                #expect(scenario.arrivals.count(since: lost.advanced(by: .seconds(1))) == 0)
            }
            try await scenario.back { try await outage.loss.set(false, tether) }
        }
    }

    /// A link that is bad all the time.
    struct BadLink: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let there: TetherShape
        let back: TetherShape

        static let all = [
            BadLink("5 % loss each way", TetherShape(delay: .milliseconds(2), loss: 0.05)),
            BadLink("300 ms round trip", TetherShape(delay: .milliseconds(150))),
            BadLink(
                "40 ms there, 5 ms back", TetherShape(delay: .milliseconds(40)), TetherShape(delay: .milliseconds(5))),
            BadLink(
                "80 to 180 ms in any order, some twice",
                TetherShape(delay: .milliseconds(40), jitter: .milliseconds(50), keepsOrder: false, duplication: 0.02)),
            BadLink(
                "64 kB/s with a queue of two seconds",
                TetherShape(delay: .milliseconds(10), bitsPerSecond: 512_000, queueBytes: 128_000)),
        ]

        init(_ name: String, _ there: TetherShape, _ back: TetherShape? = nil) {
            testDescription = name
            self.there = there
            self.back = back ?? there
        }
    }

    @Test("on a bad link chunks keep coming", arguments: BadLink.all)
    func badLink(_ link: BadLink) async throws {
        try await LinkScenario.run(link.testDescription, link.there) { scenario in
            try await scenario.lab.tether.set(link.back, [.ba])
            try await scenario.flows(from: SystemClock.monotonic(), chunks: 30)
        }
    }

    @Test(
        "a link that comes and goes each second for two minutes is whole once it stays",
        arguments: [LinkLoss.carrier, .silence])
    func flapping(_ loss: LinkLoss) async throws {
        try await LinkScenario.run("flapping by \(loss.rawValue)") { scenario in
            let tether = try await scenario.lab.tether
            let begun = SystemClock.monotonic()
            for change in 0..<240 {
                try await loss.set(change.isMultiple(of: 2), tether)
                let next = begun.advanced(by: .milliseconds(500 * (change + 1)))
                try await scenario.pass(max(.zero, SystemClock.monotonic().duration(to: next)))
            }
            print("link: \(scenario.name): \(scenario.arrivals.count(since: begun)) chunks in two minutes of it")
            try await loss.set(true, tether)
            try await scenario.back { try await loss.set(false, tether) }
        }
    }

    @Test("a vehicle that comes back with another address is followed there")
    func moved() async throws {
        try await LinkScenario.run("another address", usesIPv6: false) { scenario in
            let lab = scenario.lab
            try await lab.unplug()
            try await lab.ip("a", "addr del 10.77.0.1/24 dev tether")
            try await lab.ip("a", "addr add 10.77.0.9/24 dev tether")
            try await scenario.pass(.seconds(3))
            try await scenario.back { try await lab.plugIn() }
            try await scenario.mirror.topside.status("the other address") {
                $0.live("vehicle")?.endpoint == Endpoint("10.77.0.9:9150")
            }
        }
    }

    /// What may pass besides the recording when its transfer was unplugged after 1 MB: 64 KiB that are sent again, and
    /// events, holdings and clock exchanges of half a minute.
    private static let besides: Int64 = 500_000

    @Test("a chunk whose transfer is unplugged goes on when the link is back")
    func midChunk() async throws {
        // 3 MB take six seconds.
        let shape = TetherShape(delay: .milliseconds(10), bitsPerSecond: 4_000_000, queueBytes: 64_000)
        try await Lab.run(.tether(shape)) { lab in
            let spring = try LineSpring(lab, lineCount: 30_000)
            let mirror = Mirror(
                vehicle: try await .start(
                    lab, "a", .vehicle, name: "vehicle", ["--lines-from", "tcp://127.0.0.1:\(spring.port)"]),
                topside: try await .topside(lab))
            try await mirror.topside.status("met") { $0.live("vehicle") != nil }
            // Nothing of it passes before all of it is sealed.
            try await lab.unplug()
            await spring.open()
            try await mirror.vehicle.status("everything is recorded") { $0.recording?.rows == 30_000 }
            try await mirror.vehicle.call(HTTPClientRequest(.delete, "/v1/recordings/current"))
            await spring.close()
            try await lab.plugIn()
            let tether = try await lab.tether
            let sealed = try await tether.counts(.ab).deliveredBytes
            try await mirror.topside.within("a part of the chunk") {
                while try await tether.counts(.ab).deliveredBytes < sealed + 1_000_000 {
                    try await lab.loop.sleep(for: .milliseconds(10))
                }
            }
            try await lab.unplug()
            try await lab.loop.sleep(for: .seconds(3))
            let begun = SystemClock.monotonic()
            try await lab.plugIn()
            try await mirror.topside.status("the chunk is there") { $0.store.chunks > 0 }
            print("link: unplugged in mid-chunk: whole after \(begun.duration(to: SystemClock.monotonic()).rounded)")
            let size = try await mirror.vehicle.get([SessionForm].self, "/v1/sessions")
                .reduce(0) { $0 + $1.streams.values.reduce(0) { $0 + $1.bytes } }
            try await mirror.equal(isRecording: false)
            // Full frames carry 1,448 bytes of a connection in 1,514.
            let bytes = (try await tether.counts(.ab).deliveredBytes - sealed) * 1448 / 1514
            print("link: unplugged in mid-chunk: \(bytes) bytes in frames for \(size) of the recording")
            #expect(bytes - size <= Self.besides)
        }
    }
}
