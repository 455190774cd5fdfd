import Model
import Testing

@testable import HTTP

/// Peers that send at once whatever a budget lets them, a while away, with a clock of their own.
struct PacedWorld {
    var budget: ReadBudget
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    private(set) var arrivals: [(at: Int64, wire: Double, flow: Int)] = []
    private var peers: [Int: Peer] = [:]
    private let roundTrip: Int64

    private struct Peer {
        var traffic: TrafficClass
        /// Payload of each answer.
        let answer: Int64
        var asked: Int64 = 0
        var sent: Int64 = 0
        var arrived: Int64 = 0
        var read: Int64 = 0
        var isAsking = false
        var underway: [(at: Int64, bytes: Int64)] = []
        var promised: [(at: Int64, upTo: Int64)] = []
    }

    init(cap: Int64?, roundTrip: Duration = .zero) {
        budget = ReadBudget(cap: cap, now: now)
        self.roundTrip = roundTrip.nanoseconds
    }

    mutating func open(_ id: Int, _ traffic: TrafficClass, answer: Int64) {
        peers[id] = Peer(traffic: traffic, answer: answer)
        budget.open(id, traffic)
    }

    /// Lets time pass in steps of two milliseconds.
    mutating func run(for duration: Duration) {
        let end = now.advanced(by: duration)
        while now < end {
            now = now.advanced(by: .milliseconds(2))
            for id in peers.keys.sorted() { deliver(id) }
            for id in peers.keys.sorted() { wish(id) }
            budget.rise(to: now)
            while let grant = budget.next(now: now) { use(grant) }
            for id in peers.keys.sorted() { promise(id) }
        }
    }

    private mutating func deliver(_ id: Int) {
        guard var peer = peers[id] else { return }
        while let first = peer.promised.first, first.at <= now.nanoseconds {
            peer.promised.removeFirst()
            let bytes = first.upTo - peer.sent
            guard bytes > 0 else { continue }
            peer.sent += bytes
            peer.arrived += bytes
            arrivals.append((now.nanoseconds, Double(bytes) * Limits.wireShare, id))
        }
        peers[id] = peer
        budget.measured(id, wire: Int64(Double(peer.arrived) * Limits.wireShare), payload: peer.arrived)
    }

    private mutating func wish(_ id: Int) {
        guard let peer = peers[id], !peer.isAsking else { return }
        if peer.read == peer.asked {
            budget.finish(id)
            budget.wishRequest(id, peer.traffic, expected: peer.answer, now: now)
        } else {
            if peer.arrived == peer.read { _ = budget.lacked(id) }
            budget.wishRead(id, now: now)
        }
        peers[id]?.isAsking = true
    }

    private mutating func use(_ grant: ReadBudget.Grant) {
        guard var peer = peers[grant.flow] else { return }
        peer.isAsking = false
        if peer.read == peer.asked {
            peer.asked += peer.answer
        } else {
            let count = min(peer.arrived - peer.read, Int64(grant.bytes))
            peer.read += count
            budget.took(grant.flow, Int(count))
        }
        peers[grant.flow] = peer
    }

    private mutating func promise(_ id: Int) {
        guard let peer = peers[id] else { return }
        let upTo = min(peer.asked, peer.read + budget.window(of: id))
        peers[id]?.promised.append((now.nanoseconds + roundTrip, upTo))
    }

    // MARK: What came

    func bytes(from start: Duration, to end: Duration, flow: Int? = nil) -> Double {
        let (low, high) = (1_000_000_000 + start.nanoseconds, 1_000_000_000 + end.nanoseconds)
        return arrivals.lazy.filter { $0.at > low && $0.at <= high && (flow == nil || $0.flow == flow) }
            .reduce(0) { $0 + $1.wire }
    }

    /// The most in any window, in bytes a second.
    func worst(_ window: Duration, from start: Duration, to end: Duration) -> Double {
        var worst = 0.0
        var at = start
        while at + window <= end {
            worst = max(worst, bytes(from: at, to: at + window))
            at += window / 50
        }
        return worst / window.inSeconds
    }
}

@Suite struct ReadBudgetTests {
    struct Load: Sendable, CustomTestStringConvertible {
        let cap: Int64
        let connections: Int
        let answer: Int64
        var roundTrip = Duration.milliseconds(2)
        var testDescription: String { "\(cap) B/s, \(connections) × \(answer) B, \(roundTrip)" }
    }

    @Test(
        "what arrives is 95 to 100 % of the cap and never more than 102 % in a window",
        arguments: [
            Load(cap: 512_000, connections: 1, answer: 64_000_000), Load(cap: 512_000, connections: 4, answer: 6400),
            Load(cap: 512_000, connections: 16, answer: 64_000_000),
            Load(cap: 512_000, connections: 4, answer: 1_000_000, roundTrip: .milliseconds(300)),
            Load(cap: 10_000_000, connections: 4, answer: 64_000_000, roundTrip: .milliseconds(40)),
            Load(cap: 150_000, connections: 4, answer: 64_000_000),
        ])
    func accuracy(_ load: Load) {
        var world = PacedWorld(cap: load.cap, roundTrip: load.roundTrip)
        for id in 0..<load.connections { world.open(id, .data(priority: 0), answer: load.answer) }
        world.run(for: .seconds(12))
        let average = world.bytes(from: .seconds(4), to: .seconds(12)) / 8 / Double(load.cap)
        // Four connections, of which one asks anew for a third of a second, do not quite fill it.
        #expect(average > (load.roundTrip < .milliseconds(100) ? 0.95 : 0.93) && average <= 1, "\(average)")
        #expect(world.worst(.seconds(1), from: .seconds(4), to: .seconds(12)) <= 1.02 * Double(load.cap))
    }

    @Test("a slow cap is held over ten seconds", arguments: [4000, 20_000] as [Int64])
    func slow(_ cap: Int64) {
        var world = PacedWorld(cap: cap, roundTrip: .milliseconds(20))
        for id in 0..<4 { world.open(id, .data(priority: 0), answer: id == 0 ? 6400 : 5_000_000) }
        world.run(for: .seconds(70))
        let average = world.bytes(from: .seconds(10), to: .seconds(70)) / 60 / Double(cap)
        #expect(average > 0.95 && average <= 1)
        #expect(world.worst(.seconds(10), from: .seconds(10), to: .seconds(70)) <= 1.04 * Double(cap))
    }

    @Test("connections of one priority get the same")
    func fairness() {
        var world = PacedWorld(cap: 512_000)
        for id in 0..<5 { world.open(id, .data(priority: 7), answer: 64_000_000) }
        world.run(for: .seconds(10))
        let shares = (0..<5).map { world.bytes(from: .seconds(2), to: .seconds(10), flow: $0) }
        #expect((shares.max() ?? 0) < 1.1 * (shares.min() ?? 0))
    }

    @Test("the newest comes first, and what is older still has a turn now and then")
    func priorities() {
        var world = PacedWorld(cap: 512_000)
        world.open(0, .data(priority: 1), answer: 64_000_000)
        world.open(1, .data(priority: 2), answer: 64_000_000)
        world.run(for: .seconds(20))
        let (old, new) = (
            world.bytes(from: .seconds(2), to: .seconds(20), flow: 0),
            world.bytes(from: .seconds(2), to: .seconds(20), flow: 1)
        )
        #expect(new > 20 * old)
        for second in stride(from: 2, to: 14, by: 6) {
            #expect(world.bytes(from: .seconds(second), to: .seconds(second + 6), flow: 0) > 0)
        }
    }

    @Test("a new cap holds within 200 ms, up, down, off and on again")
    func change() {
        var world = PacedWorld(cap: 512_000, roundTrip: .milliseconds(2))
        for id in 0..<4 { world.open(id, .data(priority: 0), answer: 64_000_000) }
        world.run(for: .seconds(3))
        world.budget.setCap(100_000, now: world.now)
        world.run(for: .seconds(3))
        #expect(world.bytes(from: .milliseconds(3200), to: .milliseconds(4200)) <= 102_000)
        #expect(world.bytes(from: .milliseconds(3200), to: .seconds(6)) >= 0.95 * 2.8 * 100_000)
        world.budget.setCap(2_000_000, now: world.now)
        world.run(for: .seconds(3))
        #expect(world.bytes(from: .milliseconds(6200), to: .milliseconds(7200)) >= 0.93 * 2_000_000)
        #expect(world.bytes(from: .milliseconds(6200), to: .milliseconds(7200)) <= 1.02 * 2_000_000)
    }

    @Test("questions and clocks count, and data makes room for them")
    func control() {
        var budget = ReadBudget(cap: 100_000, now: MonotonicTime(nanoseconds: 0))
        budget.open(1, .control)
        budget.open(2, .data(priority: 0))
        var (now, granted, control) = (MonotonicTime(nanoseconds: 0), 0, Int64(0))
        for step in 1...1000 {
            now = MonotonicTime(nanoseconds: Int64(step) * 10_000_000)
            // Half of the cap.
            control += 500
            budget.measured(1, wire: control, payload: control)
            budget.rise(to: now)
            budget.wishRead(2, now: now)
            budget.expect(2, remaining: nil)
            while let grant = budget.next(now: now) {
                granted += grant.bytes
                budget.took(2, grant.bytes)
            }
        }
        #expect(Double(granted) > 0.4 * 1_000_000 && Double(granted) < 0.5 * 1_000_000)
    }

    @Test("rows as they are written have their turn before data, and wait only when they are too many themselves")
    func live() {
        var budget = ReadBudget(cap: 100_000, now: MonotonicTime(nanoseconds: 0))
        budget.open(1, .data(priority: .max))
        budget.open(2, .live)
        budget.expect(1, remaining: nil)
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        budget.rise(to: now)
        budget.wishRead(1, now: now)
        budget.wishRead(2, now: now)
        #expect(budget.next(now: now)?.flow == 2)
        budget.measured(2, wire: 8000, payload: 7000)
        budget.wishRead(2, now: now)
        // In debt: data waits, live does not yet.
        #expect(budget.next(now: now)?.flow == 2)
        #expect(budget.next(now: now) == nil)
        budget.measured(2, wire: 20_000, payload: 19_000)
        budget.wishRead(2, now: now)
        #expect(budget.next(now: now) == nil)
    }

    @Test("rows that would fill the cap alone leave a share to what has waited for long, and the cap holds")
    func share() {
        let cap = 512_000.0
        var world = PacedWorld(cap: 512_000)
        world.open(0, .live, answer: 1 << 40)
        world.open(1, .data(priority: 1), answer: 64_000_000)
        world.open(2, .data(priority: 2), answer: 64_000_000)
        world.run(for: .seconds(60))
        let data =
            world.bytes(from: .seconds(20), to: .seconds(60), flow: 1)
            + world.bytes(from: .seconds(20), to: .seconds(60), flow: 2)
        #expect(data > 0.03 * 40 * cap && data < 0.07 * 40 * cap, "\(data / 40 / cap)")
        #expect(world.bytes(from: .seconds(20), to: .seconds(60), flow: 0) > 0.85 * 40 * cap)
        #expect(world.worst(.seconds(1), from: .seconds(4), to: .seconds(60)) <= 1.02 * cap)
    }

    @Test("facts are asked for before rows and chunks, paid for, and never wait for long")
    func facts() {
        func time(_ milliseconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: milliseconds * 1_000_000) }
        var budget = ReadBudget(cap: 100_000, now: time(0))
        budget.open(1, .control)
        budget.open(2, .live)
        budget.open(3, .data(priority: .max))
        budget.rise(to: time(1000))
        budget.wishRequest(1, .facts, expected: nil, now: time(1000))
        budget.wishRead(2, now: time(1000))
        #expect(budget.next(now: time(1000))?.flow == 1)
        #expect(budget.next(now: time(1000))?.flow == 2)
        budget.measured(1, wire: 50_000, payload: 48_000)
        budget.wishRequest(1, .facts, expected: nil, now: time(1000))
        #expect(budget.next(now: time(1000)) == nil)
        // Others go on to take more than there is.
        for step in Int64(1)...500 {
            budget.measured(2, wire: step * 2000, payload: step * 1900)
            budget.rise(to: time(1000 + step * 10))
            #expect(budget.next(now: time(1000 + step * 10)) == nil)
        }
        #expect(budget.next(now: time(6010))?.flow == 1)
    }

    @Test("an answer that has come is paid for before the next is asked for, measured or not")
    func unmeasured() {
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        var budget = ReadBudget(cap: 100_000, now: MonotonicTime(nanoseconds: 0))
        budget.open(1, .data(priority: 0))
        budget.rise(to: now)
        budget.wishRequest(1, .data(priority: 0), expected: 2500, now: now)
        #expect(budget.next(now: now)?.flow == 1)
        budget.wishRead(1, now: now)
        #expect(budget.next(now: now)?.flow == 1)
        budget.took(1, 2500)
        budget.finish(1)
        budget.wishRequest(1, .data(priority: 0), expected: 2500, now: now)
        #expect(budget.next(now: now) == nil)
    }

    @Test("without a cap nobody waits")
    func off() {
        var budget = ReadBudget(cap: nil, now: MonotonicTime(nanoseconds: 0))
        budget.open(1, .data(priority: 0))
        budget.measured(1, wire: 1 << 40, payload: 1 << 40)
        budget.wishRead(1, now: MonotonicTime(nanoseconds: 1))
        #expect(budget.next(now: MonotonicTime(nanoseconds: 1))?.bytes == Channel.pieceBytes)
    }
}
