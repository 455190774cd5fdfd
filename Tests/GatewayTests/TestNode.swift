import Discovery
import FoundationEssentials
import HTTP
import Model
import Reactor
import Replication
import Storage
import Timekeeping

@testable import Gateway

/// A node's store behind its real HTTP face on a real socket, without an instrument.
final class TestNode: Sendable {
    static let loop = EventLoop(name: "gateway-tests")

    let store: Store
    let endpoint: Endpoint
    let peerWatch: PeerWatch
    private let path: String
    private let lanes: Store.Lanes
    private let server: HTTPServer
    private let running: Task<Void, any Error>

    static func id(_ byte: UInt8) -> NodeID { NodeID(digest: Digest256(bytes: [UInt8](repeating: byte, count: 32))!) }

    static func with<Result>(_ byte: UInt8 = 0xaa, _ body: (TestNode) async throws -> Result) async throws -> Result {
        let node = try await TestNode(byte)
        do {
            let result = try await body(node)
            try await node.stop()
            return result
        } catch {
            try await node.stop()
            throw error
        }
    }

    private init(_ byte: UInt8) async throws {
        path = "\(FileManager.default.temporaryDirectory.path)/qnode-gateway-\(UniqueID.random())"
        lanes = Store.Lanes()
        store = try await Store.open(path, node: Self.id(byte), incarnation: .random(), lanes: lanes, log: .silent)
        let (loop, store) = (Self.loop, store)
        let growth = GrowthWatch(on: loop, store: store)
        let replicator = Replicator(
            store: store, dialing: HTTPPeerDialer(on: loop, node: store.node), follow: .everyone, pull: .all,
            venue: Venue(loop), log: .silent)
        let parts = NodeParts(
            identity: NodeProfile(id: store.node, name: "test", role: .vehicle, version: "0"), loop: loop, store: store,
            reader: ChunkReader(on: lanes.scrub), growth: growth, replicator: replicator,
            peerWatch: PeerWatch(on: loop, replicator: replicator, growth: growth, log: .silent),
            clocks: ClockService(loop: loop, log: .silent),
            discovery: DiscoveryService(
                loop: loop,
                advertisement: Advertisement(
                    name: "test", idPrefix: store.node.short, role: .vehicle, bootID: SystemClock.bootID, port: 1),
                mode: .off, interfaces: [], log: .silent),
            recorder: nil, source: nil, startedAt: SystemClock.monotonic(), listening: Locked([]))
        peerWatch = parts.peerWatch
        let gateway = Gateway(parts, log: .silent)
        let server = HTTPServer(on: loop) { await gateway.respond($0) }
        self.server = server
        endpoint = try await server.listen(on: Endpoint(host: "127.0.0.1", port: 0))
        running = loop.spawn {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await parts.growth.run() }
                await server.run()
                group.cancelAll()
            }
        }
    }

    private func stop() async throws {
        await server.stop(within: .zero)
        _ = await running.result
        try await store.close()
        lanes.stop()
        try FileManager.default.removeItem(atPath: path)
    }

    /// A session with so many sealed chunks of one row.
    func record(chunks: Int) async throws -> SessionID {
        let session = try await store.startSession(
            SessionOpening(
                mission: "M", streams: [StreamDescription(name: .data, format: .csv, columns: ["value"])]))
        for n in 0..<chunks {
            let pair = ClockPair(realtime: Int64(n), boottime: Int64(n))
            _ = try await store.commit([
                RowBatch(
                    session: session, stream: .data, bytes: Array("\(n)\n".utf8), rows: 1, first: pair, last: pair)
            ])
            _ = try await store.seal(session)
        }
        return session
    }

    /// A live copy of another node's chunk, its session with it.
    func copy(_ slot: ChunkSlot, rows: [String]) async throws {
        let opening = SessionOpening(
            mission: "M", streams: [StreamDescription(name: .data, format: .csv, columns: ["value"])])
        let fact = Fact(
            name: FactName(author: slot.author, incarnation: Incarnation(word: 7), n: 1), session: slot.session,
            at: SystemClock.reading(), body: .session(opening))
        _ = try await store.receive([RecordedFact(encoding: fact).bytes])
        let pair = ClockPair(realtime: 1, boottime: 1)
        let bytes = Array(("value\n" + rows.map { $0 + "\n" }.joined()).utf8)
        let refused = try await store.appendCopies([
            CopyPiece(
                slot: slot, offset: 0, bytes: bytes, rows: Int64(rows.count), firstRow: 0, first: pair, last: pair)
        ])
        precondition(refused.isEmpty, "a copy whose session is known is taken")
    }

    func call(
        _ method: HTTPMethod = .get, _ target: String, headers: HTTPHeaders = [:], body: String = ""
    ) async throws -> (status: HTTPStatus, headers: HTTPHeaders, body: [UInt8]) {
        let connection = try await HTTPConnection.open(to: endpoint, on: Self.loop)
        let response = try await connection.send(
            HTTPClientRequest(method, target, headers: headers, body: Array(body.utf8)))
        let bytes = try await response.body.collect()
        await connection.close()
        return (response.status, response.headers, bytes)
    }

    /// A link of another node to this one.
    func link() async throws -> any PeerLink {
        try await HTTPPeerDialer(on: Self.loop, node: Self.id(0xbb)).dial(endpoint)
    }
}
