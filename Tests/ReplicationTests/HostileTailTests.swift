import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

@Suite(.timeLimit(.minutes(1))) struct HostileTailTests {
    /// The chunk that the peer made up, as a tail would bring it.
    static func commit(_ peer: InventedPeer, _ bytes: [UInt8], at offset: Int64 = 0) -> TailFrame {
        let at = ClockPair(realtime: 0, boottime: 0)
        let piece = CopyPiece(
            slot: slot(peer), offset: offset, bytes: bytes, rows: 1, firstRow: 0, first: at, last: at)
        return .commit(piece, left: 0)
    }

    static func slot(_ peer: InventedPeer) -> ChunkSlot {
        ChunkSlot(author: peer.node, session: peer.facts[0].fact.session!, stream: .data, index: 0)
    }

    @Test(
        "a fact that comes before its seal waits for it; one that nothing comes of is pulled all the same",
        arguments: [true, false])
    func promise(isKept: Bool) async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 1)
        let content = try #require(peer.content(of: peer.chunks[0]))
        let (copied, heard) = (Mailbox<Bool>(), Mailbox<Bool>())
        peer.bend {
            $0.greeting = { peer.withTails }
            $0.have = { answer in HaveAnswer(head: 0, epoch: answer.epoch, holdings: Holdings()) }
            // The fact is told of when the copy is there.
            $0.events = { _, mailbox in
                mailbox.put([.hello(epoch: peer.epoch, head: 0)])
                _ = try await copied.next()
                for (position, fact) in peer.facts.enumerated() {
                    mailbox.put([
                        .fact(seq: Int64(position + 1), epoch: peer.epoch, kind: fact.fact.body.kind, bytes: fact.bytes)
                    ])
                }
                try await Heart.beat(mailbox)
            }
            $0.tail = { mailbox in
                mailbox.put([.session(fact: peer.facts[0].bytes), Self.commit(peer, content)])
                _ = try await heard.next()
                mailbox.put([.sealed(Self.slot(peer), fact: peer.facts[1].bytes)])
                try await InventedPeer.forever()
            }
        }
        await scene.add(peer)
        let store = scene.node.store
        try await store.waitForCopy(Self.slot(peer), length: Int64(content.count))
        copied.put([true])
        if isKept {
            // Heard of, and left to the tail.
            let replicator = scene.node.replicator
            try await replicator.waitUntil { _ in await store.heard().count > 0 }
            #expect(peer.asked(for: peer.chunks[0]).isEmpty)
            heard.put([true])
        }
        try await store.waitUntil { $0.count == 2 }
        // Where the promise was not kept, the copy was all there was to fetch.
        #expect(peer.asked(for: peer.chunks[0]).isEmpty)
        try await scene.end()
    }

    @Test("a seal that is heard of before its fact makes the chunk held at once")
    func sealFirst() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 1)
        let content = try #require(peer.content(of: peer.chunks[0]))
        peer.bend {
            $0.greeting = { peer.withTails }
            $0.have = { answer in HaveAnswer(head: 0, epoch: answer.epoch, holdings: Holdings()) }
            $0.tail = { mailbox in
                mailbox.put([
                    .session(fact: peer.facts[0].bytes), Self.commit(peer, Array(content[..<40])),
                    Self.commit(peer, Array(content[40...]), at: 40),
                    .sealed(Self.slot(peer), fact: peer.facts[1].bytes),
                ])
                try await InventedPeer.forever()
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 2 }
        #expect(peer.asked(for: peer.chunks[0]).isEmpty)
        try await scene.end()
    }

    @Test("bytes that are not what the author sealed are kept aside and counted, and the true ones are pulled")
    func lies() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 1)
        var lie = try #require(peer.content(of: peer.chunks[0]))
        lie[7] ^= 1
        let bytes = lie
        peer.bend {
            $0.greeting = { peer.withTails }
            $0.tail = { mailbox in
                mailbox.put([
                    .session(fact: peer.facts[0].bytes), Self.commit(peer, bytes),
                    .sealed(Self.slot(peer), fact: peer.facts[1].bytes),
                ])
                try await InventedPeer.forever()
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 2 }
        #expect(try await scene.node.store.contents().values.first == peer.content(of: peer.chunks[0]))
        try await scene.end()
    }

    /// What a tail says that none says.
    enum Rubbish: CaseIterable {
        case strangersChunk, ownChunk, strangersSession, noSession, unknownSession, corrupt, hole, sealOfNothing

        func frames(_ peer: InventedPeer, victim: NodeID) throws -> [TailFrame] {
            let session = TailFrame.session(fact: peer.facts[0].bytes)
            guard case .commit(let piece, _) = HostileTailTests.commit(peer, [10, 10]) else { return [] }
            func other(_ author: NodeID, _ session: SessionID? = nil, _ offset: Int64 = 0) -> TailFrame {
                let slot = ChunkSlot(
                    author: author, session: session ?? piece.slot.session, stream: .data, index: 0)
                return .commit(
                    CopyPiece(
                        slot: slot, offset: offset, bytes: [10], rows: 1, firstRow: 0, first: piece.first,
                        last: piece.last), left: 0)
            }
            return switch self {
            case .strangersChunk: [session, other(Sample.node(77))]
            case .ownChunk: [session, other(victim)]
            case .strangersSession: [.session(fact: InventedPeer(9, chunks: 0).facts[0].bytes)]
            case .noSession: [.session(fact: Array("{}".utf8))]
            case .unknownSession: [other(peer.node, .random())]
            case .corrupt: throw CorruptTail()
            case .hole: [session, other(peer.node, nil, 500)]
            case .sealOfNothing: [.sealed(piece.slot, fact: Array("{}".utf8)), .dropped(piece.slot)]
            }
        }
    }

    @Test(
        "a tail of rubbish is ended or passed over, counted where it is a fault, and all else goes on",
        arguments: Rubbish.allCases)
    func rubbish(_ kind: Rubbish) async throws {
        var scene = try await Scene(speed: 10)
        let victim = scene.node.store.node
        let peer = InventedPeer(2, chunks: 3)
        let tails = Locked(0)
        peer.bend {
            $0.greeting = { peer.withTails }
            $0.tail = { mailbox in
                tails.withLock { $0 += 1 }
                mailbox.put(try kind.frames(peer, victim: victim))
                try await InventedPeer.forever()
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 4 }
        switch kind {
        case .strangersChunk, .ownChunk, .strangersSession, .noSession:
            try await scene.waitForFault(.malformed, of: peer)
        case .corrupt: try await scene.waitForFault(.corruptTail, of: peer)
        case .unknownSession, .hole, .sealOfNothing: break
        }
        #expect(await scene.node.store.copies().isEmpty)
        #expect(try await scene.report(of: peer).state == .live)
        try await scene.end()
    }

    @Test("a tail that ends at once is opened again later and later, one that lasted at once")
    func retry() {
        var retry = TailRetry()
        var delays: [Duration] = []
        for second in 0..<12 {
            delays.append(retry.ended(began: Sample.time(Double(second)), now: Sample.time(Double(second) + 0.1)))
        }
        #expect(delays == delays.sorted() && delays[0] > .zero && delays.last == Limits.tailRetryDelay.upperBound)
        #expect(retry.ended(began: Sample.time(20), now: Sample.time(80)) == .zero)
        #expect(retry.ended(began: Sample.time(80), now: Sample.time(80)) == delays[0])
    }
}

@Suite struct LiveSlotTests {
    private let slot = ChunkSlot(
        author: Sample.node(1), session: SessionID(high: 1, low: 1), stream: .data, index: 3)

    @Test("a chunk is left to its tail while that delivers, and for a while after its fact; then it is pulled")
    func patience() {
        var live = LiveSlots()
        func holds(_ number: Int, at second: Double) -> Bool {
            live.holdsBack(Sample.wanted(number), now: Sample.time(second))
        }
        #expect(!holds(3, at: 0))
        live.set([slot], of: 1, now: Sample.time(0))
        // A slow sensor: its last row is long ago when its chunk is sealed.
        #expect(holds(3, at: 50))
        #expect(!holds(4, at: 50))
        #expect(live.chunks(now: Sample.time(59)) == [Sample.wanted(3).claim])
        live.grew([slot], by: 1, now: Sample.time(58))
        #expect(holds(3, at: 67))
        #expect(!live.becameDue(after: Sample.time(59), now: Sample.time(67)))
        #expect(live.becameDue(after: Sample.time(67), now: Sample.time(68)))
        #expect(!holds(3, at: 68))
        #expect(live.chunks(now: Sample.time(68)).isEmpty)
        live.set([], of: 1, now: Sample.time(70))
        #expect(live.count == 0)
        #expect(!holds(3, at: 70))
    }

    @Test(
        "who trickles after a chunk's fact holds it back for a while and not for ever, and nobody more than is counted")
    func trickle() {
        var live = LiveSlots()
        func holds(_ number: Int, at second: Double) -> Bool {
            live.holdsBack(Sample.wanted(number), now: Sample.time(second))
        }
        live.set([slot], of: 1, now: Sample.time(0))
        for second in stride(from: 0.0, to: 30, by: 5) {
            #expect(holds(3, at: second))
            live.grew([slot], by: 1, now: Sample.time(second))
        }
        #expect(!holds(3, at: 30))
        #expect(live.becameDue(after: Sample.time(29), now: Sample.time(30)))
        let many = (0...Int64(Limits.tailPositions)).map {
            ChunkSlot(author: slot.author, session: slot.session, stream: .data, index: $0)
        }
        live.set(Set(many), of: 1, now: Sample.time(40))
        let held = many.filter { holds(Int($0.index), at: 40) }
        #expect(held.count <= Limits.tailPositions)
    }

    @Test("a tail is read no further while too many seals wait for the disk")
    func seals() {
        var inbox = TailInbox()
        for _ in 0..<Limits.tailSealsWaiting {
            #expect(!inbox.isFull)
            inbox.put(.sealed(slot, fact: [1]))
        }
        _ = inbox.take()
        #expect(inbox.isFull)
        inbox.isSealed()
        #expect(!inbox.isFull)
    }

    @Test("a queue gives out no chunk that comes by a tail, and gives it out when the tail ends")
    func queue() {
        var queue = PullQueue(node: Sample.node(9), policy: .all)
        queue.setHoldings(Sample.holdings("1-9"), of: Sample.node(1))
        func look(_ now: Double) -> PullQueue.Choice {
            if case .scan(let request) = queue.next(for: Sample.node(1), now: Sample.time(now)) {
                queue.endScan(
                    request, found: [Sample.wanted(3)].filter { !request.excluding.contains($0.claim) },
                    isPartial: false, missing: Sample.holdings("3"), now: Sample.time(now))
            }
            return queue.next(for: Sample.node(1), now: Sample.time(now))
        }
        queue.setLive([slot], of: 4, now: Sample.time(0))
        #expect(look(0) == .wait)
        queue.setLive([], of: 4, now: Sample.time(1))
        #expect(look(1) == .pull(Sample.wanted(3)))
    }
}

extension InventedPeer {
    /// A greeting that promises tails.
    var withTails: PeerGreeting { greeting(["tail"]) }
}
