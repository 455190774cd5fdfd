import Foundation
import Gateway
import Model
import Reactor
import Testing

/// A topside that pulls from a vehicle on which, or on itself, something goes wrong.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DamageTests {
    /// A vehicle that holds a finished recording, and a topside that is told to pull it; neither runs yet.
    struct Pair: Sendable {
        let vehicle: SoakNode
        let topside: SoakNode
        let recording: SeededStore.Recording

        /// `isMutual`: the vehicle follows the topside too.
        init(
            _ scratch: Scratch, chunks: Int, bytes: Int, isMutual: Bool = false,
            vehicle settings: [String] = ["--serial", "off"]
        ) async throws {
            let ports = [try Scratch.freePort(), try Scratch.freePort()]
            vehicle = SoakNode(
                "vehicle", .vehicle, in: scratch.path, port: ports[0], on: scratch.loop,
                settings + (isMutual ? ["--peer", "127.0.0.1:\(ports[1])"] : []))
            topside = SoakNode(
                "topside", .topside, in: scratch.path, port: ports[1], on: scratch.loop,
                ["--peer", "127.0.0.1:\(ports[0])"])
            recording = try await SeededStore.make(vehicle.data, chunks: chunks, bytes: bytes)
        }

        func path(_ chunk: ChunkFact, on node: SoakNode) -> String {
            "\(node.data)/chunks/\(chunk.sha256.description.prefix(2))/\(chunk.sha256)"
        }

        /// Ends both; their stores are equal and sound.
        func endEqual() async throws {
            try await topside.waitForEqualHoldings([vehicle])
            for node in [topside, vehicle] { #expect(try await node.incompleteSessions().isEmpty) }
            try await vehicle.stop()
            try await topside.stop()
            let stores = [try StoredNode(vehicle.data), try StoredNode(topside.data)]
            #expect(StoreComparison.differences(stores[0], stores[1]).isEmpty)
            for store in stores {
                #expect(StoreComparison.flaws(of: store).isEmpty)
                #expect(StoreComparison.leftovers(of: store).isEmpty)
            }
            #expect(try await vehicle.verb(["verify"]) == 0)
            #expect(try await topside.verb(["verify"]) == 0)
        }
    }

    @Test("a chunk whose bytes rotted is counted and set aside, blocks no other, and comes once its bytes are right")
    func rot() throws {
        try Scratch.run { scratch in
            let pair = try await Pair(scratch, chunks: 60, bytes: 3000)
            let path = pair.path(pair.recording.chunks[7], on: pair.vehicle)
            let sound = try Data(contentsOf: URL(filePath: path))
            var rotten = sound
            rotten[1500] ^= 1
            try Self.overwrite(path, with: rotten)
            try await pair.vehicle.start()
            try await pair.topside.start()
            let peer = try await pair.topside.wait("all but one are here") { status -> PeerForm? in
                guard status.store.chunks == 59, let peer = status.peers.first,
                    (peer.errors["corrupt_chunk"] ?? 0) > 1
                else { return nil }
                return peer
            }
            #expect(peer.backlogCount == 1)
            #expect(!FileManager.default.fileExists(atPath: pair.path(pair.recording.chunks[7], on: pair.topside)))
            #expect(StoredNode.names("\(pair.topside.data)/quarantine").count == 1)
            // Verify tells the vehicle, which sets it aside; somebody finds the right bytes in a backup.
            #expect(try await pair.vehicle.verb(["verify"]) == 3)
            _ = try await pair.vehicle.wait("it is lost") { $0.store.chunks == 59 ? true : nil }
            try Self.overwrite(path, with: sound)
            _ = try await pair.vehicle.wait("it is held again") { $0.store.chunks == 60 ? true : nil }
            // Its word for that is a fact like any other: equal holdings have it at both.
            try await pair.endEqual()
        }
    }

    @Test("a chunk that rots on the topside is set aside and fetched again as soon as verify has found it")
    func healed() throws {
        try Scratch.run { scratch in
            let pair = try await Pair(scratch, chunks: 30, bytes: 3000)
            try await pair.vehicle.start()
            try await pair.topside.start()
            try await pair.topside.waitForEqualHoldings([pair.vehicle])
            let path = pair.path(pair.recording.chunks[7], on: pair.topside)
            var rotten = try Data(contentsOf: URL(filePath: path))
            rotten[1500] ^= 1
            try Self.overwrite(path, with: rotten)
            #expect(try await pair.topside.verb(["verify"]) == 3)
            _ = try await pair.topside.wait("it was lost and is here again") { status in
                status.store.quarantined == 1 && status.store.chunks == 30 ? true : nil
            }
            #expect(try await pair.topside.verb(["verify"]) == 0)
            try await pair.vehicle.stop()
            try await pair.topside.stop()
        }
    }

    private static func overwrite(_ path: String, with bytes: Data) throws {
        // Where it was set aside there is none.
        _ = chmod(path, 0o640)
        try bytes.write(to: URL(filePath: path))
        chmod(path, 0o440)
    }

    @Test("a topside that is killed again and again while it pulls ends with everything, and pulls nothing twice")
    func killedWhilePulling() throws {
        try Scratch.run { scratch in
            let pair = try await Pair(scratch, chunks: 400, bytes: 20_000)
            try await pair.vehicle.start()
            var chunks: Int64 = 0
            for round in 0..<6 {
                // Each second time, what was heard of goes with the index.
                if round % 2 == 1 { try Self.removeIndex(of: pair.topside) }
                try await pair.topside.start()
                chunks = try await pair.topside.wait("it pulls") { status in
                    status.store.chunks > chunks || status.store.chunks == 400 ? status.store.chunks : nil
                }
                try await pair.topside.kill()
                let held = StoredNode.names("\(pair.topside.data)/chunks").reduce(0) { count, prefix in
                    count + StoredNode.names("\(pair.topside.data)/chunks/\(prefix)").count
                }
                #expect(held >= chunks)
            }
            try await pair.topside.start()
            try await pair.endEqual()
        }
    }

    @Test("what is derived may vanish at any time: the index between two runs, the folder for people in one")
    func derived() throws {
        try Scratch.run { scratch in
            let pair = try await Pair(scratch, chunks: 40, bytes: 3000)
            try await pair.vehicle.start()
            try await pair.topside.start()
            try await pair.topside.waitForEqualHoldings([pair.vehicle])
            try await pair.topside.kill()
            try Self.removeIndex(of: pair.topside)
            try await pair.topside.start()
            let status = try await pair.topside.wait("it holds all") { $0.store.chunks == 40 ? $0 : nil }
            #expect(status.store.wanted == 0)
            #expect(status.peers.first?.chunksDownloaded ?? 0 == 0)
            try FileManager.default.removeItem(atPath: "\(pair.topside.data)/sessions")
            try await pair.vehicle.stop()
            let more = try await SeededStore.make(pair.vehicle.data, chunks: 20, bytes: 3000, seed: 2)
            try await pair.vehicle.start()
            try await pair.topside.waitForEqualHoldings([pair.vehicle])
            let folder = "\(pair.topside.data)/sessions/seeded/\(more.session)"
            #expect(StoredNode.names(folder).count { $0.hasPrefix("chunk_") } == 20)
            try await pair.endEqual()
        }
    }

    private static func removeIndex(of node: SoakNode) throws {
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            let path = "\(node.data)/\(name)"
            if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
        }
    }

    /// Takes bytes from the end of a folder's newest file that has that many.
    static func cut(_ count: UInt64, from folder: String) throws {
        let name = try #require(StoredNode.names(folder).last)
        let file = try FileHandle(forUpdating: URL(filePath: "\(folder)/\(name)"))
        let length = try file.seekToEnd()
        try file.truncate(atOffset: length - min(count, length))
        try file.close()
    }

    @Test(
        "a torn log is mended: a topside adopts the chunks it has, a vehicle takes its own facts back",
        arguments: [false, true])
    func tornLog(indexIsGone: Bool) throws {
        try Scratch.run { scratch in
            let pair = try await Pair(scratch, chunks: 40, bytes: 3000, isMutual: true)
            try await pair.vehicle.start()
            try await pair.topside.start()
            try await pair.topside.waitForEqualHoldings([pair.vehicle])
            for node in [pair.topside, pair.vehicle] {
                try await node.kill()
                try Self.cut(5000, from: "\(node.data)/log")
                if indexIsGone { try Self.removeIndex(of: node) }
                #expect(try StoredNode(node.data).facts.count < 35)
                try await node.start()
                try await pair.topside.waitForEqualHoldings([pair.vehicle])
                let status = try await node.wait("it answers") { $0 }
                #expect(status.store.chunks == 40)
                #expect(status.peers.first?.chunksDownloaded ?? 0 == 0)
            }
            try await pair.endEqual()
        }
    }
}
