import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

extension Store {
    /// Every held chunk by name, with its bytes.
    func contents() async throws -> [FactName: [UInt8]] {
        var contents: [FactName: [UInt8]] = [:]
        for session in try await sessions() {
            for chunk in try await chunks(of: session.id) {
                let file = try await openChunk(chunk.fact.sha256)
                contents[chunk.name] = try file.read(count: Int(file.length), at: 0)
            }
        }
        return contents
    }

    func factNames() async throws -> [FactName] {
        try await facts(after: 0, limit: 100_000).compactMap { RecordedFact(parsing: $0.bytes)?.fact.name }
    }
}

@Suite(.timeLimit(.minutes(1))) struct MirrorTests {
    @Test("what a peer has recorded, and goes on to record, is here; and the peer knows")
    func mirror() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named)
        let session = try await vehicle.record(chunks: 5)
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)

        try await vehicle.store.addChunks(3, to: session)
        _ = try await vehicle.store.endSession(session, reason: "stopped")
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        let mirrored = try await topside.store.contents()
        #expect(mirrored.count == 8)
        #expect(try await vehicle.store.contents() == mirrored)

        var report = try #require(await topside.replicator.reports().first)
        #expect(report.state == .live && report.id == vehicle.store.node)
        #expect(report.chunksDownloaded == 8 && report.faults.total == 0)
        #expect(report.backlog == PeerReport.Backlog())
        #expect(report.bytesMirrored == Int64(mirrored.values.reduce(0) { $0 + $1.count }))

        let own = try await vehicle.store.holdings().holdings
        try await vehicle.replicator.waitUntil { _ in
            own.subtracting(await vehicle.replicator.acknowledged()).isEmpty
        }
        report = try #require(await vehicle.replicator.reports().first)
        #expect(report.unacknowledged == 0 && report.state == .unfollowed)
        try await bench.end()
    }

    @Test("two nodes that record and follow each other end with the same, each fact once in each log")
    func bothDirections() async throws {
        let bench = try Bench()
        let (a, b) = (try await bench.node(1), try await bench.node(2))
        await a.replicator.setEndpoints([b.endpoint])
        await b.replicator.setEndpoints([a.endpoint])
        async let first = a.record(chunks: 12)
        async let second = b.record(chunks: 12)
        _ = try await (first, second)
        var all = try await a.store.holdings().holdings
        all.formUnion(try await b.store.holdings().holdings)
        try await a.store.waitUntilHeld(all)
        try await b.store.waitUntilHeld(all)
        #expect(try await a.store.contents() == b.store.contents())
        for node in [a, b] {
            let names = try await node.store.factNames()
            #expect(names.count == 26 && Set(names).count == 26)
        }
        try await bench.end()
    }

    @Test("in a ring of three an echo ends where it began")
    func ring() async throws {
        let bench = try Bench()
        var nodes: [StoreNode] = []
        for number in 1...3 { nodes.append(try await bench.node(number)) }
        for (node, next) in zip(nodes, nodes[1...] + nodes[..<1]) {
            await node.replicator.setEndpoints([next.endpoint])
        }
        var all = Holdings()
        for node in nodes {
            try await node.record(chunks: 4)
            all.formUnion(try await node.store.holdings().holdings.filtered { $0 == node.store.node })
        }
        for node in nodes { try await node.store.waitUntilHeld(all) }
        // One more round: if anything echoed, it would be on its way now.
        let marker = try await nodes[0].store.record(.marker(Marker(id: "last")), in: nil)
        for node in nodes { try await node.store.waitUntil { $0.contains(marker.fact.name) } }
        for node in nodes {
            let names = try await node.store.factNames()
            #expect(names.count == 16 && Set(names).count == 16)
            #expect(try await node.store.holdings().holdings.count == 16)
            #expect(try await node.store.summary().chunks == 12)
        }
        try await bench.end()
    }

    @Test("a peer that restarts goes on where it was, with what it recorded meanwhile")
    func restart() async throws {
        let bench = try Bench()
        try await bench.node(1, follow: .named).record(chunks: 3)
        let endpoint = bench.nodes[0].endpoint
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([endpoint])
        try await topside.store.waitUntil { $0.count == 4 }
        try await bench.kill(1)
        let vehicle = try await bench.node(1, follow: .named)
        try await vehicle.record(chunks: 2)
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        #expect(try await topside.store.contents() == vehicle.store.contents())
        #expect(await topside.replicator.reports().count == 1)
        try await bench.end()
    }

    @Test("a peer that restarts with an empty store takes nothing away, and gets back what it wrote")
    func restartEmpty() async throws {
        let bench = try Bench()
        try await bench.node(1, follow: .named).record(chunks: 3)
        let endpoint = bench.nodes[0].endpoint
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([endpoint])
        try await topside.store.waitUntil { $0.count == 4 }
        try await topside.record(chunks: 1)
        try await bench.kill(1)

        let vehicle = try await bench.node(1, folder: "new", follow: .named, pull: .none)
        await vehicle.replicator.sighted(
            PeerSighting(
                instance: "t", idPrefix: topside.store.node.short, role: .topside, boot: nil,
                endpoints: [topside.endpoint]))
        try await vehicle.store.waitUntil { $0.count == 4 }
        // Only its own: the topside's session it was not told to take.
        #expect(try await vehicle.store.holdings().holdings.authors.keys.elementsEqual([vehicle.store.node]))
        #expect(try await vehicle.store.contents().count == 3)
        try await vehicle.record(chunks: 1)
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        #expect(try await topside.store.contents().count == 5)
        try await bench.end()
    }

    @Test("two addresses of one node are followed by one link")
    func twoAddresses() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named)
        let other = Endpoint(host: "other", port: 1)
        bench.network.plug(vehicle, at: other)
        let topside = try await bench.node(2)
        await topside.replicator.setEndpoints([vehicle.endpoint, other])
        try await vehicle.record(chunks: 3)
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        try await topside.replicator.waitUntil { $0.count == 1 }
        #expect(bench.network.openLinks(to: vehicle.endpoint) + bench.network.openLinks(to: other) == 1)

        // When its address is gone it is found at the other.
        await bench.network.unplug(bench.network.openLinks(to: other) == 1 ? other : vehicle.endpoint)
        try await vehicle.record(chunks: 1)
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        try await bench.end()
    }

    @Test("a node that is pointed at itself says so and leaves it")
    func itself() async throws {
        let bench = try Bench()
        let node = try await bench.node(1)
        await node.replicator.setEndpoints([node.endpoint])
        try await node.replicator.waitUntil { $0.first?.faults[.wrongIdentity] == 1 }
        let dials = bench.network.dials(of: node.endpoint)
        // A while that can be told by what happens in it.
        let other = try await bench.node(2, follow: .named)
        await node.replicator.setEndpoints([node.endpoint, other.endpoint])
        for _ in 0..<3 {
            await bench.network.cut(other.endpoint)
            try await other.record(chunks: 1)
            try await node.store.waitUntilHeld(other.store.holdings().holdings)
        }
        #expect(bench.network.dials(of: node.endpoint) == dials)
        #expect(bench.network.openLinks(to: node.endpoint) == 0)
        try await bench.end()
    }

    @Test("a mission is pulled, the others are only heard of; told otherwise, they follow")
    func mission() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named)
        try await vehicle.record(chunks: 3)
        let topside = try await bench.node(2, pull: .none)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        try await topside.replicator.waitUntil { _ in try await topside.store.summary().wanted == 3 }
        #expect(try await topside.store.summary().chunks == 0)
        await topside.replicator.setPullPolicy(.mission("dive"))
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        try await bench.end()
    }
}
