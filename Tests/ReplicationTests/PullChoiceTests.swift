import Model
import Testing

@testable import Replication
@testable import Storage

/// Which peer brings which chunk, and in whose company.
@Suite struct PullChoiceTests {
    private let a = Sample.node(10)
    private let b = Sample.node(11)

    private static func wanted(_ n: Int, bytes: Int64 = 1000) -> WantedChunk {
        let sample = Sample.wanted(n, bytes: bytes)
        let time = ClockPair(realtime: Int64(n), boottime: Int64(n))
        return WantedChunk(
            name: sample.name, session: sample.session, mission: sample.mission,
            fact: ChunkFact(
                stream: .data, index: Int64(n), sha256: sample.fact.sha256, bytes: bytes, rows: 1, firstRow: 0,
                first: time, last: time))
    }

    private func bench(_ wanted: [WantedChunk], _ holders: NodeID...) -> QueueBench {
        var bench = QueueBench(wanted)
        for holder in holders { bench.queue.setHoldings(Sample.holdings("1-5000"), of: holder) }
        return bench
    }

    @Test("small chunks come together where the peer can, in order, within both bounds; large ones come alone")
    func bundles() {
        var bench = bench((1...300).reversed().map { Self.wanted($0, bytes: $0 > 290 ? 1 << 20 : 1000) }, a, b)
        bench.queue.introduce(a, role: .vehicle, bundles: true)
        #expect(bench.request(to: a).map(\.name.n) == [300])
        bench = self.bench((1...300).reversed().map { Self.wanted($0) }, a, b)
        bench.queue.introduce(a, role: .vehicle, bundles: true)
        #expect(bench.request(to: a).map(\.name.n) == (0..<Int64(Limits.bundleChunks)).map { 300 - $0 })
        #expect(bench.request(to: b).count == 1, "an old peer is asked for one")
        bench = self.bench((1...300).reversed().map { Self.wanted($0, bytes: 60_000) }, a)
        bench.queue.introduce(a, role: .vehicle, bundles: true)
        let bundle = bench.request(to: a)
        #expect(bundle.count == Int(Limits.bundleBytes) / 60_000)
        // It is one request, until the last of it has come.
        for _ in 1..<Limits.chunksInFlight { #expect(!bench.request(to: a).isEmpty) }
        for chunk in bundle.dropLast() { bench.queue.arrived(chunk.fact.sha256) }
        #expect(bench.request(to: a).isEmpty)
        bench.settle(bundle[bundle.count - 1], .interrupted(keptSome: false))
        #expect(!bench.request(to: a).isEmpty)
    }

    @Test("a chunk that several have is left to the quickest while that has a place; then the slower one helps")
    func quickest() {
        var bench = bench((1...20).reversed().map { Self.wanted($0, bytes: 1 << 20) }, a, b)
        bench.queue.measured(a, 1_000_000, areSmall: false, in: .seconds(1))
        bench.queue.measured(b, 5_000_000, areSmall: false, in: .seconds(1))
        #expect(bench.next(for: a) == nil)
        let taken = (0..<Limits.chunksInFlight).compactMap { _ in bench.next(for: b) }
        #expect(taken.count == Limits.chunksInFlight)
        #expect(bench.next(for: a)?.name.n == 16, "each of them once")
        // What is measured of large chunks says nothing of small ones.
        bench = self.bench([Self.wanted(1)], a, b)
        bench.queue.measured(a, 1_000_000, areSmall: false, in: .seconds(1))
        bench.queue.measured(b, 5_000_000, areSmall: false, in: .seconds(1))
        #expect(bench.next(for: a) != nil)
    }

    @Test("a topside is asked before a vehicle where neither is known to be quicker, and after it where it is slower")
    func roles() {
        var bench = bench((1...9).reversed().map { Self.wanted($0) }, a, b)
        bench.queue.introduce(a, role: .vehicle, bundles: false)
        bench.queue.introduce(b, role: .topside, bundles: false)
        #expect(bench.next(for: a) == nil && bench.next(for: b)?.name.n == 9)
        bench.queue.measured(a, 1_000, areSmall: true, in: .milliseconds(10))
        bench.queue.measured(b, 1_000, areSmall: true, in: .milliseconds(12))
        #expect(bench.next(for: a) == nil)
        for _ in 0..<20 { bench.queue.measured(b, 1_000, areSmall: true, in: .milliseconds(100)) }
        #expect(bench.next(for: b) == nil && bench.next(for: a)?.name.n == 8)
    }

    @Test("a quicker peer that gives a chunk badly, has gone, or has it not is gone around at once")
    func badQuickest() throws {
        var bench = bench([Self.wanted(2), Self.wanted(1)], a, b)
        bench.queue.measured(a, 1_000, areSmall: true, in: .seconds(1))
        bench.queue.measured(b, 9_000, areSmall: true, in: .seconds(1))
        let given = bench.next(for: b)
        let bad = try #require(given)
        bench.settle(bad, .failed(.corruptChunk))
        #expect(bench.next(for: a) == bad)
        #expect(bench.next(for: a) == nil)
        bench.queue.forget(b)
        #expect(bench.next(for: a)?.name.n == 1)
        bench = self.bench([Self.wanted(5)], a)
        bench.queue.setHoldings(Sample.holdings("1-4"), of: b)
        bench.queue.measured(a, 1_000, areSmall: true, in: .seconds(1))
        bench.queue.measured(b, 9_000, areSmall: true, in: .seconds(1))
        #expect(bench.next(for: a)?.name.n == 5)
    }

    @Test("what is newer than a backlog of large chunks in flight has a place beside them; what is older has not")
    func news() {
        var bench = bench((1...9).reversed().map { Self.wanted($0, bytes: 64 << 20) }, a)
        for n in 0..<Limits.chunksInFlight { #expect(bench.next(for: a)?.name.n == Int64(9 - n)) }
        #expect(bench.next(for: a) == nil)
        bench.wanted.insert(Self.wanted(10), at: 0)
        bench.missing.insert(bench.wanted[0].name)
        bench.queue.add([bench.wanted[0].name], to: a)
        #expect(bench.next(for: a)?.name.n == 10)
        #expect(bench.next(for: a) == nil)
    }

    @Test("a peer that could be asked and is not is idle in vain; a delay, a pause or a full disk is a reason")
    func idle() throws {
        var bench = bench([Self.wanted(1)], a)
        let first = bench.next(for: a)
        let chunk = try #require(first)
        #expect(!bench.queue.isIdleInVain(a, now: Sample.time(0)))
        bench.settle(chunk, .failed(.corruptChunk))
        #expect(bench.next(for: a, at: 0.1) == nil)
        #expect(!bench.queue.isIdleInVain(a, now: Sample.time(0.1)), "it may not be asked yet")
        _ = bench.queue.tick(now: Sample.time(0.1))
        _ = bench.queue.tick(now: Sample.time(9))
        let second = bench.next(for: a, at: 9)
        let again = try #require(second)
        bench.settle(again, .interrupted(keptSome: true), at: 9)
        bench.queue.introduce(b, role: nil, bundles: false)
        // The look has found it, and nobody asks.
        bench.queue.setHoldings(Sample.holdings("1-5000"), of: b)
        _ = bench.next(for: b, at: 9).map { bench.settle($0, .interrupted(keptSome: true), at: 9) }
        #expect(!bench.queue.isIdleInVain(a, now: Sample.time(9)), "a look is due")
    }
}
