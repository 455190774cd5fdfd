import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

@Suite(.timeLimit(.minutes(1))) struct TransferStallTests {
    @Test("connected, behind, and no byte for five seconds: told with what is waited for, counted, and dialled anew")
    func stall() async throws {
        let said = Locked<[String]>([])
        let log = Log(source: "", level: .warning, forJournal: true) { line in said.withLock { $0.append(line) } }
        var scene = try await Scene(speed: 10, log: log)
        let peer = InventedPeer(2, chunks: 1) { _ in 300_000 }
        peer.bend {
            $0.chunk = { _, honest, before in
                guard before == 0 else { return honest }
                var bent = honest
                bent.pieces = Array(honest.pieces.prefix(2))
                bent.ending = .silence
                return bent
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 2 }
        #expect(peer.asked(for: peer.chunks[0]) == [0, 200_000], "it goes on inside the chunk")
        #expect(scene.bench.network.dials(of: scene.endpoint(peer)) == 2)
        #expect(try await scene.report(of: peer).faults[.stalledChunk] == 1)
        let lines = said.withLock { $0 }.filter { $0.contains("waiting_for") }
        #expect(lines.count == 1 && lines[0].contains("chunk \(peer.chunks[0])"))
        try await scene.end()
    }

    @Test("chunks of a bundle that trickle are no stall, however long each takes")
    func bundleTrickle() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 8) { _ in 60_000 }
        let loop = scene.bench.loop
        peer.bend {
            $0.greeting = { peer.greeting(["bundle"]) }
            // Each takes 24 seconds of the node's time.
            $0.chunk = { _, honest, _ in
                var bent = honest
                bent.pieces = stride(from: 0, to: 60_000, by: 7_500).map { Array(honest.pieces[0][$0..<$0 + 7_500]) }
                bent.pace = { try await loop.sleep(for: .milliseconds(300)) }
                return bent
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 9 }
        #expect(scene.bench.network.dials(of: scene.endpoint(peer)) == 1)
        #expect(try await scene.report(of: peer).faults.total == 0)
        try await scene.end()
    }

    @Test("a request that waits for its turn under our own cap is no stall and ends no link")
    func turn() async throws {
        var scene = try await Scene(speed: 20)
        let peer = InventedPeer(2, chunks: 2)
        let loop = scene.bench.loop
        peer.bend {
            // Sixty seconds of the node's time.
            $0.turn = { turn in
                turn.awaits(true, now: SystemClock.monotonic())
                try await loop.sleep(for: .seconds(3))
                turn.awaits(false, now: SystemClock.monotonic())
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 3 }
        #expect(scene.bench.network.dials(of: scene.endpoint(peer)) == 1)
        #expect(peer.chunks.allSatisfy { peer.asked(for: $0) == [0] })
        #expect(try await scene.report(of: peer).faults.total == 0)
        try await scene.end()
    }

    @Test("what goes wrong behind the last chunk of a bundle is counted")
    func afterBundle() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 3)
        peer.bend {
            $0.greeting = { peer.greeting(["bundle"]) }
            $0.afterBundle = { .part(7) }
        }
        await scene.add(peer)
        try await scene.waitForFault(.malformed, of: peer)
        try await scene.node.store.waitUntil { $0.count == 4 }
        try await scene.end()
    }

    @Test("a transfer that trickles is no stall, however long it takes")
    func trickle() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 1) { _ in 700_000 }
        let loop = scene.bench.loop
        peer.bend {
            $0.chunk = { _, honest, _ in
                var bent = honest
                // Three seconds each, of the node's time.
                bent.pace = { try await loop.sleep(for: .milliseconds(300)) }
                return bent
            }
        }
        await scene.add(peer)
        try await scene.node.store.waitUntil { $0.count == 2 }
        #expect(scene.bench.network.dials(of: scene.endpoint(peer)) == 1)
        #expect(try await scene.report(of: peer).faults.total == 0)
        try await scene.end()
    }
}
