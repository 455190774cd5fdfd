import Model
import Testing

@testable import Replication

@Suite struct AcknowledgementTests {
    /// What a node with a changing store would say, one statement after another, as its schedule decides.
    private func history(seed: UInt64, count: Int) -> (statements: [HoldingsStatement], final: Holdings) {
        var random = Seeded(state: seed)
        var schedule = StatementSchedule()
        var holdings = Holdings()
        var statements: [HoldingsStatement] = []
        for step in 1...count {
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let process = Sample.process(.random(in: 1...4, using: &random))
                let n = Int64.random(in: 1...20, using: &random)
                let name = FactName(author: Sample.node(.random(in: 1...2, using: &random)), incarnation: process, n: n)
                if Bool.random(using: &random) { holdings.insert(name) } else { holdings.remove(name) }
            }
            let now = Sample.time(Double(step) * 20)
            guard
                case .post(let statement) = schedule.next(
                    epoch: Sample.process(9), head: Int64(step), holdings: holdings, now: now)
            else { continue }
            statements.append(statement)
            // A statement whose answer was lost: the next is whole, though this one may well have arrived.
            if Int.random(in: 0..<6, using: &random) == 0 {
                schedule.refused(now: now)
            } else {
                schedule.arrived(holdings, now: now)
            }
        }
        return (statements, holdings)
    }

    @Test("whatever order statements arrive in, and however often, what is believed in the end is the newest")
    func orderDoesNotMatter() {
        for seed in 1...300 as ClosedRange<UInt64> {
            let (statements, final) = history(seed: seed, count: 25)
            var random = Seeded(state: seed &* 77)
            var believed = AcknowledgedHoldings()
            for statement in (statements + statements.prefix(10)).shuffled(using: &random) {
                _ = believed.take(statement)
            }
            #expect(believed.holdings == final, "seed \(seed)")
        }
    }

    @Test("where statements are lost, nothing is believed that was not said, and one whole statement mends it")
    func lossDoesNoHarm() {
        for seed in 1...300 as ClosedRange<UInt64> {
            let (statements, final) = history(seed: seed, count: 25)
            var random = Seeded(state: seed &* 91)
            var believed = AcknowledgedHoldings()
            for statement in statements where Int.random(in: 0..<3, using: &random) > 0 { _ = believed.take(statement) }
            let said = statements.reduce(into: Holdings()) { $0.formUnion($1.holdings) }
            #expect(believed.holdings.subtracting(said).isEmpty, "seed \(seed)")
            let whole = HoldingsStatement(epoch: Sample.process(9), head: 26, isWhole: true, holdings: final)
            #expect(believed.take(whole) == .taken)
            #expect(believed.holdings == final, "seed \(seed)")
        }
    }

    @Test(
        "within an epoch a lower head is ignored; another epoch replaces everything; a late word of an old one does not"
    )
    func epochs() {
        func whole(_ epoch: UInt64, _ head: Int64, _ ranges: String) -> HoldingsStatement {
            HoldingsStatement(
                epoch: Sample.process(epoch), head: head, isWhole: true, holdings: Sample.holdings(ranges))
        }
        var believed = AcknowledgedHoldings()
        #expect(believed.take(whole(1, 10, "1-10")) == .taken)
        #expect(believed.take(whole(1, 9, "1-9")) == .stale)
        #expect(believed.holdings == Sample.holdings("1-10"))
        // Restarted with an empty store.
        #expect(
            believed.take(HoldingsStatement(epoch: Sample.process(2), head: 0, isWhole: true, holdings: Holdings()))
                == .taken)
        #expect(believed.holdings.isEmpty)
        #expect(believed.take(whole(1, 11, "1-11")) == .stale)
        #expect(believed.holdings.isEmpty)
        for epoch in 3...200 as ClosedRange<UInt64> { _ = believed.take(whole(epoch, 1, "1")) }
        #expect(believed.epoch == Sample.process(200))
    }

    @Test("changes without the whole they build on are taken, and the whole is asked for")
    func needsWhole() {
        var believed = AcknowledgedHoldings()
        let changes = HoldingsStatement(
            epoch: Sample.process(1), head: 5, isWhole: false, holdings: Sample.holdings("1-3"))
        #expect(believed.take(changes) == .needsWhole)
        #expect(believed.holdings == Sample.holdings("1-3"))
    }
}

@Suite struct StatementScheduleTests {
    private let epoch = Sample.process(1)

    @Test(
        "first everything, then the incarnations that changed, at most once a second, and nothing where nothing changed"
    )
    func throttle() {
        var schedule = StatementSchedule()
        var holdings = Sample.holdings("1-5")
        holdings.formUnion(Sample.holdings("1-9", process: 2))
        func next(_ seconds: Double) -> StatementSchedule.Decision {
            schedule.next(epoch: epoch, head: 7, holdings: holdings, now: Sample.time(seconds))
        }
        #expect(next(0) == .post(HoldingsStatement(epoch: epoch, head: 7, isWhole: true, holdings: holdings)))
        schedule.arrived(holdings, now: Sample.time(0))
        #expect(next(0.1) == .nothing)
        holdings.insert(Sample.name(6))
        #expect(next(0.1) == .wait(until: Sample.time(1)))
        let changes = Sample.holdings("1-6")
        #expect(next(1) == .post(HoldingsStatement(epoch: epoch, head: 7, isWhole: false, holdings: changes)))
        schedule.arrived(holdings, now: Sample.time(1))
        // An incarnation that is gone can only be said by saying everything.
        holdings = Sample.holdings("1-6")
        #expect(next(3) == .post(HoldingsStatement(epoch: epoch, head: 7, isWhole: true, holdings: holdings)))
    }

    @Test("after a statement that may not have arrived, the next is whole, and not at once")
    func refused() {
        var schedule = StatementSchedule()
        let holdings = Sample.holdings("1-5")
        schedule.arrived(Sample.holdings("1-4"), now: Sample.time(0))
        schedule.refused(now: Sample.time(5))
        let decision = schedule.next(epoch: epoch, head: 1, holdings: holdings, now: Sample.time(6))
        #expect(decision == .wait(until: Sample.time(15)))
        let late = schedule.next(epoch: epoch, head: 1, holdings: holdings, now: Sample.time(15))
        #expect(late == .post(HoldingsStatement(epoch: epoch, head: 1, isWhole: true, holdings: holdings)))
    }
}

@Suite struct HoldingsSliceTests {
    @Test("slices name every fact once, none more ranges than asked for")
    func slices() {
        var random = Seeded(state: 5)
        var holdings = Holdings()
        for _ in 0..<2_000 {
            holdings.insert(
                Sample.name(
                    .random(in: 1...3_000, using: &random), author: .random(in: 1...3, using: &random),
                    process: .random(in: 1...3, using: &random)))
        }
        for limit in [1, 7, 100, 100_000] {
            let slices = holdings.slices(rangeLimit: limit)
            var union = Holdings()
            for slice in slices {
                let ranges = slice.authors.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.ranges.count } }
                #expect((1...limit).contains(ranges))
                union.formUnion(slice)
            }
            #expect(union == holdings)
            #expect(slices.reduce(0) { $0 + $1.count } == holdings.count)
        }
        #expect(Holdings().slices(rangeLimit: 5).isEmpty)
    }

    @Test("a cursor takes what joins, passes repetitions, and starts over at a hole or another epoch")
    func cursor() {
        func fact(_ seq: Int64, _ epoch: UInt64 = 1) -> PeerEvent {
            .fact(seq: seq, epoch: Sample.process(epoch), kind: "marker", bytes: [UInt8(seq)])
        }
        var cursor = EventCursor(epoch: Sample.process(1), position: 3, isGapless: true)
        guard case .malformed = cursor.take(fact(4)) else { Issue.record("taken before a hello"); return }
        #expect(cursor.take(.hello(epoch: Sample.process(1), head: 5)) == .pass)
        #expect(cursor.take(fact(3)) == .pass)
        #expect(cursor.take(fact(4)) == .take([4]))
        #expect(cursor.take(fact(4)) == .pass)
        #expect(cursor.take(.heartbeat) == .pass)
        #expect(cursor.take(fact(6)) == .startOver(isGap: true))
        #expect(cursor.take(fact(5, 2)) == .startOver(isGap: false))
        #expect(cursor.take(.hello(epoch: Sample.process(1), head: 3)) == .startOver(isGap: false))
        var sparse = EventCursor(epoch: Sample.process(1), position: 0, isGapless: false)
        _ = sparse.take(.hello(epoch: Sample.process(1), head: 9))
        #expect(sparse.take(fact(7)) == .take([7]))
    }

    @Test("a rate is that of the last seconds")
    func rate() {
        var meter = RateMeter()
        for quarter in 0..<16 { meter.add(250, now: Sample.time(Double(quarter) / 4)) }
        #expect(meter.bytesPerSecond(now: Sample.time(3.9)) == 1000)
        #expect(meter.bytesPerSecond(now: Sample.time(5.9)) == 500)
        #expect(meter.bytesPerSecond(now: Sample.time(60)) == 0)
    }
}
