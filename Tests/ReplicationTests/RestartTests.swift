import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

/// A vehicle that comes back as the same node with another store: both converge, and nothing that one of them had is
/// gone.
@Suite(.timeLimit(.minutes(1))) struct RestartTests {
    private func pair(_ bench: Bench) async throws -> (vehicle: StoreNode, topside: StoreNode) {
        let vehicle = try await vehicle(bench, folder: "1")
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        await know(topside, vehicle)
        try await vehicle.record(chunks: 3)
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        return (vehicle, topside)
    }

    private func vehicle(_ bench: Bench, folder: String) async throws -> StoreNode {
        try await bench.node(1, folder: folder, follow: .named)
    }

    private func know(_ topside: StoreNode, _ vehicle: StoreNode) async {
        await vehicle.replicator.remember([
            RememberedPeer(id: topside.store.node, role: .topside, endpoint: topside.endpoint)
        ])
    }

    private func converge(_ vehicle: StoreNode, _ topside: StoreNode, _ before: Holdings) async throws {
        var all = before
        all.formUnion(try await vehicle.store.holdings().holdings)
        try await vehicle.store.waitUntilHeld(all)
        try await topside.store.waitUntilHeld(all)
        #expect(try await vehicle.store.contents() == topside.store.contents())
        let report = try #require(await topside.replicator.reports().first { $0.id == vehicle.store.node })
        #expect(report.faults[.malformed] == 0 && report.faults[.refusedFact] == 0 && report.faults[.silent] == 0)
    }

    @Test("with an empty store: it takes back what it had, and what it records from now on is mirrored")
    func empty() async throws {
        let bench = try Bench(speed: 5)
        let (_, topside) = try await pair(bench)
        let before = try await topside.store.holdings().holdings
        try await bench.kill(1)
        let vehicle = try await vehicle(bench, folder: "1-new")
        #expect(try await vehicle.store.holdings().holdings.isEmpty)
        await know(topside, vehicle)
        try await vehicle.record(chunks: 2)
        try await converge(vehicle, topside, before)
        try await bench.end()
    }

    @Test("with an older copy of its store: what it had written since comes back to it")
    func restored() async throws {
        let bench = try Bench(speed: 5)
        let (first, topside) = try await pair(bench)
        _ = first
        try await bench.kill(1)
        try FileManager.default.copyItem(atPath: "\(bench.scratch.path)/1", toPath: "\(bench.scratch.path)/1-old")
        let second = try await vehicle(bench, folder: "1")
        await know(topside, second)
        try await second.record(chunks: 4)
        try await topside.store.waitUntilHeld(second.store.holdings().holdings)
        let before = try await topside.store.holdings().holdings
        try await bench.kill(1)
        let third = try await vehicle(bench, folder: "1-old")
        #expect(!before.subtracting(try await third.store.holdings().holdings).isEmpty)
        await know(topside, third)
        try await third.record(chunks: 1)
        try await converge(third, topside, before)
        try await bench.end()
    }

    @Test("with an index that is made anew: it is followed as before")
    func rebuilt() async throws {
        let bench = try Bench(speed: 5)
        let (_, topside) = try await pair(bench)
        let before = try await topside.store.holdings().holdings
        try await bench.kill(1)
        let path = "\(bench.scratch.path)/1"
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where name.hasPrefix("index") {
            try FileManager.default.removeItem(atPath: "\(path)/\(name)")
        }
        let vehicle = try await vehicle(bench, folder: "1")
        await know(topside, vehicle)
        try await vehicle.record(chunks: 2)
        try await converge(vehicle, topside, before)
        try await bench.end()
    }

    @Test("a topside that comes back with an empty store mirrors everything again, and the vehicle knows")
    func emptyTopside() async throws {
        let bench = try Bench(speed: 5)
        let (vehicle, topside) = try await pair(bench)
        let own = try await vehicle.store.holdings().holdings
        _ = topside
        try await bench.kill(2)
        let fresh = try await bench.node(2, folder: "2-new", role: .topside)
        await fresh.replicator.setEndpoints([vehicle.endpoint])
        try await vehicle.replicator.waitUntil { _ in
            !own.subtracting(await vehicle.replicator.acknowledged()).isEmpty
        }
        try await fresh.store.waitUntilHeld(own)
        try await vehicle.replicator.waitUntil { _ in
            own.subtracting(await vehicle.replicator.acknowledged()).isEmpty
        }
        #expect(try await vehicle.store.contents() == fresh.store.contents())
        try await bench.end()
    }
}
