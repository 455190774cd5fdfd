import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

@Suite struct StoreTests {
    @Test("what is committed and sealed is a chunk named by its digest, a fact in the log, and a file for people")
    func recordAndSeal() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let state = try await store.commit([batch(session, rows: ["1,a", "2,b"]), batch(session, .raw, rows: ["{}"])])
        #expect(state.map(\.rows) == [2, 1])
        let sealed = try await store.seal(session)
        #expect(sealed.map(\.fact.stream) == [.data, .raw])
        let data = try #require(sealed.first)
        let bytes = try await store.contents(data.fact.sha256)
        #expect(String(decoding: bytes, as: UTF8.self) == "timestamp,value\n1,a\n2,b\n")
        #expect(ChunkDigester.digest(of: bytes) == data.fact.sha256)
        #expect(try await store.facts(after: 0, limit: 10).map(\.kind) == ["session", "chunk", "chunk"])
        #expect(try await store.holdings().holdings.count == 3)
        let folder = store.folder(mission: "Test dive", session: session)
        #expect(folder.hasSuffix("/sessions/Test dive/\(session)"))
        #expect(FileManager.default.contents(atPath: folder + "/chunk_00000.csv").map(Array.init) == bytes)
        #expect(FileManager.default.fileExists(atPath: folder + "/raw/raw_00000.jsonl"))
    }

    @Test("indices count without holes and the end tells the totals")
    func endOfSession() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        for n in 0..<3 {
            _ = try await store.commit([batch(session, rows: ["\(n)"])])
            _ = try await store.seal(session)
        }
        #expect(try await store.seal(session).isEmpty)
        let end = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        #expect(end.streams["data"] == SessionEnd.Totals(chunks: 3, rows: 3, bytes: 3 * 18))
        #expect(try await store.chunks(of: session).map(\.fact.index) == [0, 1, 2])
        #expect(try await store.chunks(of: session).map(\.fact.firstRow) == [0, 1, 2])
        let summary = try await store.session(session)
        #expect(summary.isComplete)
        #expect(await store.openSessions().isEmpty)
        #expect(scratch.names("data/open/\(Scratch.author)").isEmpty)
    }

    @Test("a crash loses nothing that was committed: the open chunk is sealed at the next start")
    func crashInOpenChunk() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["0"])])
        _ = try await store.seal(session)
        _ = try await store.commit([batch(session, rows: ["1"])])
        _ = try await store.commit([batch(session, rows: ["2"]), batch(session, .raw, rows: ["r"])])
        let again = try await scratch.open(try scratch.crashed(as: "copy"))
        #expect(try await again.rows(session) == ["0", "1", "2"])
        #expect(try await again.rows(session, .raw) == ["r"])
        let open = try #require(await again.openSessions().first)
        #expect(open.id == session && !open.stoppedOrderly)
        #expect(open.totals[.data]?.rows == 3 && open.totals[.data]?.chunks == 2)
        _ = try await again.commit([batch(session, rows: ["3"])])
        _ = try await again.endSession(session, reason: SessionEnd.Reason.stopped)
        #expect(try await again.rows(session) == ["0", "1", "2", "3"])
        #expect(
            try await again.chunks(of: session).filter { $0.fact.stream == .data }.map(\.fact.firstRow) == [0, 1, 3])
    }

    @Test("commits beyond the inline limit go by the file and survive as well")
    func largeCommits() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let row = String(repeating: "x", count: Limits.inlineCommitBytes)
        _ = try await store.commit([batch(session, rows: ["small"])])
        _ = try await store.commit([batch(session, rows: [row])])
        _ = try await store.commit([batch(session, rows: ["last"])])
        let again = try await scratch.open(try scratch.crashed(as: "copy"))
        #expect(try await again.rows(session) == ["small", row, "last"])
    }

    @Test("the write-ahead log rolls, and a crash behind it loses nothing")
    func rolling() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let row = String(repeating: "y", count: 60_000)
        for _ in 0..<300 { _ = try await store.commit([batch(session, rows: [row])]) }
        #expect(scratch.names("data/wal") == ["000002"])
        _ = try await store.commit([batch(session, .raw, rows: ["z"])])
        let again = try await scratch.open(try scratch.crashed(as: "copy"))
        #expect(try await again.rows(session).count == 300)
        #expect(try await again.rows(session, .raw) == ["z"])
    }

    @Test("an orderly close seals what is open and notes it")
    func orderlyClose() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["1"])])
        try await store.close()
        let again = try await scratch.open(try scratch.crashed(as: "copy"))
        #expect(try await again.rows(session) == ["1"])
        #expect(await again.openSessions().first?.stoppedOrderly == true)
    }

    @Test("a session's last activity is its last committed row, and dying after an orderly stop is seen")
    func activity() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["1"], at: SystemClock.reading().boottime + 7_000_000_000)])
        let crashed = try await scratch.open(try scratch.crashed(as: "crashed"))
        let found = try #require(await crashed.openSessions().first)
        #expect(found.lastActivity.boottime >= found.startedAt.boottime + 6_000_000_000)
        try await crashed.close()
        let stopped = try await scratch.open(try scratch.crashed("crashed", as: "stopped"))
        #expect(await stopped.openSessions().first?.stoppedOrderly == true)
        _ = try await stopped.commit([batch(session, rows: ["2"])])
        let died = try await scratch.open(try scratch.crashed("stopped", as: "died"))
        #expect(await died.openSessions().first?.stoppedOrderly == false)
        // A verb that looks and closes changes nothing of this.
        try await died.close(endsRecording: false)
        let looked = try await scratch.open(try scratch.crashed("died", as: "looked"))
        #expect(await looked.openSessions().first?.stoppedOrderly == false)
    }

    @Test("a session that is open in the log and known nowhere else is ended at the next start")
    func abandoned() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["1"])])
        _ = try await store.seal(session)
        let copy = try scratch.crashed(as: "copy")
        try FileManager.default.removeItem(atPath: "\(scratch.path)/\(copy)/open")
        let again = try await scratch.open(copy)
        let summary = try await again.session(session)
        #expect(summary.end?.reason == SessionEnd.Reason.interrupted)
        #expect(summary.isComplete)
    }

    @Test("a directory has one node; a second is told so")
    func oneNode() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        await #expect(throws: StoreError.inUse(path: "\(scratch.path)/data")) { _ = try await scratch.open() }
        withExtendedLifetime(store) {}
    }

    @Test("a directory of a newer format is refused")
    func newerFormat() async throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: "\(scratch.path)/data", withIntermediateDirectories: true)
        _ = FileManager.default.createFile(
            atPath: "\(scratch.path)/data/lock", contents: Data("qnode data directory, format 9\n".utf8))
        await #expect(throws: StoreError.newerFormat(path: "\(scratch.path)/data", found: "9")) {
            _ = try await scratch.open()
        }
    }

    @Test("an index that is gone, damaged or ahead of the log is made again", arguments: ["gone", "damaged", "ahead"])
    func indexIsDerived(case name: String) async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["1"])])
        _ = try await store.seal(session)
        try await store.record(.marker(Marker(id: "last")), in: session)
        let facts = try await store.facts(after: 0, limit: 100)
        try await store.close()
        let copy = try scratch.crashed(as: "copy")
        let index = "\(scratch.path)/\(copy)/index.sqlite"
        switch name {
        case "gone": try FileManager.default.removeItem(atPath: index)
        case "damaged":
            for suffix in ["", "-wal"] {
                _ = FileManager.default.createFile(atPath: index + suffix, contents: Data("no index".utf8))
            }
        default:
            // The last line of the log is taken away; the index still covers it.
            let log = "\(scratch.path)/\(copy)/log/000001.jsonl"
            var lines = try #require(FileManager.default.contents(atPath: log)).split(
                separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
            lines.removeLast()
            _ = FileManager.default.createFile(
                atPath: log, contents: Data((lines.joined(separator: [UInt8(ascii: "\n")]) + [UInt8(ascii: "\n")])))
        }
        let again = try await scratch.open(copy)
        let expected = name == "ahead" ? Array(facts.dropLast()) : facts
        #expect(try await again.facts(after: 0, limit: 100) == expected)
        #expect(await again.head() == Int64(expected.count))
        #expect(try await again.rows(session) == ["1"])
    }

    @Test("a torn line at the end of the log is cut and kept aside; the facts before it stay")
    func tornLog() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        try await store.close()
        let copy = try scratch.crashed(as: "copy")
        let log = "\(scratch.path)/\(copy)/log/000001.jsonl"
        let whole = try #require(FileManager.default.contents(atPath: log))
        _ = FileManager.default.createFile(atPath: log, contents: whole + Data("deadbeef {\"author\"".utf8))
        let again = try await scratch.open(copy)
        #expect(try await again.session(session).opening.mission == "Test dive")
        #expect(scratch.bytes("\(copy)/log/000001.jsonl").map { Data($0) } == whole)
        #expect(scratch.names("\(copy)/quarantine").count == 1)
        try await again.record(.marker(Marker(id: "m")), in: session)
        #expect(try await again.facts(after: 0, limit: 10).map(\.kind) == ["session", "marker"])
    }

    @Test(
        "names from outside become one harmless path component",
        arguments: ["../../etc", "a/b", ".", "..", "", "ü", "x\u{0}y", String(repeating: "m", count: 500)])
    func missions(_ mission: String) {
        let component = FolderView.component(mission)
        #expect(!component.contains("/") && component != "." && component != ".." && !component.isEmpty)
        #expect(component.utf8.count <= 120 && component.utf8.allSatisfy { $0 > 31 && $0 < 127 })
    }

    @Test("the recorder's wish survives")
    func wish() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let wish = RecordingWish(mission: "M", explicit: true, recordingID: .random(), metadata: ["a": .integer(1)])
        try await store.setRecordingWish(wish)
        let again = try await scratch.open(try scratch.crashed(as: "copy"))
        #expect(await again.recordingWish() == wish)
        try await again.setRecordingWish(nil)
        #expect(await again.recordingWish() == nil)
        let stopped = try await scratch.open(try scratch.crashed("copy", as: "stopped"))
        #expect(await stopped.recordingWish() == nil)
        #expect(await stopped.recordingStoppedInBoot() == SystemClock.bootID)
    }
}
