import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

@Suite struct StoreAuditTests {
    /// A closed store with two chunks, and one to do damage to.
    private func damaged(_ damage: (String, [String]) throws -> Void) async throws -> StoreAudit.Report {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        for n in 0..<2 {
            _ = try await store.commit([batch(session, rows: ["\(n)"])])
            _ = try await store.seal(session)
        }
        _ = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        let ids = try await store.chunks(of: session).map(\.fact.sha256.description)
        try await store.close()
        let copy = try scratch.crashed(as: "copy")
        try damage("\(scratch.path)/\(copy)", ids)
        return try await StoreAudit(of: "\(scratch.path)/\(copy)", on: scratch.lanes.scrub).run()
    }

    private func kinds(_ report: StoreAudit.Report) -> [StoreAudit.Finding.Kind] { report.findings.map(\.kind) }

    @Test("a sound directory has no findings")
    func sound() async throws {
        let report = try await damaged { _, _ in }
        #expect(report.findings.isEmpty && report.isSound)
        #expect(report.chunks == 2 && report.facts == 4 && report.sessions == 1)
    }

    @Test("a flipped byte, a missing chunk, a stranger and a damaged line are found")
    func damage() async throws {
        #expect(
            kinds(
                try await damaged { path, ids in
                    let file = "\(path)/chunks/\(ids[0].prefix(2))/\(ids[0])"
                    var bytes = try #require(FileManager.default.contents(atPath: file))
                    bytes[3] ^= 1
                    try FileManager.default.removeItem(atPath: file)
                    _ = FileManager.default.createFile(atPath: file, contents: bytes)
                }) == [.damagedChunk])
        #expect(
            kinds(
                try await damaged { path, ids in
                    try FileManager.default.removeItem(atPath: "\(path)/chunks/\(ids[1].prefix(2))/\(ids[1])")
                }) == [.missingChunk])
        #expect(
            kinds(
                try await damaged { path, _ in
                    _ = FileManager.default.createFile(atPath: path + "/chunks/note.txt", contents: Data())
                }) == [.strangeFile])
        let line = try await damaged { path, _ in
            var bytes = try #require(FileManager.default.contents(atPath: path + "/log/000001.jsonl"))
            bytes[20] ^= 1
            _ = FileManager.default.createFile(atPath: path + "/log/000001.jsonl", contents: bytes)
        }
        #expect(Set(kinds(line)) == [.damagedLine, .staleIndex] && !line.isSound)
    }

    private func replace(_ path: String, _ bytes: [UInt8]) throws {
        try? FileManager.default.removeItem(atPath: path)
        _ = FileManager.default.createFile(atPath: path, contents: Data(bytes))
    }

    private func session(in path: String) throws -> String {
        let mission = path + "/sessions/Test dive"
        return try mission + "/" + #require(try FileManager.default.contentsOfDirectory(atPath: mission).first)
    }

    @Test("what is derived and says something else than the log is found")
    func derived() async throws {
        #expect(
            kinds(try await damaged { path, _ in try FileManager.default.removeItem(atPath: path + "/index.sqlite") })
                == [.staleIndex])
        let edited = try await damaged { path, _ in
            let index = try SQLite(path: path + "/index.sqlite")
            try index.execute("UPDATE chunks SET rows = rows + 1 WHERE idx = 1")
        }
        #expect(kinds(edited) == [.staleIndex] && edited.findings[0].detail.contains("1 chunks"))
        #expect(
            kinds(try await damaged { path, _ in try replace(try session(in: path) + "/chunk_00001.csv", [1]) })
                == [.misshown])
        #expect(
            kinds(
                try await damaged { path, _ in
                    try FileManager.default.removeItem(atPath: try session(in: path) + "/chunk_00000.csv")
                }) == [.misshown])
        #expect(
            kinds(try await damaged { path, _ in try FileManager.default.removeItem(atPath: path + "/sessions") })
                .isEmpty)
        #expect(
            kinds(try await damaged { path, _ in try replace(try session(in: path) + "/manifest.json", [1]) })
                == [.wrongManifest])
    }

    @Test("a rebuild makes what is derived again, and finds what is gone", arguments: [false, true])
    func rebuild(removesChunk: Bool) async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        for n in 0..<2 {
            _ = try await store.commit([batch(session, rows: ["\(n)"])])
            _ = try await store.seal(session)
        }
        let id = try await store.chunks(of: session)[0].fact.sha256
        try await store.close()
        let copy = "\(scratch.path)/\(try scratch.crashed(as: "copy"))"
        try replace(copy + "/index.sqlite", Array("no index".utf8))
        try FileManager.default.removeItem(atPath: copy + "/sessions")
        if removesChunk {
            try FileManager.default.removeItem(atPath: "\(copy)/chunks/\(id.description.prefix(2))/\(id)")
        }
        let steps = Locked(0)
        let again = try await Store.open(
            copy, node: Scratch.author, incarnation: .random(), lanes: scratch.lanes, log: .silent,
            index: .anew { _, _ in steps.withLock { $0 += 1 } })
        #expect(try await again.chunks(of: session).count == (removesChunk ? 1 : 2))
        try await again.close()
        let report = try await StoreAudit(of: copy, node: Scratch.author, on: scratch.lanes.scrub).run()
        #expect(kinds(report) == (removesChunk ? [.lostChunk] : []))
        let shown = try FileManager.default.contentsOfDirectory(atPath: try self.session(in: copy))
        #expect(shown.count { $0.hasPrefix("chunk_") } == (removesChunk ? 1 : 2))
    }

    @Test("what is no data directory is said to be none")
    func noDirectory() async throws {
        let scratch = try Scratch()
        await #expect(throws: StoreError.self) {
            _ = try await StoreAudit(of: scratch.path + "/none", on: scratch.lanes.scrub).run()
        }
        await #expect(throws: StoreError.self) {
            _ = try await StoreAudit(of: scratch.path, on: scratch.lanes.scrub).run()
        }
    }
}
