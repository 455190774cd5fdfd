import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

/// A node that follows invented peers.
private struct Scene {
    let bench: Bench
    let node: StoreNode
    private(set) var peers: [InventedPeer] = []

    init(speed: Double = 1) async throws {
        bench = try Bench(speed: speed)
        node = try await bench.node(1)
    }

    func endpoint(_ peer: InventedPeer) -> Endpoint { Endpoint(host: peer.node.short, port: 1) }

    mutating func add(_ peer: InventedPeer) async {
        peers.append(peer)
        bench.network.plug(peer, at: endpoint(peer))
        await node.replicator.setEndpoints(peers.map(endpoint))
    }

    func report(of peer: InventedPeer) async throws -> PeerReport {
        try #require(await node.replicator.reports().first { $0.id == peer.node })
    }

    func waitForFault(_ fault: PeerFault, of peer: InventedPeer) async throws {
        let address = endpoint(peer)
        try await node.replicator.waitUntil { reports in
            reports.contains { ($0.id == peer.node || $0.endpoint == address) && $0.faults[fault] > 0 }
        }
    }

    func end() async throws {
        for peer in peers { await bench.network.unplug(endpoint(peer)) }
        try await bench.end()
    }
}

@Suite(.timeLimit(.minutes(1))) struct HostilePeerTests {
    @Test("10,000 small chunks converge, each asked for once")
    func many() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 10_000)
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 10_001 }
        #expect(try await scene.node.store.summary().chunks == 10_000)
        #expect(peer.chunks.allSatisfy { peer.asked(for: $0) == [0] })
        let report = try await scene.report(of: peer)
        #expect(report.chunksDownloaded == 10_000)
        #expect(report.faults == FaultCounts())
        try await scene.end()
    }

    @Test("the newest come first")
    func newestFirst() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 200)
        let order = Locked<[ChunkID]>([])
        peer.bend {
            $0.chunk = { id, honest, _ in
                order.withLock { $0.append(id) }; return honest
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 201 }
        // Of four that are asked for at once, any may be the last to be noted.
        let ranks = order.withLock { $0 }.map { id in 199 - (peer.chunks.firstIndex(of: id) ?? -1000) }
        #expect(ranks.count == 200)
        #expect(ranks.enumerated().allSatisfy { $0.element < $0.offset + Limits.chunksInFlight })
        try await scene.end()
    }

    @Test("bytes that do not have their digest go to quarantine, block nothing, and are asked for again")
    func lies() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 40)
        let bad = Set(peer.chunks[10..<15])
        peer.bend {
            $0.chunk = { id, honest, before in
                guard bad.contains(id), before < 3 else { return honest }
                var lie = honest
                lie.pieces[0][0] ^= 1
                return lie
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count >= 36 }
        try await scene.node.store.waitUntil { $0.count == 41 }
        #expect(bad.allSatisfy { peer.asked(for: $0).count == 4 })
        let report = try await scene.report(of: peer)
        #expect(report.faults[.corruptChunk] == 15)
        #expect(try await scene.node.store.summary().quarantined > 0)
        #expect(try await scene.node.store.contents().count == 40)
        try await scene.end()
    }

    @Test("a chunk that one peer gives wrongly is taken from another at once")
    func anotherPeer() async throws {
        var scene = try await Scene()
        let liar = InventedPeer(2, author: 9, chunks: 5)
        let honest = InventedPeer(2, author: 9, chunks: 5)
        liar.bend {
            $0.chunk = { _, honest, _ in
                var lie = honest
                lie.pieces[0][0] ^= 1
                return lie
            }
        }
        await scene.add(liar)
        try await scene.waitForFault(.corruptChunk, of: liar)
        // The same session, held by a second node.
        let second = Relay(source: honest, node: Sample.node(3))
        let endpoint = Endpoint(host: "second", port: 1)
        scene.bench.network.plug(second, at: endpoint)
        await scene.node.replicator.setEndpoints([scene.endpoint(liar), endpoint])
        try await scene.node.store.waitUntil { $0.count == 6 }
        await scene.bench.network.unplug(endpoint)
        try await scene.end()
    }

    @Test(
        "wrong lengths, endings in the middle, chunks claimed but not given: counted by kind, and none is lost"
    )
    func deliveries() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 30) { _ in 250_000 }
        let chunks = peer.chunks
        peer.bend {
            $0.chunk = { id, honest, before in
                guard before == 0, let position = chunks.firstIndex(of: id) else { return honest }
                var bent = honest
                switch position {
                case 3: bent.totalLength += 1
                case 4: bent.pieces.append([0])
                case 5:
                    bent.pieces.removeLast()
                    bent.ending = .cutOff
                case 6: bent.pieces.removeLast()
                case 7: throw PeerLinkError.notFound
                case 8: throw PeerLinkError.malformed(reason: "no length")
                case 9: throw PeerLinkError.refused(status: 503, reason: "busy")
                default: break
                }
                return bent
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 31 }
        let faults = try await scene.report(of: peer).faults
        #expect(faults[.wrongLength] == 2 && faults[.cutOff] == 2 && faults[.missingChunk] == 1)
        #expect(faults[.malformed] == 1 && faults[.refused] == 1)
        #expect(try await scene.node.store.contents().count == 30)
        try await scene.end()
    }

    @Test(
        "a large chunk goes on inside where the link broke, and so does a small one of which enough had come",
        arguments: [Int(Limits.collectedChunkBytes) + 3_000_000, 900_000])
    func resume(size: Int) async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 1) { _ in size }
        peer.bend {
            $0.chunk = { _, honest, before in
                guard before == 0 else { return honest }
                var bent = honest
                bent.pieces = Array(honest.pieces.prefix(honest.pieces.count * 2 / 3))
                bent.ending = .linkBreaks
                return bent
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 2 }
        let asked = peer.asked(for: peer.chunks[0])
        #expect(asked.count == 2 && asked[0] == 0 && asked[1] == Int64((size + 99_999) / 100_000 * 2 / 3 * 100_000))
        #expect(try await scene.report(of: peer).faults[.broken] == 1)
        try await scene.end()
    }

    @Test("a chunk that breaks the link each time does not keep the others away")
    func poison() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 60)
        let poison = try #require(peer.chunks.last)
        peer.bend {
            $0.chunk = { id, honest, _ in
                var bent = honest
                if id == poison { (bent.pieces, bent.ending) = ([], .linkBreaks) }
                return bent
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 60 }
        peer.bend { $0.chunk = nil }
        try await scene.node.store.waitUntil { $0.count == 61 }
        try await scene.end()
    }

    @Test("a chunk that stands still is given up, counted, and asked for again")
    func stalled() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 4)
        peer.bend {
            $0.events = { [epoch = peer.epoch] _, mailbox in
                mailbox.put([.hello(epoch: epoch, head: 5)])
                try await Heart.beat(mailbox)
            }
            $0.chunk = { _, honest, before in
                var bent = honest
                if before == 0 { (bent.pieces, bent.ending) = ([], .silence) }
                return bent
            }
        }
        // Time-outs of 15 and 20 seconds, in a tenth of it.
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 5 }
        let faults = try await scene.report(of: peer).faults
        #expect(faults[.stalledChunk] + faults[.silent] > 0)
        try await scene.end()
    }

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
        #expect(await scene.node.store.holdings().holdings.filtered { $0 == Sample.node(50) }.isEmpty)
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
        let final = await scene.node.store.holdings().holdings
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

/// The same facts and chunks at another node.
private struct Relay: PeerScript {
    let source: InventedPeer
    let node: NodeID
    func greeting() async throws -> PeerGreeting {
        PeerGreeting(id: node, name: "relay", role: .topside, version: "0", epoch: source.epoch, head: 0)
    }
    func have(author: NodeID?) async throws -> HaveAnswer { try await source.have(author: author) }
    func took(_ statement: HoldingsStatement, from node: NodeID) async throws {}
    func facts(in ranges: Holdings) async throws -> FactsAnswer { try await source.facts(in: ranges) }
    func sendEvents(after seq: Int64?, author: NodeID?, to mailbox: Mailbox<PeerEvent>) async throws {
        try await source.sendEvents(after: seq, author: author, to: mailbox)
    }
    func chunk(_ id: ChunkID, from offset: Int64) async throws -> ChunkScript {
        try await source.chunk(id, from: offset)
    }
}
