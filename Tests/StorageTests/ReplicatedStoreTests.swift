import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

@Suite struct ReplicatedStoreTests {
    private static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)

    /// A source with one session of `chunks` chunks and a copier that has received all its facts.
    private func pair(_ scratch: Scratch, chunks: Int) async throws -> (source: Store, copy: Store, session: SessionID)
    {
        let source = try await scratch.open("source")
        let copy = try await scratch.open("mirror", node: Self.other)
        let session = try await source.startSession(opening)
        for n in 0..<chunks {
            _ = try await source.commit([batch(session, rows: ["\(n)"], at: Int64(n + 1))])
            _ = try await source.seal(session)
        }
        return (source, copy, session)
    }

    @Test("a chunk fact enters the log only with its bytes, under its name and with its exact bytes")
    func mirror() async throws {
        let scratch = try Scratch()
        let (source, copy, session) = try await pair(scratch, chunks: 3)
        let facts = try await source.facts(after: 0, limit: 100).map(\.bytes)
        let report = try await copy.receive(facts)
        #expect(report.logged == 1 && report.heard == 3)
        #expect(try await copy.holdings().holdings.count == 1)
        let wanted = try await copy.wanted(mission: nil, limit: 10, excluding: [])
        #expect(wanted.map(\.fact.index) == [2, 1, 0])
        #expect(try await copy.wanted(mission: "other", limit: 10, excluding: []).isEmpty)
        var arrivals: [(chunk: WantedChunk, bytes: [UInt8])] = []
        for chunk in wanted { arrivals.append((chunk, try await source.contents(chunk.fact.sha256))) }
        for result in await copy.admit(arrivals) { _ = try result.get() }
        #expect(try await copy.holdings().holdings == source.holdings().holdings)
        #expect(Set(try await copy.facts(after: 0, limit: 100).map(\.bytes)) == Set(facts))
        #expect(try await copy.rows(session) == ["0", "1", "2"])
        #expect(try await copy.wanted(mission: nil, limit: 10, excluding: []).isEmpty)
        let again = try await copy.receive(facts)
        #expect(again.known == 4 && again.logged == 0)
    }

    @Test("wrong bytes go to quarantine, are still wanted, and do not hold up the others")
    func wrongBytes() async throws {
        let scratch = try Scratch()
        let (source, copy, _) = try await pair(scratch, chunks: 2)
        _ = try await copy.receive(try await source.facts(after: 0, limit: 100).map(\.bytes))
        let wanted = try await copy.wanted(mission: nil, limit: 10, excluding: [])
        var wrong = try await source.contents(wanted[0].fact.sha256)
        wrong[0] ^= 1
        let right = try await source.contents(wanted[1].fact.sha256)
        let results = await copy.admit([(wanted[0], wrong), (wanted[1], right)])
        #expect(throws: StoreError.corrupt(expected: wanted[0].fact.sha256, actual: ChunkDigester.digest(of: wrong))) {
            _ = try results[0].get()
        }
        _ = try results[1].get()
        #expect(try await copy.wanted(mission: nil, limit: 10, excluding: []) == [wanted[0]])
        #expect(scratch.names("mirror/quarantine") == ["\(wanted[0].fact.sha256).corrupt"])
        _ = try await copy.admit([(wanted[0], try await source.contents(wanted[0].fact.sha256))])[0].get()
        #expect(try await copy.holdings().holdings == source.holdings().holdings)
    }

    @Test("a pull goes on where an earlier one stopped")
    func resumedPull() async throws {
        let scratch = try Scratch()
        let (source, copy, session) = try await pair(scratch, chunks: 1)
        _ = try await copy.receive(try await source.facts(after: 0, limit: 100).map(\.bytes))
        let wanted = try #require(try await copy.wanted(mission: nil, limit: 1, excluding: []).first)
        let bytes = try await source.contents(wanted.fact.sha256)
        #expect(try await copy.beginPull(wanted) == 0)
        try await copy.appendPull(wanted, Array(bytes[..<5]), at: 0)
        try await copy.suspendPull(wanted)
        let again = try await scratch.open(try scratch.crashed("mirror", as: "later"), node: Self.other)
        #expect(try await again.beginPull(wanted) == 5)
        try await again.appendPull(wanted, Array(bytes[5...]), at: 5)
        await #expect(throws: StoreError.self) { try await again.appendPull(wanted, [0], at: wanted.fact.bytes) }
        try await again.finishPull(wanted)
        #expect(try await again.rows(session) == ["0"])
    }

    @Test("chunks whose session is not known yet wait for it, and are adopted where their bytes are here")
    func sessionComesLast() async throws {
        let scratch = try Scratch()
        let (source, copy, session) = try await pair(scratch, chunks: 1)
        let facts = try await source.facts(after: 0, limit: 100).map(\.bytes)
        #expect(try await copy.receive([facts[1]]).heard == 1)
        #expect(try await copy.wanted(mission: nil, limit: 10, excluding: []).isEmpty)
        _ = try await copy.receive([facts[0]])
        #expect(try await copy.wanted(mission: nil, limit: 10, excluding: []).map(\.session) == [session])
        // A store that kept its chunks and lost its log takes them up again without a transfer.
        let files = try FileManager.default.subpathsOfDirectory(atPath: "\(scratch.path)/source/chunks")
        #expect(files.count == 2)
        try FileManager.default.removeItem(atPath: "\(scratch.path)/mirror/chunks")
        try FileManager.default.copyItem(
            atPath: "\(scratch.path)/source/chunks", toPath: "\(scratch.path)/third-chunks")
        let third = try await scratch.open("third", node: Self.other)
        try FileManager.default.removeItem(atPath: "\(scratch.path)/third/chunks")
        try FileManager.default.moveItem(atPath: "\(scratch.path)/third-chunks", toPath: "\(scratch.path)/third/chunks")
        let reopened = try await scratch.open(try scratch.crashed("third", as: "fourth"), node: Self.other)
        let report = try await reopened.receive(facts)
        #expect(report.adopted == 1 && report.heard == 0)
        #expect(try await reopened.holdings().holdings == source.holdings().holdings)
        withExtendedLifetime(third) {}
    }

    @Test("what is no fact, too large, or of this very process is refused and counted")
    func hostileFacts() async throws {
        let scratch = try Scratch()
        let (source, copy, _) = try await pair(scratch, chunks: 1)
        let own = try await source.facts(after: 0, limit: 1).map(\.bytes)
        let echo = try await source.receive(own)
        #expect(echo.refused == 0 && echo.known == 1)
        // A number that this process has not reached.
        let text = String(decoding: own[0], as: UTF8.self)
        let forged = text.replacing(#/"n":\d+/#, with: #""n":99"#)
        #expect(forged != text)
        #expect(try await source.receive([Array(forged.utf8)]).refused == 1)
        let garbage: [[UInt8]] = [
            [], Array("{}".utf8), Array("null".utf8), [0xff, 0xfe], own[0] + [UInt8(ascii: "\n")],
            Array(String(repeating: "[", count: 5000).utf8), [UInt8](repeating: 32, count: Limits.factBytes + 1),
        ]
        #expect(try await copy.receive(garbage).refused == garbage.count)
        #expect(await copy.head() == 0)
    }

    @Test("facts are answered by ranges, up to a size, and the rest on asking again")
    func factsInRanges() async throws {
        let scratch = try Scratch()
        let (source, _, _) = try await pair(scratch, chunks: 20)
        var rest = try await source.holdings().holdings
        var received: [[UInt8]] = []
        var rounds = 0
        while !rest.isEmpty {
            rounds += 1
            let answer = try await source.facts(in: rest, byteLimit: 2000)
            #expect(!answer.facts.isEmpty)
            for fact in answer.facts {
                received.append(fact.bytes)
                rest.remove(try #require(RecordedFact(parsing: fact.bytes)).fact.name)
            }
            #expect(answer.more == !rest.isEmpty)
        }
        #expect(rounds > 3)
        #expect(received == (try await source.facts(after: 0, limit: 100).map(\.bytes)))
    }

    @Test("one slot, several chunks: every node ranks alike")
    func variants() async throws {
        let scratch = try Scratch()
        let (source, copy, session) = try await pair(scratch, chunks: 1)
        _ = try await copy.receive(try await source.facts(after: 0, limit: 100).map(\.bytes))
        let wanted = try #require(try await copy.wanted(mission: nil, limit: 1, excluding: []).first)
        // A peer had closed the session with other bytes; the author's own chunk comes later and counts.
        let closed = Array("timestamp,value\n".utf8)
        let id = ChunkDigester.digest(of: closed)
        let fact = ChunkFact(
            stream: .data, index: 0, sha256: id, bytes: Int64(closed.count), rows: 0, firstRow: 0,
            first: wanted.fact.first,
            last: wanted.fact.last)
        let third = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xee, count: 32))!)
        let recorded = RecordedFact(
            encoding: Fact(
                name: FactName(author: third, incarnation: .random(), n: 1), session: session,
                at: SystemClock.reading(),
                body: .chunk(fact)))
        _ = try await copy.receive([recorded.bytes])
        let variant = try #require(
            try await copy.wanted(mission: nil, limit: 2, excluding: [wanted.claim]).first)
        _ = try await copy.admit([(variant, closed)])[0].get()
        #expect(try await copy.chunks(of: session).map(\.fact.sha256) == [id])
        _ = try await copy.admit([(wanted, try await source.contents(wanted.fact.sha256))])[0].get()
        #expect(try await copy.chunks(of: session).map(\.fact.sha256) == [wanted.fact.sha256, id])
        #expect(try await copy.session(session).held[.data]?.rows == 1)
        let shown = copy.folder(mission: "Test dive", session: session) + "/chunk_00000.csv"
        #expect(
            FileManager.default.contents(atPath: shown).map(Array.init)
                == (try await source.contents(wanted.fact.sha256)))
    }
}
