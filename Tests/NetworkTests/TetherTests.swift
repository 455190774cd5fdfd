import Model
import Reactor
import TestSupport
import Testing

/// The tether does to frames what it is told, no more and no less. Deadlines are those of a machine that is busy with
/// something else: what comes late is not a fault of the tether, what comes early or uncounted is.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: Lab.tetherObstacle == nil, "\(Lab.excuse)"))
struct TetherTests {
    @Test("frames come after the delay of their direction, and not before")
    func delay() async throws {
        let shape = TetherShape(delay: .milliseconds(40))
        try await Lab.run(.tether(shape)) { lab in
            try await lab.tether.set(TetherShape(delay: .milliseconds(5)), [.ba])
            let there = try await DatagramFlow.run(lab, .ab, count: 100, every: .milliseconds(5))
            let back = try await DatagramFlow.run(lab, .ba, count: 100, every: .milliseconds(5))
            #expect(there.arrivals.count == 100 && back.arrivals.count == 100)
            #expect(there.isOrdered && back.isOrdered)
            #expect(there.least >= .milliseconds(40) && there.median < .milliseconds(60), "\(there)")
            #expect(back.least >= .milliseconds(5) && back.median < .milliseconds(25), "\(back)")
            print("tether: delays of 40 and 5 ms: \(there), \(back)")

            // And changed while it runs.
            try await lab.tether.set(TetherShape(delay: .milliseconds(150)))
            let later = try await DatagramFlow.run(lab, .ab, count: 50, every: .milliseconds(5))
            #expect(later.least >= .milliseconds(150) && later.median < .milliseconds(170), "\(later)")
        }
    }

    @Test("jitter spreads the delay, and keeps or mixes the order as it is told", arguments: [true, false])
    func jitter(_ keepsOrder: Bool) async throws {
        let shape = TetherShape(delay: .milliseconds(10), jitter: .milliseconds(60), keepsOrder: keepsOrder)
        try await Lab.run(.tether(shape)) { lab in
            let flow = try await DatagramFlow.run(lab, .ab, count: 200, every: .milliseconds(4))
            #expect(flow.arrivals.count == 200 && flow.isOrdered == keepsOrder)
            #expect(flow.least >= .milliseconds(10) && flow.largest >= .milliseconds(50), "\(flow)")
        }
    }

    @Test("frames are lost in the share that is asked for, the same ones with the same seed, and are counted")
    func loss() async throws {
        try await Lab.run(.tether()) { lab in
            // What the hosts say of themselves is drawn for too.
            for side in ["a", "b"] { try await lab.switchOffIPv6(side) }
            var survivors: [[Int]] = []
            for _ in 0..<2 {
                try await lab.tether.set(TetherShape())
                _ = try await DatagramFlow.run(lab, .ab, count: 1)
                try await lab.tether.set(TetherShape(loss: 0.05), [.ab])
                try await lab.tether.seed(7)
                let before = try await lab.tether.counts(.ab)
                let flow = try await DatagramFlow.run(lab, .ab, count: 2000)
                let after = try await lab.tether.counts(.ab)
                #expect(Int64(2000 - flow.arrivals.count) == after.lostFrames - before.lostFrames)
                // Five standard deviations of 2,000 draws.
                #expect((52...148).contains(2000 - flow.arrivals.count), "\(flow.arrivals.count)")
                survivors.append(flow.arrivals.map(\.number))
            }
            #expect(survivors[0] == survivors[1])
            #expect(try await lab.tether.counts(.ba).lostFrames == 0)
        }
    }

    @Test("a frame may come twice")
    func duplication() async throws {
        try await Lab.run(.tether(TetherShape(duplication: 0.5))) { lab in
            let flow = try await DatagramFlow.run(lab, .ab, count: 400)
            #expect(Set(flow.arrivals.map(\.number)).count == 400)
            #expect((550...650).contains(flow.arrivals.count), "\(flow.arrivals.count)")
        }
    }

    @Test("a rate holds, its queue delays, and what is beyond the queue is dropped and counted")
    func rate() async throws {
        // 500 kB/s, and a queue of 100 ms.
        let shape = TetherShape(bitsPerSecond: 4_000_000, queueBytes: 50_000)
        try await Lab.run(.tether(shape)) { lab in
            // What the hosts say of themselves counts too.
            for side in ["a", "b"] { try await lab.switchOffIPv6(side) }
            _ = try await DatagramFlow.run(lab, .ab, count: 1)
            let begun = SystemClock.monotonic()
            // Three times what passes meanwhile.
            let flow = try await DatagramFlow.run(lab, .ab, count: 3000, every: .milliseconds(1), bytes: 1386)
            let counts = try await lab.tether.counts(.ab)
            let trace = try await lab.tether.trace(.ab, from: begun, to: SystemClock.monotonic())
            #expect(counts.overflowFrames == Int64(3000 - flow.arrivals.count) && counts.overflowFrames > 1000)
            #expect(trace.total >= Int64(flow.arrivals.count) * 1428 && trace.total <= counts.deliveredBytes)
            #expect(flow.largest >= .milliseconds(90), "\(flow)")
            // A process that was not run for a while makes up for it, and the clock of who receives may be late.
            let measured = Double((flow.arrivals.count - 1) * 1428) / flow.firstToLast.inSeconds
            #expect((460_000...540_000).contains(measured), "\(measured)")
            let windows = trace.windows(of: .seconds(1))
            #expect((490_000...600_000).contains(windows.max() ?? 0), "\(windows)")
            print("tether: at 500 kB/s: \(Int(measured)) B/s, at most \(windows.max() ?? 0) B in a second, \(flow)")
        }
    }

    @Test("an unplugged end is seen by its host's interface, and nothing passes")
    func carrier() async throws {
        try await Lab.run(.tether()) { lab in
            func seen() async -> [Bool] {
                var seen: [Bool] = []
                for side in ["a", "b"] { seen.append(await lab.hasCarrier(side)) }
                return seen
            }
            #expect(await seen() == [true, true])
            try await lab.tether.carrier(false, sides: ["b"])
            #expect(await seen() == [true, false])
            let lost = try await DatagramFlow.run(lab, .ab, count: 20)
            #expect(lost.arrivals.isEmpty)
            try await lab.plugIn()
            try await lab.forgetNeighbours()
            #expect(await seen() == [true, true])
            // The kernel may take a moment to open the queue of an interface whose carrier is back.
            let passed = try await DatagramFlow.run(lab, .ab, count: 40, every: .milliseconds(25))
            #expect(passed.arrivals.last?.number == 39)
        }
    }

    @Test("a silent tether loses everything one way or both, and no interface sees it")
    func silence() async throws {
        try await Lab.run(.tether()) { lab in
            try await lab.tether.silence(true, [.ab])
            #expect(await lab.hasCarrier("a"))
            // The address of the other host is asked for the other way.
            #expect(try await DatagramFlow.run(lab, .ab, count: 20).arrivals.isEmpty)
            #expect(try await lab.tether.counts(.ab).cutFrames > 0)
            #expect(try await lab.tether.counts(.ba).cutFrames == 0)
            try await lab.tether.silence(false)
            try await lab.forgetNeighbours()
            #expect(try await DatagramFlow.run(lab, .ab, count: 20).arrivals.count == 20)
        }
    }

    @Test("it ends with its input, and its interfaces with it")
    func end() async throws {
        try await Lab.run(.tether()) { lab in
            let status = try await lab.tether.end()
            #expect(status == 0)
            for side in ["a", "b"] {
                await #expect(throws: ChildError.self) { try await lab.ip(side, "link show tether 2> /dev/null") }
            }
        }
    }

    @Test("it carries 200 Mbit/s of full frames without losing one")
    func speed() async throws {
        try await Lab.run(.tether(TetherShape(delay: .milliseconds(5)))) { lab in
            // Before the other host was up it took nothing.
            let before = try await lab.tether.counts(.ab)
            let bytes = 50_000_000
            let seconds = try await ByteStream.seconds(lab, bytes: bytes)
            let rate = Double(bytes) * 8 / seconds / 1e6
            let counts = try await lab.tether.counts(.ab)
            #expect(counts.unplacedFrames == 0 && counts.overflowFrames == 0 && counts.lostFrames == 0)
            #expect(counts.refusedFrames == before.refusedFrames && counts.deliveredBytes > bytes)
            // Stands on a machine that does something else meanwhile; what it carries alone is printed.
            #expect(rate > 50, "\(rate) Mbit/s")
            print("tether: one TCP connection: \(Int(rate)) Mbit/s")
        }
    }
}

extension Lab {
    /// A host that was asked for in vain is asked for again only a second later.
    fileprivate func forgetNeighbours() throws { for side in ["a", "b"] { try ip(side, "neigh flush dev tether") } }

    /// What that host's interface says of its cable.
    fileprivate func hasCarrier(_ side: String) -> Bool {
        do { try shell("ip -n \(space(side)) link show tether | grep -q LOWER_UP") } catch { return false }
        return true
    }
}
