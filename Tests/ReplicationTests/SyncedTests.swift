import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

/// What may be said to be here: never more than is known.
@Suite(.timeLimit(.minutes(1))) struct SyncedTests {
    @Test("a peer that has not been compared yet has an unknown backlog, and so has one that is gone")
    func backlog() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 2)
        let (asked, answer) = (Mailbox<Bool>(), Mailbox<Bool>())
        peer.bend {
            $0.have = { have in
                asked.put([true])
                _ = try await answer.next()
                return have
            }
        }
        await scene.add(peer)
        _ = try await asked.next()
        #expect(try await scene.report(of: peer).backlog == nil)
        #expect(try await scene.report(of: peer).isBehind == nil)
        answer.put([true])
        let node = peer.node
        try await scene.node.replicator.waitUntil { reports in
            reports.contains {
                $0.id == node && $0.state == .live && $0.backlog?.chunks == 0 && $0.chunksDownloaded == 2
            }
        }
        await scene.bench.network.unplug(scene.endpoint(peer))
        try await scene.node.replicator.waitUntil { reports in
            reports.contains { $0.id == node && $0.state != .live && $0.backlog == nil }
        }
        try await scene.end()
    }

    @Test("everything is here only when the peer has said that it has said all, not when it falls silent")
    func caughtUp() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 1)
        let content = try #require(peer.content(of: peer.chunks[0]))
        let slot = HostileTailTests.slot(peer)
        let goOn = Mailbox<Bool>()
        peer.bend {
            $0.greeting = { peer.withTails }
            $0.have = { answer in HaveAnswer(head: 0, epoch: answer.epoch, holdings: Holdings()) }
            $0.tail = { mailbox in
                mailbox.put([.session(fact: peer.facts[0].bytes), HostileTailTests.commit(peer, content), .heartbeat])
                _ = try await goOn.next()
                mailbox.put([.caughtUp])
                try await InventedPeer.forever()
            }
        }
        await scene.add(peer)
        let replicator = scene.node.replicator
        let node = peer.node
        try await scene.node.store.waitForCopy(slot, length: Int64(content.count))
        #expect(replicator.tailReports[node]?.behindSince != nil)
        #expect(try await scene.report(of: peer).tail == .awaited)
        goOn.put([true])
        try await replicator.waitUntil { reports in
            reports.contains { $0.id == node && $0.tail == .open } && replicator.tailReports[node]?.behindSince == nil
        }
        try await scene.end()
    }

    @Test("rows that our own store does not take are missing, whatever the peer says")
    func refused() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 1)
        let other = ChunkSlot(author: peer.node, session: .random(), stream: .data, index: 0)
        let stranger = CopyPiece(
            slot: other, offset: 0, bytes: [10], rows: 1, firstRow: 0, first: ClockPair(realtime: 0, boottime: 0),
            last: ClockPair(realtime: 0, boottime: 0))
        let goOn = Mailbox<Bool>()
        peer.bend {
            $0.greeting = { peer.withTails }
            $0.tail = { mailbox in
                mailbox.put([.commit(stranger, left: 0), .caughtUp])
                _ = try await goOn.next()
                mailbox.put([.dropped(other), .caughtUp])
                try await InventedPeer.forever()
            }
        }
        await scene.add(peer)
        let replicator = scene.node.replicator
        let node = peer.node
        try await replicator.waitUntil { reports in
            reports.contains { $0.id == node && $0.state == .live } && replicator.tailReports[node]?.heardAt != nil
        }
        #expect(try await scene.report(of: peer).tail == .awaited)
        goOn.put([true])
        try await replicator.waitUntil { reports in reports.contains { $0.id == node && $0.tail == .open } }
        try await scene.end()
    }

    @Test("a tail that a peer promises and does not give is awaited; of one that promises none nothing is said")
    func promised() async throws {
        var scene = try await Scene()
        let promising = InventedPeer(2, chunks: 1)
        let plain = InventedPeer(3, chunks: 1)
        promising.bend { $0.greeting = { promising.withTails } }
        await scene.add(promising)
        await scene.add(plain)
        try await scene.node.replicator.waitUntil { reports in
            reports.count == 2 && reports.allSatisfy { $0.state == .live && $0.chunksDownloaded == 1 }
        }
        let report = try await scene.report(of: promising)
        #expect(report.tail == .awaited)
        let silent = try await scene.report(of: plain)
        #expect(silent.tail == nil && silent.lag == nil)
        await scene.node.replicator.setPullPolicy(.none)
        #expect(try await scene.report(of: promising).tail == nil)
        try await scene.end()
    }

    @Test("the lag counts from the last word where the tail ended, and where a heartbeat is overdue")
    func lastWord() throws {
        let peer = Sample.node(2)
        let desk = TailDesk(node: Sample.node(1), policy: .all)
        desk.began(peer)
        desk.report(peer) { report in
            report.isLive = true
            report.isJoined = true
            report.heardAt = Sample.time(10)
        }
        func lag(_ second: Double) -> Duration? { desk.reports[peer]?.lag(now: Sample.time(second)) }
        #expect(lag(11) == .zero && lag(15.5) == .zero)
        #expect(lag(20) == .seconds(10))
        desk.ended(peer, now: Sample.time(22))
        #expect(lag(23) == .seconds(13))
        #expect(desk.reports[peer]?.isJoined == false)
        desk.forget(peer)
        #expect(desk.reports.isEmpty)
    }
}
