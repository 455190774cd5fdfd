import Model
import Reactor
import Testing

@testable import Replication
@testable import Storage

extension Store {
    /// A session with one stream of lines.
    func beginSession(_ mission: String = "dive") async throws -> SessionID {
        let stream = StreamDescription(name: .data, format: .jsonl, columns: [])
        return try await startSession(SessionOpening(mission: mission, streams: [stream]))
    }

    @discardableResult
    func addRow(_ session: SessionID, _ text: String = "\(UniqueID.random())") async throws -> Int64 {
        let at = ClockPair(SystemClock.reading())
        let row = RowBatch(
            session: session, stream: .data, bytes: Array((text + "\n").utf8), rows: 1, first: at, last: at)
        return try await commit([row])[0].bytes
    }

    /// Returns when the copy of this chunk has so many bytes; the test's time limit is the deadline.
    func waitForCopy(_ slot: ChunkSlot, length: Int64) async throws {
        let (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        ringTails(bell)
        bell.yield()
        for await _ in rings where openLength(of: slot) ?? 0 >= length { return }
        throw CancellationError()
    }

    /// Committed bytes of a copy.
    func copied(_ slot: ChunkSlot) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        let reader = tail(TailRequest(only: slot))
        while true {
            let frames = try await reader.next()
            if frames.isEmpty { return bytes }
            for case .commit(let piece, _) in frames { bytes += piece.bytes }
        }
    }
}

extension StoreNode.Served {
    /// No byte of any open chunk was sent twice.
    var isEachByteOnce: Bool {
        pieces.values.allSatisfy { ranges in
            let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
            return zip(sorted, sorted.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound }
        }
    }
}

private func slot(_ store: Store, _ session: SessionID, _ index: Int64 = 0) -> ChunkSlot {
    ChunkSlot(author: store.node, session: session, stream: .data, index: index)
}

@Suite(.timeLimit(.minutes(1))) struct LiveTailTests {
    @Test("a copy grows with each commit, and is sealed without a byte being sent twice or asked for")
    func grows() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named)
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        let session = try await vehicle.store.beginSession()
        for index in 0..<4 as Range<Int64> {
            for _ in 0..<5 {
                let length = try await vehicle.store.addRow(session)
                try await topside.store.waitForCopy(slot(vehicle.store, session, index), length: length)
            }
            _ = try await vehicle.store.seal(session)
            try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        }
        #expect(try await topside.store.contents() == vehicle.store.contents())
        let served = vehicle.served
        #expect(served.chunks.isEmpty && served.isEachByteOnce && served.tails.count == 1)
        #expect(served.tailBytes == (try await vehicle.store.summary().chunkBytes))
        #expect(await topside.store.copies().isEmpty)
        try await topside.replicator.waitUntil { _ in
            topside.replicator.tailReports[vehicle.store.node]?.behindSince == nil
        }
        let report = try #require(topside.replicator.tailReports[vehicle.store.node])
        #expect(report.isLive && report.bytes == served.tailBytes && report.lag(now: Sample.time(1)) == .zero)
        let peer = try #require(await topside.replicator.reports().first)
        #expect(peer.chunksDownloaded == 4 && peer.bytesMirrored == served.tailBytes && peer.faults.total == 0)
        try await bench.end()
    }

    @Test("a link that breaks again and again costs no byte twice that was durable, and no chunk")
    func breaks() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named)
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        let session = try await vehicle.store.beginSession()
        for number in 0..<12 {
            let length = try await vehicle.store.addRow(session)
            if number % 3 == 2 { await bench.network.cut(vehicle.endpoint) }
            try await topside.store.waitForCopy(slot(vehicle.store, session), length: length)
        }
        _ = try await vehicle.store.seal(session)
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        #expect(try await topside.store.contents() == vehicle.store.contents())
        #expect(vehicle.served.tails.count >= 4)
        // Each began where the copy ended.
        let begins = vehicle.served.tails.dropFirst().compactMap { $0.copies.first?.length }
        #expect(begins == begins.sorted() && Set(begins).count > 1)
        #expect(vehicle.served.tails.allSatisfy { $0.copies.allSatisfy { $0.checksum != nil } })
        try await bench.end()
    }

    @Test("with a peer of an older release all is as before")
    func older() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named, capabilities: [])
        let topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        let session = try await vehicle.record(chunks: 3)
        try await vehicle.store.addRow(session)
        _ = try await vehicle.store.seal(session)
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        #expect(vehicle.served.tails.isEmpty && vehicle.served.chunks.count == 4)
        try await bench.end()
    }

    @Test("open chunks of another mission are not copied, until they are wanted")
    func mission() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named)
        let topside = try await bench.node(2, role: .topside, pull: .mission("b"))
        await topside.replicator.setEndpoints([vehicle.endpoint])
        let (a, b) = (try await vehicle.store.beginSession("a"), try await vehicle.store.beginSession("b"))
        let lengths = (try await vehicle.store.addRow(a), try await vehicle.store.addRow(b))
        try await topside.store.waitForCopy(slot(vehicle.store, b), length: lengths.1)
        #expect(topside.store.openLength(of: slot(vehicle.store, a)) == nil)
        await topside.replicator.setPullPolicy(.all)
        try await topside.store.waitForCopy(slot(vehicle.store, a), length: lengths.0)
        await topside.replicator.setPullPolicy(.none)
        #expect(vehicle.served.isEachByteOnce)
        try await bench.end()
    }

    @Test(
        "a vehicle and a topside that die in mid-chunk, either or both, go on from what was durable",
        arguments: [
            (true, false), (false, true), (true, true),
        ])
    func death(vehicleDies: Bool, topsideDies: Bool) async throws {
        let bench = try Bench()
        var vehicle = try await bench.node(1, follow: .named)
        var topside = try await bench.node(2, role: .topside)
        await topside.replicator.setEndpoints([vehicle.endpoint])
        let session = try await vehicle.store.beginSession()
        let place = slot(vehicle.store, session)
        var length: Int64 = 0
        for _ in 0..<20 { length = try await vehicle.store.addRow(session) }
        try await topside.store.waitForCopy(place, length: length)
        let before = try await topside.store.copied(place)
        // What a process that dies leaves: the directory as it is at this moment.
        if topsideDies { try bench.scratch.copy("2", to: "2b") }
        if vehicleDies { try bench.scratch.copy("1", to: "1b") }
        let endpoint = vehicle.endpoint
        if topsideDies {
            try await bench.kill(2)
            topside = try await bench.node(2, folder: "2b", role: .topside)
            #expect(try await topside.store.copied(place) == before)
        }
        if vehicleDies {
            try await bench.kill(1)
            vehicle = try await bench.node(1, folder: "1b", follow: .named)
        }
        await topside.replicator.setEndpoints([endpoint])
        if !vehicleDies {
            length = try await vehicle.store.addRow(session)
            try await topside.store.waitForCopy(place, length: length)
            _ = try await vehicle.store.seal(session)
        }
        try await topside.store.waitUntilHeld(vehicle.store.holdings().holdings)
        let contents = try await topside.store.contents()
        #expect(try await vehicle.store.contents() == contents)
        #expect(contents.values.allSatisfy { $0.starts(with: before) } && contents.count == 1)
        // Nothing was sent again: neither the copy nor, where it became the beginning of a pull, that.
        #expect(vehicle.served.chunks.allSatisfy { $0.from >= Int64(before.count) })
        #expect(vehicle.served.isEachByteOnce)
        #expect(await topside.store.copies().isEmpty)
        try await bench.end()
    }

    @Test(
        "a topside copies from another what that has of a vehicle that is gone, and both take what it has to say later")
    func relay() async throws {
        let bench = try Bench()
        let vehicle = try await bench.node(1, follow: .named)
        let first = try await bench.node(2, role: .topside)
        await first.replicator.setEndpoints([vehicle.endpoint])
        let session = try await vehicle.store.beginSession()
        var length: Int64 = 0
        for _ in 0..<9 { length = try await vehicle.store.addRow(session) }
        let place = slot(vehicle.store, session)
        try await first.store.waitForCopy(place, length: length)
        await bench.network.unplug(vehicle.endpoint)
        let second = try await bench.node(3, role: .topside)
        await second.replicator.setEndpoints([first.endpoint])
        try await second.store.waitForCopy(place, length: length)
        #expect(try await second.store.copied(place) == vehicle.store.copied(place))
        #expect(first.served.isEachByteOnce)
        // The author is back, with more.
        bench.network.plug(vehicle, at: vehicle.endpoint)
        await second.replicator.setEndpoints([first.endpoint, vehicle.endpoint])
        length = try await vehicle.store.addRow(session)
        for node in [first, second] { try await node.store.waitForCopy(place, length: length) }
        _ = try await vehicle.store.seal(session)
        for node in [first, second] { try await node.store.waitUntilHeld(vehicle.store.holdings().holdings) }
        #expect(try await second.store.contents() == vehicle.store.contents())
        #expect(vehicle.served.chunks.isEmpty && first.served.chunks.isEmpty)
        try await bench.end()
    }
}
