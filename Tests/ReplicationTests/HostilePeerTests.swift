import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

@Suite(.timeLimit(.minutes(1))) struct HostilePeerTests {
    @Test("facts that are none, that are ours, or that never end neither hang nor hurt, and what is good is taken")
    func garbageFacts() async throws {
        var scene = try await Scene(speed: 10)
        let own = try await scene.node.store.record(.marker(Marker(id: "mine")), in: nil)
        let peer = InventedPeer(2, chunks: 3)
        peer.bend {
            $0.have = { honest in
                var holdings = honest.holdings
                // What nobody wrote, as many as there can be, and what this very node is about to write.
                holdings.formUnion(Sample.holdings("1-9007199254740992", author: 50))
                holdings[own.fact.name.author, own.fact.name.incarnation] = RangeSet64(1...1_000)
                return HaveAnswer(head: honest.head, epoch: honest.epoch, holdings: holdings)
            }
            $0.facts = { honest in
                let garbage: [[UInt8]] = [
                    [], [0xff, 0xfe], Array("{}".utf8), Array("null".utf8), [UInt8](repeating: 0x5b, count: 60_000),
                    [UInt8](repeating: 0x20, count: 100_000), own.bytes,
                ]
                return FactsAnswer(facts: garbage + honest.facts, hasMore: true)
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.contains(peer.facts[3].fact.name) }
        try await scene.waitForFault(.refusedFact, of: peer)
        try await scene.waitForFault(.malformed, of: peer)
        #expect(try await scene.node.store.holdings().holdings.filtered { $0 == Sample.node(50) }.isEmpty)
        // Not believed for ever either: once it is honest, it is live.
        peer.bend { ($0.have, $0.facts) = (nil, nil) }
        try await scene.node.replicator.waitUntil { $0.first?.state == .live }
        try await scene.end()
    }

    @Test("events with holes, of another epoch or without a greeting start the comparison over, and not all day")
    func garbageEvents() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 2)
        let turns = Locked(0)
        peer.bend {
            $0.events = { [epoch = peer.epoch] seq, mailbox in
                let turn = turns.withLock { turns in
                    turns += 1
                    return turns
                }
                let head = seq ?? 0
                let bytes = Array("{}".utf8)
                switch turn {
                case 1: mailbox.put([.hello(epoch: .random(), head: head)])
                case 2:
                    mailbox.put([
                        .hello(epoch: epoch, head: head),
                        .fact(seq: head + 5, epoch: epoch, kind: "marker", bytes: bytes),
                    ])
                case 3: mailbox.put([.fact(seq: head + 1, epoch: epoch, kind: "marker", bytes: bytes)])
                case 4: return
                default: mailbox.put([.hello(epoch: epoch, head: head)])
                }
                try await InventedPeer.forever()
            }
        }
        await scene.add(peer)
        try await scene.node.replicator.waitUntil { _ in turns.withLock { $0 } >= 5 }
        let report = try await scene.report(of: peer)
        #expect(report.faults[.eventGap] == 1 && report.faults[.malformed] == 1 && report.faults[.broken] == 1)
        #expect(peer.haveCount < 10)
        try await scene.end()
    }

    @Test("a peer that refuses, answers garbage or says nothing delays no other, and is found again when it is well")
    func badGreetings() async throws {
        var scene = try await Scene(speed: 10)
        let answers: [(PeerFault, @Sendable () async throws -> PeerGreeting)] = [
            (.refused, { throw PeerLinkError.refused(status: 403, reason: "not paired") }),
            (.malformed, { throw PeerLinkError.malformed(reason: "HTTP/9") }),
            (
                .silent,
                {
                    try await InventedPeer.forever(); throw PeerLinkError.closed
                }
            ),
        ]
        var bad: [InventedPeer] = []
        for (number, answer) in answers.enumerated() {
            let peer = InventedPeer(20 + number, chunks: 1)
            peer.bend { $0.greeting = answer.1 }
            bad.append(peer)
            await scene.add(peer)
        }
        let good = InventedPeer(2, chunks: 3)
        await scene.add(good)
        try await scene.node.store.waitUntil { $0.count == 4 }
        for (peer, answer) in zip(bad, answers) { try await scene.waitForFault(answer.0, of: peer) }
        for peer in bad { peer.bend { $0.greeting = nil } }
        try await scene.node.store.waitUntil { $0.count == 10 }
        try await scene.end()
    }

    @Test("a peer that greets and then refuses is dialled less and less often")
    func refusal() async throws {
        var scene = try await Scene(speed: 20)
        let peer = InventedPeer(2, chunks: 1)
        let times = Mailbox<MonotonicTime>()
        peer.bend {
            $0.have = { _ in
                times.put([SystemClock.monotonic()])
                throw PeerLinkError.refused(status: 403, reason: "not paired")
            }
        }
        await scene.add(peer)
        let first = try #require(try await times.next())
        for _ in 0..<2 { _ = try await times.next() }
        let fourth = try #require(try await times.next())
        // Gaps of 1, 2 and 4 seconds, in a twentieth of it.
        #expect(first.duration(to: fourth) >= .milliseconds(340))
        try await scene.end()
    }

    @Test("a statement that a peer does not want is repeated whole, later, and the peer is followed all the same")
    func refusedStatement() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 2)
        peer.bend { $0.statement = { _ in throw PeerLinkError.refused(status: 403, reason: "no") } }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 3 }
        for _ in 0..<2 {
            let statement = try #require(try await peer.statements.next())
            #expect(statement.isWhole)
        }
        peer.bend { $0.statement = nil }
        let final = try await scene.node.store.holdings().holdings
        while let statement = try await peer.statements.next(), statement.holdings != final {}
        #expect(try await scene.report(of: peer).state == .live)
        try await scene.end()
    }

    @Test("a node stops at once, whatever its peers are doing")
    func stopping() async throws {
        var scene = try await Scene()
        for (number, hang) in ["greeting", "have", "facts", "chunk", "events"].enumerated() {
            let peer = InventedPeer(30 + number, chunks: 2)
            peer.bend { bends in
                switch hang {
                case "greeting":
                    bends.greeting = {
                        try await InventedPeer.forever(); throw PeerLinkError.closed
                    }
                case "have":
                    bends.have = {
                        try await InventedPeer.forever(); return $0
                    }
                case "facts":
                    bends.facts = {
                        try await InventedPeer.forever(); return $0
                    }
                case "chunk":
                    bends.chunk = { _, script, _ in
                        try await InventedPeer.forever(); return script
                    }
                default: bends.events = { _, _ in try await InventedPeer.forever() }
                }
            }
            await scene.add(peer)
        }
        await scene.node.replicator.setEndpoints(scene.peers.map(scene.endpoint) + [Endpoint(host: "nobody", port: 1)])
        try await scene.node.store.waitUntil { $0.count >= 4 }
        try await scene.bench.end()
    }
}
