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
