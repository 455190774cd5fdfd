import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

/// A peer that beats, and what becomes of its links.
@Suite(.timeLimit(.minutes(1))) struct LinkTests {
    private static func greeting(_ peer: InventedPeer) -> PeerGreeting {
        PeerGreeting(
            id: peer.node, name: "invented", role: .vehicle, version: "1", epoch: peer.epoch,
            head: Int64(peer.facts.count), capabilities: ["heartbeat"])
    }

    /// Its first stream says nothing more after its beginning.
    private static func silentAtFirst(_ peer: InventedPeer, _ first: Mailbox<Mailbox<PeerEvent>>) {
        let turns = Locked(0)
        peer.bend {
            $0.events = { [epoch = peer.epoch, head = peer.facts.count] _, mailbox in
                mailbox.put([.hello(epoch: epoch, head: Int64(head))])
                let isFirst = turns.withLock { turns in
                    turns += 1
                    return turns == 1
                }
                guard isFirst else { return try await Heart.beat(mailbox) }
                first.put([mailbox])
                try await InventedPeer.forever()
            }
        }
    }

    @Test("a link that falls silent is replaced by a second one, greeted while the first still stands")
    func replaced() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 2)
        let network = scene.bench.network
        let address = scene.endpoint(peer)
        let open = Locked<[Int]>([])
        peer.bend {
            $0.greeting = {
                open.withLock { $0.append(network.openLinks(to: address)) }
                return Self.greeting(peer)
            }
        }
        Self.silentAtFirst(peer, Mailbox())
        await scene.add(peer)
        try await scene.waitForFault(.silent, of: peer)
        try await scene.node.replicator.waitUntil { $0.first?.state == .live }
        // Each later one beside the first; one more where an answer to a statement was a sign of life.
        let greetings = open.withLock { $0 }
        #expect(greetings.first == 1 && greetings.count > 1 && greetings.dropFirst().allSatisfy { $0 == 2 })
        #expect(network.openLinks(to: address) == 1)
        let report = try await scene.report(of: peer)
        #expect(report.faults.total == 1 && report.lastFault?.contains("another connection took over") == true)
        try await scene.end()
    }

    @Test("a link that speaks again before a second one was greeted keeps its place")
    func spokeAgain() async throws {
        var scene = try await Scene()
        let peer = InventedPeer(2, chunks: 2)
        let first = Mailbox<Mailbox<PeerEvent>>()
        let ended = Mailbox<Bool>()
        let greetings = Locked(0)
        peer.bend {
            $0.greeting = {
                let isFirst = greetings.withLock { greetings in
                    greetings += 1
                    return greetings == 1
                }
                if isFirst { return Self.greeting(peer) }
                let mailbox = try #require(try await first.next())
                defer { ended.put([true]) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await Heart.beat(mailbox) }
                    group.addTask { try await InventedPeer.forever() }
                    try await group.next()
                }
                throw PeerLinkError.closed
            }
        }
        Self.silentAtFirst(peer, first)
        await scene.add(peer)
        #expect(try await ended.next() == true)
        let report = try await scene.report(of: peer)
        #expect(report.state == .live && report.faults.total == 0)
        #expect(scene.bench.network.openLinks(to: scene.endpoint(peer)) == 1)
        try await scene.end()
    }

    @Test("another node that answers instead of a silent one does not take its place")
    func stranger() async throws {
        var scene = try await Scene(speed: 2)
        let peer = InventedPeer(2, chunks: 2)
        let greetings = Locked(0)
        peer.bend {
            $0.greeting = {
                let number = greetings.withLock { greetings in
                    greetings += 1
                    return greetings
                }
                guard number == 2 else { return Self.greeting(peer) }
                return PeerGreeting(
                    id: Sample.node(66), name: "other", role: .vehicle, version: "1", epoch: peer.epoch, head: 0)
            }
        }
        Self.silentAtFirst(peer, Mailbox())
        await scene.add(peer)
        try await scene.waitForFault(.wrongIdentity, of: peer)
        try await scene.waitForFault(.silent, of: peer)
        try await scene.node.replicator.waitUntil { $0.first?.state == .live }
        #expect(try await scene.report(of: peer).id == peer.node)
        try await scene.end()
    }

    @Test(
        "a question that is never answered ends the link, names what was waited for, and is asked on a new one",
        arguments: ["question", "facts", "statement"])
    func stalled(_ call: String) async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 2)
        peer.bend { bends in
            switch call {
            case "question":
                bends.have = {
                    try await InventedPeer.forever(); return $0
                }
            case "facts":
                bends.facts = {
                    try await InventedPeer.forever(); return $0
                }
            default: bends.statement = { _ in try await InventedPeer.forever() }
            }
        }
        let begun = SystemClock.monotonic()
        await scene.add(peer)
        try await scene.waitForFault(.silent, of: peer)
        #expect(begun.duration(to: SystemClock.monotonic()) >= Limits.stallTime / 10)
        #expect(try await scene.report(of: peer).lastFault?.hasSuffix("(\(call))") == true)
        peer.bend { ($0.have, $0.facts, $0.statement) = (nil, nil, nil) }
        try await scene.node.store.waitUntilHeld(peer.holdings)
        try await scene.end()
    }

    @Test("where nobody is there, abandoned dials are closed, and the node that comes is met by a fresh one")
    func abandoned() async throws {
        var scene = try await Scene(speed: 10)
        let peer = InventedPeer(2, chunks: 1)
        let asked = Mailbox<Bool>()
        peer.bend {
            $0.greeting = {
                asked.put([true])
                try await InventedPeer.forever()
                throw PeerLinkError.closed
            }
        }
        await scene.add(peer)
        for _ in 0..<20 { _ = try await asked.next() }
        let open = scene.bench.network.openLinks(to: scene.endpoint(peer))
        #expect(open <= Limits.dialsOutstanding)
        peer.bend { $0.greeting = nil }
        try await scene.node.replicator.waitUntil { $0.first?.state == .live }
        #expect(scene.bench.network.openLinks(to: scene.endpoint(peer)) == 1)
        try await scene.end()
    }

    @Test("all peers together have so many dials under way and no more, and one that is there is met among many")
    func manyPeers() async throws {
        var scene = try await Scene(speed: 10)
        let most = Locked(0)
        let now = Locked(0)
        for number in 0..<40 {
            let peer = InventedPeer(100 + number, chunks: 0)
            peer.bend {
                $0.greeting = {
                    let count = now.withLock { now in
                        now += 1
                        return now
                    }
                    most.withLock { $0 = max($0, count) }
                    defer { now.withLock { $0 -= 1 } }
                    try await InventedPeer.forever()
                    throw PeerLinkError.closed
                }
            }
            await scene.add(peer)
        }
        let good = InventedPeer(2, chunks: 3)
        await scene.add(good)
        try await scene.node.store.waitUntilHeld(good.holdings)
        try await scene.node.replicator.waitUntil { _ in most.withLock { $0 } >= Limits.dialsInAll - 8 }
        #expect(most.withLock { $0 } <= Limits.dialsInAll)
        try await scene.end()
    }

    @Test("a new address is dialled at once, before those that are known")
    func newAddress() async throws {
        let scene = try await Scene()
        let peer = InventedPeer(2, chunks: 1)
        let (old, new) = (Endpoint(host: "old", port: 1), Endpoint(host: "new", port: 1))
        let sighting = { (endpoints: [Endpoint]) in
            PeerSighting(
                instance: "i", idPrefix: peer.node.short, role: .vehicle, boot: nil, endpoints: endpoints)
        }
        scene.bench.network.plug(peer, at: old)
        await scene.node.replicator.sighted(sighting([old]))
        try await scene.node.replicator.waitUntil { $0.first?.state == .live }
        await scene.bench.network.unplug(old)
        try await scene.node.replicator.waitUntil { $0.first?.state != .live }
        scene.bench.network.plug(peer, at: new)
        let begun = SystemClock.monotonic()
        await scene.node.replicator.sighted(sighting([new]))
        try await scene.node.replicator.waitUntil { $0.first?.state == .live && $0.first?.endpoint == new }
        // No later than the old one would have been dialled again; a busy machine may be slow.
        #expect(begun.duration(to: SystemClock.monotonic()) < .milliseconds(450))
        await scene.bench.network.unplug(new)
        try await scene.end()
    }
}
