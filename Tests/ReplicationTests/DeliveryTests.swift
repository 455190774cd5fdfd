import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

@Suite(.timeLimit(.minutes(1))) struct DeliveryTests {
    @Test("10,000 small chunks converge, each asked for once")
    func many() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 10_000)
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 10_001 }
        #expect(try await scene.node.store.summary().chunks == 10_000)
        #expect(peer.chunks.allSatisfy { peer.asked(for: $0) == [0] })
        // A fact is told a moment before its chunk is counted.
        try await scene.node.replicator.waitUntil { $0.first?.chunksDownloaded == 10_000 }
        let report = try await scene.report(of: peer)
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
}
