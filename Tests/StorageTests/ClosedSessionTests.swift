import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

@Suite struct ClosedSessionTests {
    @Test("a session whose author is gone is closed with all its whole rows, by facts of the closer")
    func close() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        _ = try await mirror.sealCopy(bench.slot(), fact: bench.seal())
        try await bench.record(["2", "3"])
        try await bench.record(["r"], .raw)
        let whole = try bench.written(.data, 1)
        // The last frame ended within a row.
        let cut = CopyBench.piece(bench.slot(.data, 1), whole, 0..<whole.count - 1, rows: 1)
        #expect(try await mirror.appendCopies([cut, bench.piece(nil, .raw)]).isEmpty)
        let closed = try await mirror.closeSession(bench.session)
        #expect(closed.sealed.map(\.fact.index) == [1, 0] && closed.end.reason == "closed_by_peer")
        #expect(closed.end.streams["data"]?.rows == 2 && closed.end.streams["raw"]?.chunks == 1)
        #expect(try await mirror.rows(bench.session) == ["1", "2"])
        #expect(closed.sealed.allSatisfy { $0.name.author == mirror.node })
        let summary = try await mirror.session(bench.session)
        #expect(summary.isComplete && summary.end == closed.end && summary.author == bench.source.node)
        #expect(await mirror.copies().isEmpty)
        // The torn row is kept aside; closing again says the same and writes nothing.
        let torn = whole[(whole.count - 2)..<(whole.count - 1)]
        let name = "\(bench.session).data.1.\(whole.count - 2)+1-\(CopyBench.checksum(torn)).torn"
        #expect(bench.scratch.names("mirror/quarantine") == [name])
        #expect(bench.scratch.bytes("mirror/quarantine/" + name) == Array(torn))
        let head = await mirror.head()
        #expect(try await mirror.closeSession(bench.session).end == closed.end)
        #expect(await mirror.head() == head)
        let audit = try await StoreAudit(
            of: "\(bench.scratch.path)/mirror", node: mirror.node, on: bench.scratch.lanes.scrub
        ).run()
        #expect(audit.isSound, "\(audit.findings)")
    }

    @Test("what the author says later outranks the closer, alike on every node; the closer's chunk becomes a variant")
    func authorReturns() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        let closed = try await mirror.closeSession(bench.session)
        // The author comes back with more: the slot has a live copy again.
        try await bench.record(["2"])
        #expect(try await mirror.appendCopies([bench.piece(rows: 2)]).isEmpty)
        let again = try await bench.scratch.open(try bench.scratch.crashed("mirror", as: "later"), node: mirror.node)
        #expect(try await again.copies().map(\.length) == [Int64(bench.written().count)])
        #expect(try await mirror.sealCopy(bench.slot(), fact: bench.seal()) == .held)
        #expect(try await mirror.rows(bench.session) == ["1", "2"])
        let chunks = try await mirror.chunks(of: bench.session)
        #expect(chunks.map(\.name.author) == [bench.source.node, mirror.node])
        #expect(chunks[1].fact.sha256 == closed.sealed[0].fact.sha256)
        let end = try await bench.source.endSession(bench.session, reason: SessionEnd.Reason.stopped)
        _ = try await mirror.receive(try await bench.source.facts(after: 0, limit: 100).map(\.bytes))
        #expect(try await mirror.session(bench.session).end == end)
        // The author takes the closer's word and keeps its own before it.
        _ = try await bench.source.receive(try await mirror.facts(after: 0, limit: 100).map(\.bytes))
        #expect(try await bench.source.session(bench.session).end == end)
        #expect(try await bench.source.rows(bench.session) == ["1", "2"])
    }

    @Test("a copy with more than the closer had stays, and is not cut to that")
    func longerThanCloser() async throws {
        let bench = try await CopyBench(try Scratch())
        let closer = try await bench.mirror("closer")
        let third = try await bench.scratch.open("third", node: NodeID(digest: thirdDigest))
        _ = try await third.receive(try await bench.source.facts(after: 0, limit: 1).map(\.bytes))
        try await bench.record(["1"])
        let piece = try bench.piece()
        _ = try await closer.appendCopies([piece])
        try await bench.record(["2"])
        _ = try await third.appendCopies([bench.piece(rows: 2)])
        let closed = try await closer.closeSession(bench.session)
        let facts = try await closer.facts(after: 0, limit: 100).map(\.bytes)
        let fact = try #require(facts.first { RecordedFact(parsing: $0)?.fact.name == closed.sealed[0].name })
        #expect(try await third.sealCopy(bench.slot(), fact: fact) == .none)
        let wanted = try #require(try await third.wanted(mission: nil, limit: 1, excluding: []).first)
        #expect(try await third.beginPull(wanted) == 0)
        _ = try await third.admit([(wanted, piece.bytes)])[0].get()
        #expect(await third.copies().map(\.rows) == [2])
        // Closed there too, it counts before the other: it has more rows.
        _ = try await third.closeSession(bench.session)
        #expect(try await third.rows(bench.session) == ["1", "2"])
        #expect(try await third.chunks(of: bench.session).count == 2)
    }

    @Test("a session of which only sealed chunks are here is closed, too; the node's own is not")
    func otherCases() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        _ = try await mirror.sealCopy(bench.slot(), fact: bench.seal())
        let closed = try await mirror.closeSession(bench.session)
        #expect(closed.sealed.isEmpty && closed.end.streams["data"]?.rows == 1)
        #expect(try await mirror.session(bench.session).isComplete)
        await #expect(throws: StoreError.ownSession(bench.session)) {
            try await bench.source.closeSession(bench.session)
        }
        let unknown = SessionID.random()
        await #expect(throws: StoreError.unknownSession(unknown)) { try await mirror.closeSession(unknown) }
    }

    @Test("a copy without a whole row is set aside, not sealed")
    func noRow() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        let header = try #require(try bench.written().firstIndex(of: 10)) + 1
        _ = try await mirror.appendCopies([bench.piece(0..<header, rows: 0)])
        #expect(try await mirror.closeSession(bench.session).sealed.isEmpty)
        let name = try bench.aside(bench.written()[..<header], "surplus")
        #expect(bench.scratch.names("mirror/quarantine") == [name])
        #expect(try await mirror.chunks(of: bench.session).isEmpty)
    }

    @Test("rows are those that the bytes have, whatever was claimed of them")
    func claimedRows() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1", "2"])
        let whole = try bench.written()
        let lie = CopyBench.piece(bench.slot(), whole, 0..<whole.count - 1, rows: 15)
        _ = try await mirror.appendCopies([lie])
        let closed = try await mirror.closeSession(bench.session)
        #expect(closed.sealed.map(\.fact.rows) == [1] && closed.end.streams["data"]?.rows == 1)
        #expect(try await mirror.rows(bench.session) == ["1"])
        #expect(RecordedFact(parsing: try await mirror.facts(after: 0, limit: 10)[1].bytes) != nil)
    }

    @Test("a copy of which no fact can tell is set aside, not sealed")
    func untellable() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        // The write-ahead log has such numbers, facts do not.
        let slot = bench.slot(.data, (1 << 40) + 1)
        let bytes = try bench.written()
        #expect(try await mirror.appendCopies([CopyBench.piece(slot, bytes, 0..<bytes.count)]).isEmpty)
        #expect(try await mirror.closeSession(bench.session).sealed.isEmpty)
        #expect(await mirror.copies().isEmpty)
        #expect(bench.scratch.names("mirror/quarantine").count == 1)
    }

    @Test("a seal that failed, and whose copy was dropped, says nothing of the slot's next copy")
    func secondCopy() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        let plan = FaultPlan(.fail(code: 5), at: 1, count: 100, names: ["renameat2"])
        await #expect(throws: StoreError.self) {
            try await FaultPlan.$current.withValue(plan) { _ = try await mirror.closeSession(bench.session) }
        }
        try await mirror.dropCopy(bench.slot())
        try await bench.record(["2"])
        #expect(try await mirror.appendCopies([bench.piece(rows: 2)]).isEmpty)
        let closed = try await mirror.closeSession(bench.session)
        #expect(closed.sealed.map(\.fact.sha256) == [ChunkDigester.digest(of: try bench.written())])
        #expect(try await mirror.rows(bench.session) == ["1", "2"])
    }

    @Test("an end that the author wrote stays the session's, and its copies are sealed all the same")
    func endedByAuthor() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        let end = try await bench.source.endSession(bench.session, reason: SessionEnd.Reason.stopped)
        _ = try await mirror.receive(try await bench.source.facts(after: 0, limit: 100).map(\.bytes))
        let closed = try await mirror.closeSession(bench.session)
        #expect(closed.end == end && closed.sealed.count == 1)
        // The same bytes under both names: the author's fact is satisfied by them, and comes first.
        #expect(try await mirror.wanted(mission: nil, limit: 1, excluding: []).isEmpty)
        #expect(try await mirror.session(bench.session).isComplete)
        #expect(try await mirror.chunks(of: bench.session).map(\.name.author) == [bench.source.node, mirror.node])
        #expect(try await mirror.rows(bench.session) == ["1"])
    }
}

private let thirdDigest = Digest256(bytes: [UInt8](repeating: 0xee, count: 32))!
