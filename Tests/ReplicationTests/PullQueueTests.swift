import Model
import Testing

@testable import Replication
@testable import Storage

/// The queue with a store of numbers behind it: what is wanted, and what was admitted.
struct QueueBench {
    var queue = PullQueue(node: Sample.node(0), policy: .all)
    var wanted: [WantedChunk]
    var missing: Holdings
    var scans = 0

    init(_ wanted: [WantedChunk]) {
        self.wanted = wanted
        missing = wanted.reduce(into: Holdings()) { $0.insert($1.name) }
    }

    /// The next chunk for this peer, where it is asked for alone.
    mutating func next(for peer: NodeID, at seconds: Double = 0) -> WantedChunk? {
        let chunks = request(to: peer, at: seconds)
        #expect(chunks.count < 2)
        return chunks.first
    }

    /// The next request to this peer, having looked into the store as often as the queue asks to.
    mutating func request(to peer: NodeID, at seconds: Double = 0) -> [WantedChunk] {
        for _ in 0..<1_000 {
            switch queue.next(for: peer, now: Sample.time(seconds)) {
            case .pull(let chunk): return [chunk]
            case .bundle(let chunks): return chunks
            case .wait: return []
            case .scan(let request):
                scans += 1
                let rest = wanted.lazy.filter { !request.excluding.contains($0.claim) }
                let found = Array(rest.prefix(request.limit))
                queue.endScan(
                    request, found: found, isPartial: found.count == request.limit, missing: missing,
                    now: Sample.time(seconds))
            }
        }
        Issue.record("the queue looks without end")
        return []
    }

    mutating func settle(_ chunk: WantedChunk, _ outcome: PullQueue.Outcome, at seconds: Double = 0) {
        if outcome == .admitted {
            wanted.removeAll { $0 == chunk }
            missing.remove(chunk.name)
        }
        queue.settled(chunk, outcome, jitter: 0, now: Sample.time(seconds))
    }
}

@Suite struct PullQueueTests {
    private let a = Sample.node(10)
    private let b = Sample.node(11)

    @Test("only what a connected peer holds is asked for, the newest first, each of one peer at a time")
    func choice() {
        var bench = QueueBench((1...6).reversed().map { Sample.wanted($0) })
        #expect(bench.next(for: a) == nil)
        bench.queue.setHoldings(Sample.holdings("1-4"), of: a)
        bench.queue.setHoldings(Sample.holdings("4-5"), of: b)
        #expect(bench.next(for: a)?.name.n == 4)
        #expect(bench.next(for: b)?.name.n == 5)
        #expect(bench.next(for: b) == nil)
        #expect((0..<3).map { _ in bench.next(for: a)?.name.n } == [3, 2, 1])
    }

    @Test("no more chunks of one peer are under way than the limit, and none when its link has ended")
    func inFlight() {
        var bench = QueueBench((1...20).map { Sample.wanted($0) })
        bench.queue.setHoldings(Sample.holdings("1-20"), of: a)
        let taken = (0..<10).compactMap { _ in bench.next(for: a) }
        #expect(taken.count == Limits.chunksInFlight)
        bench.queue.arrived(taken[0].fact.sha256)
        #expect(bench.next(for: a) != nil)
        #expect(bench.next(for: a) == nil)
        bench.queue.forget(a)
        bench.settle(taken[1], .interrupted(keptSome: false))
        #expect(bench.next(for: a) == nil)
    }

    @Test("no more is asked for than the disk has beyond what is kept free, and it goes on when there is a little more")
    func room() {
        let mega: Int64 = 1_000_000
        func space(_ free: Int64) -> DiskSpace { DiskSpace(minFree: 100 * mega, free: free, reserve: .held) }
        var bench = QueueBench((1...9).map { Sample.wanted($0, bytes: mega) })
        _ = bench.queue.setSpace(space(103 * mega + 5))
        bench.queue.setHoldings(Sample.holdings("1-9"), of: a)
        let taken = (0..<4).compactMap { _ in bench.next(for: a) }
        #expect(taken.count == 2, "two fit, and those on their way are counted")
        #expect(bench.queue.pause(of: a, now: Sample.time(0)) == nil, "something is on its way")
        for chunk in taken { bench.settle(chunk, .admitted) }
        #expect(bench.next(for: a) == nil)
        #expect(bench.queue.pause(of: a, now: Sample.time(0))?.contains("103 MB left") == true)
        // A little more room than a chunk takes is not enough to go on: that would be one chunk at a time for ever.
        let isNews = bench.queue.setSpace(space(101 * mega))
        #expect(isNews)
        #expect(bench.next(for: a) == nil)
        _ = bench.queue.setSpace(space(120 * mega))
        #expect(bench.next(for: a) != nil && bench.queue.pause(of: a, now: Sample.time(0)) == nil)
    }

    @Test("below what is kept free nothing is asked for, not even what was on its way, and nothing of other peers")
    func low() {
        let mega: Int64 = 1_000_000
        var space = DiskSpace(minFree: 100 * mega, free: 200 * mega, reserve: .held)
        var bench = QueueBench((1...9).map { Sample.wanted($0) })
        bench.queue.setHoldings(Sample.holdings("1-9"), of: a)
        bench.queue.setHoldings(Sample.holdings("1-9"), of: b)
        _ = bench.queue.setSpace(space)
        #expect(bench.next(for: a) != nil && bench.queue.hasRoom)
        space.measured(99 * mega)
        _ = bench.queue.setSpace(space)
        #expect(bench.next(for: a) == nil && bench.next(for: b) == nil && !bench.queue.hasRoom)
        // What a peer has is not even heard of then: it is no reason to keep still that nothing of it is missing.
        bench.queue.setHoldings(Holdings(), of: Sample.node(3))
        #expect(bench.queue.pause(of: Sample.node(3), now: Sample.time(0))?.contains("are kept free") == true)
        #expect(bench.queue.pause(of: Sample.node(4), now: Sample.time(0)) == nil)
        bench.queue.forget(Sample.node(3))
        space.measured(109 * mega)
        _ = bench.queue.setSpace(space)
        #expect(bench.next(for: a) == nil)
        space.measured(112 * mega)
        let isNews = bench.queue.setSpace(space)
        #expect(isNews && bench.queue.hasRoom)
        #expect(bench.next(for: a) != nil && bench.next(for: b) != nil)
    }

    @Test("a chunk too large for what is left lets smaller ones go before it")
    func tooLarge() {
        let mega: Int64 = 1_000_000
        var bench = QueueBench([Sample.wanted(2, bytes: 50 * mega), Sample.wanted(1, bytes: mega)])
        _ = bench.queue.setSpace(DiskSpace(minFree: 100 * mega, free: 120 * mega, reserve: .held))
        bench.queue.setHoldings(Sample.holdings("1-2"), of: a)
        #expect(bench.next(for: a)?.name.n == 1)
        #expect(bench.next(for: a) == nil)
    }

    @Test("chunks on their way fit the memory that is set aside, and a chunk larger than it is not left for ever")
    func memory() {
        let size = Limits.streamedChunkReserve / 2
        var bench = QueueBench((1...100).map { Sample.wanted($0, bytes: size) })
        bench.queue.setHoldings(Sample.holdings("1-100"), of: a)
        var taken: [WantedChunk] = []
        while let chunk = bench.next(for: a) {
            bench.queue.arrived(chunk.fact.sha256)
            taken.append(chunk)
        }
        #expect(Int64(taken.count) == Limits.pullMemoryBytes / size)
        #expect(bench.queue.reservedBytes <= Limits.pullMemoryBytes)
        bench.settle(taken[0], .admitted)
        #expect(bench.next(for: a) != nil)
        var small = QueueBench((1...2_000).map { Sample.wanted($0, bytes: 1) })
        small.queue.setHoldings(Sample.holdings("1-2000"), of: a)
        while let chunk = small.next(for: a) { small.queue.arrived(chunk.fact.sha256) }
        #expect(small.queue.takenCount == Limits.pullChunks)
        var huge = QueueBench([Sample.wanted(1, bytes: Limits.chunkBytes)])
        huge.queue.setHoldings(Sample.holdings("1"), of: a)
        #expect(huge.next(for: a) != nil)
    }

    @Test(
        "a chunk in trouble is asked of another peer at once, of the same one later and later, and blocks no other"
    )
    func trouble() {
        var bench = QueueBench([Sample.wanted(9), Sample.wanted(8), Sample.wanted(7)])
        bench.queue.setHoldings(Sample.holdings("7-9"), of: a)
        let first = bench.next(for: a)!
        bench.settle(first, .failed(.corruptChunk))
        #expect(bench.next(for: a)?.name.n == 8)
        #expect(bench.next(for: a)?.name.n == 7)
        #expect(bench.next(for: a) == nil)
        bench.queue.setHoldings(Sample.holdings("9"), of: b)
        #expect(bench.next(for: b)?.name.n == 9)
        bench.settle(first, .failed(.missingChunk))
        #expect(bench.next(for: b) == nil)

        var times: [Double] = []
        for second in 1...600 {
            guard bench.queue.tick(now: Sample.time(Double(second))) else { continue }
            if let chunk = bench.next(for: a, at: Double(second)) {
                #expect(chunk.name.n == 9)
                times.append(Double(second))
                bench.settle(chunk, .failed(.corruptChunk), at: Double(second))
            }
        }
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(gaps.count >= 10)
        #expect(zip(gaps, gaps.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(gaps.last == 60)
    }

    @Test("a wrong fact of the same digest hides no right one, and the chunk is asked for by one of them at a time")
    func forged() {
        let honest = Sample.wanted(1)
        let forged = WantedChunk(
            name: Sample.name(2), session: honest.session, mission: honest.mission,
            fact: ChunkFact(
                stream: .data, index: 2, sha256: honest.fact.sha256, bytes: 1_001, rows: 1, firstRow: 0,
                first: honest.fact.first, last: honest.fact.last))
        var bench = QueueBench([forged, honest])
        bench.queue.introduce(a, role: nil, bundles: true)
        bench.queue.setHoldings(Sample.holdings("1-2"), of: a)
        bench.queue.setHoldings(Sample.holdings("1"), of: b)
        #expect(bench.request(to: a) == [forged])
        #expect(bench.next(for: b) == nil)
        bench.settle(forged, .failed(.wrongLength))
        #expect(bench.next(for: a) == honest)
        bench.settle(honest, .admitted)
        #expect(bench.next(for: a) == nil && bench.queue.takenCount == 0 && bench.queue.reservedBytes == 0)
    }

    @Test("after a broken link a chunk is asked for again at once; one that breaks it each time is not first for ever")
    func interrupted() {
        var bench = QueueBench([Sample.wanted(2), Sample.wanted(1)])
        bench.queue.setHoldings(Sample.holdings("1-2"), of: a)
        let poison = bench.next(for: a)!
        bench.settle(poison, .interrupted(keptSome: false))
        #expect(bench.next(for: a) == poison)
        bench.settle(poison, .interrupted(keptSome: false))
        #expect(bench.next(for: a)?.name.n == 1)
    }

    @Test("a full disk stops all pulling for a while, not each chunk for itself")
    func storage() {
        var bench = QueueBench((1...10).map { Sample.wanted($0) })
        bench.queue.setHoldings(Sample.holdings("1-10"), of: a)
        let taken = (0..<4).compactMap { _ in bench.next(for: a) }
        for chunk in taken { bench.settle(chunk, .storageFailed) }
        #expect(bench.next(for: a, at: 0.5) == nil)
        let isOver = bench.queue.tick(now: Sample.time(1))
        #expect(isOver)
        #expect(bench.next(for: a, at: 1)?.name.n == 1)
    }

    @Test("older chunks are found behind thousands that nobody who is there can give")
    func buried() {
        let gone = (20_001...29_000).reversed().map { Sample.wanted($0) }
        let here = (1...600).reversed().map { Sample.wanted($0) }
        var bench = QueueBench(gone + here)
        bench.queue.setHoldings(Sample.holdings("1-600"), of: a)
        var pulled: [Int64] = []
        for turn in 0..<2_000 {
            _ = bench.queue.tick(now: Sample.time(Double(turn)))
            guard let chunk = bench.next(for: a, at: Double(turn)) else { continue }
            pulled.append(chunk.name.n)
            bench.settle(chunk, .admitted, at: Double(turn))
            if pulled.count == 600 { break }
        }
        #expect(pulled == Array((1...600).reversed()))
        #expect(bench.scans < 100)
    }

    @Test("a peer behind another's backlog is served too, and one without anything costs no searching")
    func starving() {
        let mine = (1...5).reversed().map { Sample.wanted($0) }
        var bench = QueueBench((10_001...18_000).reversed().map { Sample.wanted($0) } + mine)
        bench.queue.setHoldings(Sample.holdings("10001-18000"), of: a)
        bench.queue.setHoldings(Sample.holdings("1-5"), of: b)
        let synced = Sample.node(12)
        bench.queue.setHoldings(Sample.holdings("90000-90010"), of: synced)
        #expect(bench.next(for: a)?.name.n == 18_000)
        #expect(bench.next(for: b)?.name.n == 5)
        let scans = bench.scans
        for _ in 0..<100 { #expect(bench.next(for: synced) == nil) }
        #expect(bench.scans == scans)
    }

    @Test("what was heard of while the queue was looking is looked for again")
    func newsDuringScan() {
        var queue = PullQueue(node: Sample.node(0), policy: .all)
        queue.setHoldings(Sample.holdings("1-2"), of: a)
        let now = Sample.time(0)
        guard case .scan(let request) = queue.next(for: a, now: now) else { Issue.record("no look"); return }
        queue.scanSoon()
        queue.endScan(request, found: [], isPartial: false, missing: Holdings(), now: now)
        guard case .scan = queue.next(for: a, now: now) else { Issue.record("the news is lost"); return }
    }

    @Test("a chunk that was admitted while the queue was looking is not pulled twice")
    func admittedDuringScan() {
        var bench = QueueBench([Sample.wanted(2), Sample.wanted(1)])
        bench.queue.setHoldings(Sample.holdings("1-2"), of: a)
        let chunk = bench.next(for: a)!
        bench.queue.scanSoon()
        guard case .scan(let request) = bench.queue.next(for: a, now: Sample.time(0)) else {
            Issue.record("no look")
            return
        }
        let asSeenBefore = bench.wanted
        bench.settle(chunk, .admitted)
        bench.queue.endScan(
            request, found: asSeenBefore, isPartial: false, missing: bench.missing, now: Sample.time(0))
        #expect(bench.next(for: a)?.name.n == 1)
        #expect(bench.next(for: a) == nil)
    }

    @Test("policy decides what is wanted; what the node wrote itself it wants back in any case")
    func policy() {
        let own = WantedChunk(
            name: FactName(author: Sample.node(0), incarnation: Sample.process(1), n: 3),
            session: SessionID(high: 1, low: 1), mission: "m", fact: Sample.wanted(3).fact)
        var all = Sample.holdings("1-2")
        all.insert(own.name)
        for (policy, expected) in [
            (.all, [3, 2, 1]), (.none, [3]), (.mission("deep"), [3, 2]),
        ] as [(PullPolicy, [Int64])] {
            var bench = QueueBench([own, Sample.wanted(2, mission: "deep"), Sample.wanted(1, mission: "m")])
            bench.queue.setPolicy(policy)
            bench.queue.setHoldings(all, of: a)
            #expect((0..<4).compactMap { _ in bench.next(for: a)?.name.n } == expected)
        }
    }

    @Test("peers come and go, fail and lie at random: every chunk that some peer gives is here in the end, each once")
    func convergence() {
        for seed in 1...40 as ClosedRange<UInt64> {
            var random = Seeded(state: seed)
            var bench = QueueBench((1...120).reversed().map { Sample.wanted($0) })
            let peers = [a, b, Sample.node(12)]
            var underWay: [(chunk: WantedChunk, peer: NodeID)] = []
            var admitted: [Int64] = []
            var second = 0.0
            for _ in 0..<6_000 where admitted.count < 120 {
                second += 0.5
                let peer = peers.randomElement(using: &random)!
                switch Int.random(in: 0..<12, using: &random) {
                case 0: bench.queue.forget(peer)
                case 1...2: bench.queue.setHoldings(Sample.holdings(peer == a ? "1-80" : "60-120"), of: peer)
                case 3...6: if let chunk = bench.next(for: peer, at: second) { underWay.append((chunk, peer)) }
                case 7: _ = bench.queue.tick(now: Sample.time(second))
                default:
                    guard let position = underWay.indices.randomElement(using: &random) else { continue }
                    let (chunk, _) = underWay.remove(at: position)
                    let outcome: PullQueue.Outcome =
                        switch Int.random(in: 0..<10, using: &random) {
                        case 0: .failed(.corruptChunk)
                        case 1: .failed(.missingChunk)
                        case 2: .interrupted(keptSome: Bool.random(using: &random))
                        case 3: .storageFailed
                        default: .admitted
                        }
                    bench.settle(chunk, outcome, at: second)
                    if outcome == .admitted { admitted.append(chunk.name.n) }
                }
            }
            #expect(Set(admitted).count == 120, "seed \(seed)")
            #expect(admitted.count == 120, "seed \(seed): a chunk was pulled twice")
        }
    }
}
