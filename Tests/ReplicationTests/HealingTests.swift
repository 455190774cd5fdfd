import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

/// What rots at one node comes back from another, by itself.
@Suite(.timeLimit(.minutes(1))) struct HealingTests {
    private func mirrored(_ bench: Bench) async throws -> (vehicle: StoreNode, topside: StoreNode) {
        let vehicle = try await bench.node(1, follow: .named)
        try await vehicle.record(chunks: 5)
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        await vehicle.replicator.remember([
            RememberedPeer(id: topside.store.node, role: .topside, endpoint: topside.endpoint)
        ])
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        return (vehicle, topside)
    }

    private func flip(_ path: String, at offset: Int64) throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        let parts = path.split(separator: "/")
        let file = try Directory.open("/" + parts.dropLast().joined(separator: "/"))
            .openFile(String(parts[parts.count - 1]), .readWrite)
        let byte = try file.read(count: 1, at: offset)
        try file.write([byte[0] ^ 0x10], at: offset)
    }

    private func path(_ chunk: HeldChunk, in store: Store) -> String {
        let id = chunk.fact.sha256.description
        return "\(store.path)/chunks/\(id.prefix(2))/\(id)"
    }

    @Test("a chunk that rots at the topside comes back from the vehicle, and one at the vehicle from the topside")
    func chunks() async throws {
        let bench = try Bench(speed: 10)
        let (vehicle, topside) = try await mirrored(bench)
        let all = try await vehicle.store.holdings().holdings
        let session = try #require(try await vehicle.store.sessions().first?.id)
        let chunks = try await vehicle.store.chunks(of: session)
        let contents = try await vehicle.store.contents()
        try flip(path(chunks[1], in: topside.store), at: 5)
        try flip(path(chunks[3], in: vehicle.store), at: 5)
        #expect(try await topside.store.scrubOnce() == 1)
        #expect(try await vehicle.store.scrubOnce() == 1)
        try await topside.store.waitUntilHeld(all)
        try await vehicle.store.waitUntilHeld(all)
        #expect(try await topside.store.contents() == contents)
        #expect(try await vehicle.store.contents() == contents)
        #expect(try await topside.store.summary().quarantined == 1)
        try await bench.end()
    }

    @Test("a chunk that is asked for and is not there is noticed, told, and comes back")
    func missing() async throws {
        let bench = try Bench(speed: 10)
        let (vehicle, topside) = try await mirrored(bench)
        let all = try await vehicle.store.holdings().holdings
        let session = try #require(try await vehicle.store.sessions().first?.id)
        let chunk = try await vehicle.store.chunks(of: session)[2]
        try FileManager.default.removeItem(atPath: path(chunk, in: vehicle.store))
        await #expect(throws: StoreError.notFound(chunk.fact.sha256)) {
            _ = try await vehicle.store.openChunk(chunk.fact.sha256)
        }
        // The scrub of a running node looks at what was missed first.
        let loop = bench.loop
        let scrub = loop.spawn { try await vehicle.store.scrub { try await loop.sleep(for: $0 / 10) } }
        try await vehicle.store.waitUntil { !$0.contains(chunk.name) || $0.count > all.count }
        try await vehicle.store.waitUntilHeld(all)
        scrub.cancel()
        _ = await scrub.result
        #expect(try await vehicle.store.contents() == topside.store.contents())
        try await bench.end()
    }

    @Test("a line that rots in the topside's log is fetched again")
    func line() async throws {
        let bench = try Bench(speed: 10)
        let (vehicle, topside) = try await mirrored(bench)
        let all = try await vehicle.store.holdings().holdings
        let log = "\(topside.store.path)/log/000001.jsonl"
        let text = try #require(FileManager.default.contents(atPath: log))
        let second = try #require(text.firstIndex(of: UInt8(ascii: "\n"))) + 1
        try flip(log, at: Int64(second + 30))
        _ = try await topside.store.scrubOnce()
        #expect(try await topside.store.holdings().holdings.count == all.count - 1)
        try await topside.store.waitUntilHeld(all)
        #expect(try await topside.store.contents() == vehicle.store.contents())
        try await bench.end()
    }
}
