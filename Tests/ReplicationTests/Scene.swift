import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

/// A node that follows invented peers.
struct Scene {
    let bench: Bench
    let node: StoreNode
    private(set) var peers: [InventedPeer] = []

    init(speed: Double = 1, log: Log = .silent) async throws {
        bench = try Bench(speed: speed)
        node = try await bench.node(1, log: log)
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

/// The same facts and chunks at another node.
struct Relay: PeerScript {
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
