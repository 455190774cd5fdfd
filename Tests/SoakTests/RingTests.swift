import Foundation
import Gateway
import Model
import Reactor
import Recording
import Testing

/// Nodes that each follow the next: what one says comes back to it.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RingTests {
    /// Three nodes with sensors of their own, each pulling all from the next.
    struct Ring {
        var nodes: [SoakNode] = []
        var sensors: [QSeriesSimulator] = []

        init(_ scratch: Scratch) async throws {
            let roles: [Role] = [.vehicle, .topside, .topside]
            let ports = try roles.map { _ in try Scratch.freePort() }
            for (position, role) in roles.enumerated() {
                var options = QSeriesSimulator.Options()
                options.device.signal = .ramp
                options.device.seed = UInt64(position)
                options.speed = 40
                options.link = "\(scratch.path)/tty-\(position)"
                let sensor = QSeriesSimulator(options, on: scratch.loop)
                let node = SoakNode(
                    "node\(position)", role, in: scratch.path, port: ports[position], on: scratch.loop,
                    [
                        "--pull", "all", "--peer", "127.0.0.1:\(ports[(position + 1) % roles.count])",
                        "--identity", "\(scratch.path)/identity\(position)", "--chunk-size", "1KiB",
                        "--chunk-interval", "1s", "--commit-interval", "50ms",
                    ])
                _ = try await sensor.open()
                nodes.append(node)
                sensors.append(sensor)
            }
        }

        func start(_ position: Int, records: Bool) async throws {
            let link = nodes[position].data.replacing("/node\(position)", with: "/tty-\(position)")
            try await nodes[position].start(
                records ? ["--serial", "\(link)@9600", "--record", "on"] : ["--serial", "off", "--record", "off"])
        }

        func converge() async throws { try await nodes[0].waitForEqualHoldings(Array(nodes.dropFirst())) }

        func end() async throws {
            for node in nodes { try await node.stop() }
            for sensor in sensors { await sensor.close() }
        }
    }

    @Test("an echo ends where it began, and a node that lost its store gets all of it back, its own facts too")
    func ring() throws {
        try Scratch.run { scratch in
            let ring = try await Ring(scratch)
            for position in ring.nodes.indices { try await ring.start(position, records: true) }
            for node in ring.nodes {
                _ = try await node.wait("it has sealed 5 chunks") {
                    ($0.recording?.sealedChunks ?? 0) >= 5 ? true : nil
                }
            }
            for node in ring.nodes { #expect(try await node.verb(["record", "stop"]) == 0) }
            try await ring.converge()
            let heads = try await Self.heads(ring)
            #expect(Set(heads).count == 1, "each log holds each fact once: \(heads)")

            // The second node loses everything but its key.
            try await ring.nodes[1].stop()
            let before = try StoredNode(ring.nodes[1].data)
            try FileManager.default.removeItem(atPath: ring.nodes[1].data)
            try await ring.start(1, records: false)
            try await ring.converge()
            for node in ring.nodes { #expect(try await node.incompleteSessions().isEmpty) }
            // It records again under the same name, and nobody takes its new facts for old ones.
            try await ring.nodes[1].stop()
            try await ring.start(1, records: true)
            _ = try await ring.nodes[1].wait("it records again") { ($0.recording?.sealedChunks ?? 0) >= 2 ? true : nil }
            #expect(try await ring.nodes[1].verb(["record", "stop"]) == 0)
            try await ring.converge()
            #expect(Set(try await Self.heads(ring)).count == 1)
            try await ring.end()

            let stores = try ring.nodes.map { try StoredNode($0.data) }
            #expect(StoreComparison.lacks(stores[1], of: before).isEmpty)
            for store in stores {
                #expect(StoreComparison.differences(stores[0], store).isEmpty)
                #expect(StoreComparison.flaws(of: store).isEmpty)
                #expect(store.sessions.count == 4)
            }
            for node in ring.nodes { #expect(try await node.verb(["verify"]) == 0) }
        }
    }

    private static func heads(_ ring: Ring) async throws -> [Int64] {
        var heads: [Int64] = []
        for node in ring.nodes { heads.append(try await node.status()?.store.facts ?? -1) }
        return heads
    }
}
