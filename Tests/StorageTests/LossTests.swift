import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

/// What rots, what is gone, and how it comes back.
@Suite(.timeLimit(.minutes(2))) struct LossTests {
    private static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)

    /// A source with one session of three chunks, and a mirror that has all of it.
    private func mirrored(_ scratch: Scratch) async throws -> (source: Store, copy: Store, session: SessionID) {
        let source = try await scratch.open("source")
        let session = try await source.startSession(opening)
        for n in 0..<3 {
            _ = try await source.commit([batch(session, rows: ["\(n)"], at: Int64(n + 1))])
            _ = try await source.seal(session)
        }
        let copy = try await scratch.open("mirror", node: Self.other)
        try await pull(copy, from: source)
        return (source, copy, session)
    }

    private func pull(_ copy: Store, from source: Store) async throws {
        _ = try await copy.receive(try await source.facts(after: 0, limit: 100).map(\.bytes))
        for wanted in try await copy.wanted(mission: nil, limit: 10, excluding: []) {
            let bytes = try await source.contents(wanted.fact.sha256)
            _ = try await copy.admit([(wanted, bytes)])[0].get()
        }
    }

    private func rot(_ scratch: Scratch, _ store: String, _ id: ChunkID) throws {
        let path = "\(scratch.path)/\(store)/chunks/\(id.description.prefix(2))/\(id)"
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        let file = try Directory.open(String(path.dropLast(65))).openFile(id.description, .readWrite)
        try file.write([0xff], at: 3)
    }

    private func kinds(_ store: Store) async throws -> [String] {
        try await store.facts(after: 0, limit: 100).map(\.kind)
    }

    private func shown(_ scratch: Scratch, _ store: String, _ session: SessionID) -> [String] {
        scratch.names("\(store)/sessions/Test dive/\(session)").filter { $0.hasPrefix("chunk_") }
    }

    @Test(
        "a rotten chunk goes to quarantine, is a lost fact, and is held again when a peer gave it",
        arguments: [false, true])
    func rots(isGone: Bool) async throws {
        let scratch = try Scratch()
        var (source, copy, session) = try await mirrored(scratch)
        let chunk = try await copy.chunks(of: session)[1]
        let id = chunk.fact.sha256
        #expect(try await copy.scrubOnce() == 0)
        if isGone {
            try FileManager.default.removeItem(
                atPath: "\(scratch.path)/mirror/chunks/\(id.description.prefix(2))/\(id)")
        } else {
            try rot(scratch, "mirror", id)
        }
        #expect(try await copy.scrubOnce() == 1)
        #expect(scratch.names("mirror/quarantine") == (isGone ? [] : ["\(id).damaged"]))
        #expect(try await kinds(copy).last == "lost")
        #expect(try await !copy.holdings().holdings.contains(chunk.name))
        #expect(await copy.heard().contains(chunk.name))
        #expect(try await copy.chunks(of: session).count == 2)
        #expect(try await copy.session(session).missingChunks == 1)
        #expect(shown(scratch, "mirror", session) == ["chunk_00000.csv", "chunk_00002.csv"])
        await #expect(throws: StoreError.notFound(id)) { _ = try await copy.openChunk(id) }
        let wanted = try await copy.wanted(mission: nil, limit: 10, excluding: [])
        #expect(wanted.map(\.fact.sha256) == [id])
        // It is lost for the next process too, by its index and by the log alone.
        for removesIndex in [false, true] {
            try await copy.close()
            copy = try await reopened(scratch, copy, removesIndex: removesIndex)
            #expect(try await !copy.holdings().holdings.contains(chunk.name))
            #expect(await copy.heard().contains(chunk.name))
            #expect(try await copy.wanted(mission: nil, limit: 10, excluding: []) == wanted)
        }
        try await pull(copy, from: source)
        #expect(try await kinds(copy).last == "held")
        #expect(try await copy.rows(session) == ["0", "1", "2"])
        #expect(shown(scratch, name(copy), session).count == 3)
        #expect(try await copy.wanted(mission: nil, limit: 10, excluding: []).isEmpty)
        for removesIndex in [false, true] {
            try await copy.close()
            copy = try await reopened(scratch, copy, removesIndex: removesIndex)
            #expect(try await copy.holdings().holdings.contains(chunk.name))
            #expect(await copy.heard().isEmpty)
            #expect(try await copy.rows(session) == ["0", "1", "2"])
        }
        try await copy.close()
        try await source.close()
    }

    private func name(_ store: Store) -> String { String(store.path.split(separator: "/").last!) }

    private func reopened(_ scratch: Scratch, _ store: consuming Store, removesIndex: Bool) async throws -> Store {
        let name = name(store)
        let node = store.node
        _ = consume store
        if removesIndex {
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: "\(scratch.path)/\(name)/index.sqlite\(suffix)")
            }
        }
        // As another directory: the lock goes with the last reference, whenever that is.
        let copy = try scratch.crashed(name, as: "\(name)+")
        return try await scratch.open(copy, node: node)
    }

    @Test("a node heals what it wrote itself and lost")
    func own() async throws {
        let scratch = try Scratch()
        let (source, copy, session) = try await mirrored(scratch)
        let chunk = try await source.chunks(of: session)[0]
        try rot(scratch, "source", chunk.fact.sha256)
        #expect(try await source.scrubOnce() == 1)
        #expect(try await source.wanted(mission: nil, limit: 10, excluding: []).map(\.name) == [chunk.name])
        try await pull(source, from: copy)
        #expect(try await source.rows(session) == ["0", "1", "2"])
        #expect(try await source.holdings().holdings.contains(chunk.name))
    }

    @Test("a damaged line of the log costs its fact only, and a peer gives it again", arguments: 0..<4)
    func damagedLine(line: Int) async throws {
        let scratch = try Scratch()
        var (source, copy, session) = try await mirrored(scratch)
        let facts = try await copy.facts(after: 0, limit: 100)
        let path = "\(scratch.path)/mirror/log/000001.jsonl"
        let text = try #require(FileManager.default.contents(atPath: path))
        let starts = [0] + text.indices.filter { text[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        let file = try Directory.open("\(scratch.path)/mirror/log").openFile("000001.jsonl", .readWrite)
        try file.write([UInt8(ascii: "#")], at: Int64(starts[line] + 20))
        _ = try await copy.scrubOnce()
        let name = try #require(RecordedFact(parsing: facts[line].bytes)).fact.name
        #expect(try await !copy.holdings().holdings.contains(name))
        #expect(try await copy.facts(after: 0, limit: 100).count == facts.count - 1)
        try await pull(copy, from: source)
        #expect(try await copy.rows(session) == ["0", "1", "2"])
        #expect(try await copy.holdings().holdings == source.holdings().holdings)
        for removesIndex in [false, true] {
            try await copy.close()
            copy = try await reopened(scratch, copy, removesIndex: removesIndex)
            #expect(try await copy.rows(session) == ["0", "1", "2"])
            #expect(try await copy.holdings().holdings == source.holdings().holdings)
        }
    }

    @Test("a name in the folder for people that leads elsewhere is put right")
    func misshown() async throws {
        let scratch = try Scratch()
        let (_, copy, session) = try await mirrored(scratch)
        let path = "\(scratch.path)/mirror/sessions/Test dive/\(session)/chunk_00001.csv"
        try FileManager.default.removeItem(atPath: path)
        _ = FileManager.default.createFile(atPath: path, contents: Data("forged\n".utf8))
        #expect(try await copy.scrubOnce() == 0)
        #expect(
            scratch.bytes("mirror/sessions/Test dive/\(session)/chunk_00001.csv") == Array("timestamp,value\n1\n".utf8))
    }

    @Test("while the index is made again, the node records, and what asks the index is told to wait")
    func indexing() async throws {
        let scratch = try Scratch()
        let first = try await scratch.open()
        let session = try await first.startSession(opening)
        _ = try await first.commit([batch(session, rows: ["1"])])
        let crashed = try scratch.crashed(as: "crashed")
        var lines: [UInt8] = []
        let count = 3 * Limits.indexLag
        for n in 1...count { lines += FactLog.line(Self.marker(n)) }
        try Directory.open("\(scratch.path)/crashed/log").openFile("000001.jsonl", .append).write(lines)
        let store = try await Store.open(
            "\(scratch.path)/\(crashed)", node: Scratch.author, incarnation: .random(), lanes: scratch.lanes,
            log: .silent, index: .meanwhile)
        let summary = try await store.summary()
        #expect(summary.indexed.map { $0 < 1 } == true)
        await #expect {
            _ = try await store.holdings()
        } throws: {
            guard case StoreError.indexing(let done, let total) = $0 else { return false }
            return done < total
        }
        // It records: rows are durable, a chunk is sealed, a session ends and another begins.
        _ = try await store.commit([batch(session, rows: ["2"])])
        #expect(try await store.seal(session).count == 1)
        _ = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        let next = try await store.startSession(opening)
        _ = try await store.commit([batch(next, rows: ["3"])])
        await withThrowingTaskGroup(of: Void.self) { group in
            let (never, keep) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            group.addTask {
                try await store.keepIndex { _ in
                    for await _ in never {}
                    try Task.checkCancellation()
                }
            }
            await store.whenComplete()
            group.cancelAll()
            keep.finish()
        }
        #expect(try await store.rows(session) == ["1", "2"])
        #expect(try await store.session(session).isComplete)
        #expect(try await store.summary().indexed == nil)
        let facts = try await store.facts(after: 0, limit: count + 100)
        #expect(try await store.holdings().holdings.count == Int64(facts.count))
        #expect(Set(facts.compactMap { RecordedFact(parsing: $0.bytes)?.fact.name }).count == facts.count)
        #expect(shown(scratch, "crashed", session) == ["chunk_00000.csv", "chunk_00001.csv"])
        try await store.close()
        try await first.close()
    }

    private static func marker(_ n: Int) -> [UInt8] {
        let at = ClockReading(realtime: 1, boottime: 1, bootID: BootID(high: 1, low: 1))
        let name = FactName(author: other, incarnation: Incarnation(word: 5), n: Int64(n))
        return RecordedFact(
            encoding: Fact(
                name: name, session: nil, at: at, body: .marker(Marker(id: "\(n)", type: nil, text: nil, row: nil)))
        ).bytes
    }

    @Test("a session whose end was begun is not gone on with, whether its end reached the log or not")
    func ending() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["1"])])
        let plan = FaultPlan()
        try await FaultPlan.$current.withValue(plan) {
            _ = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        }
        try await store.close()
        var begun = 0
        for call in stride(from: 1, through: plan.callCount, by: 2) {
            let other = try Scratch()
            let store = try await other.open()
            let session = try await store.startSession(opening)
            _ = try await store.commit([batch(session, rows: ["1"])])
            // The rest of the process's calls fail: it stands still here.
            await FaultPlan.$current.withValue(FaultPlan(.fail(code: 5), at: call, count: .max - call)) {
                _ = try? await store.endSession(session, reason: SessionEnd.Reason.stopped)
            }
            let copy = try other.crashed(as: "copy")
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: "\(other.path)/\(copy)/index.sqlite\(suffix)")
            }
            let again = try await other.open(copy)
            let isOpen = await again.openSessions().contains { $0.id == session }
            let end = try await again.session(session).end
            #expect(isOpen == (end == nil))
            if !isOpen {
                begun += 1
                #expect(end?.reason == SessionEnd.Reason.stopped && end?.streams["data"]?.rows == 1)
            }
            try await again.close()
        }
        #expect(begun > 0)
    }

    @Test("a chunk that is sealed after a commit that failed has the bytes that were acknowledged, and no more")
    func surplus() async throws {
        let large = [String(repeating: "z", count: Limits.inlineCommitBytes + 10)]
        var failed = 0
        for (call, count) in (1...8).flatMap({ call in (1...2).map { (call, $0) } }) {
            let scratch = try Scratch()
            let store = try await scratch.open()
            let session = try await store.startSession(opening)
            _ = try await store.commit([batch(session, rows: ["1"])])
            let plan = FaultPlan(.fail(code: 28), at: call, count: count)
            await FaultPlan.$current.withValue(plan) {
                do { _ = try await store.commit([batch(session, rows: large)]) } catch { failed += 1 }
            }
            for chunk in try await store.seal(session) {
                #expect(ChunkDigester.digest(of: try await store.contents(chunk.fact.sha256)) == chunk.fact.sha256)
            }
            #expect(try await store.rows(session).first == "1")
            #expect(try await store.scrubOnce() == 0)
            try await store.close()
        }
        #expect(failed > 1)
    }

    @Test("a fact whose append failed is written under the same name the next time")
    func sameName() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let body = Fact.Body.marker(Marker(id: "1"))
        await FaultPlan.$current.withValue(FaultPlan(.fail(code: 5), at: 1, count: .max - 1)) {
            await #expect(throws: StoreError.self) { try await store.record(body, in: session) }
        }
        let before = try await store.facts(after: 0, limit: 10).count
        let recorded = try await store.record(body, in: session)
        #expect(recorded.fact.name.n == 2)
        #expect(try await store.facts(after: 0, limit: 10).count == before + 1)
        try await store.close()
    }
}
