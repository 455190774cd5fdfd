import FoundationEssentials
import Glibc
import Model
import Reactor
import Testing

@testable import Storage

/// A directory as a killed process leaves it, and what had been acknowledged.
private struct Remains {
    enum Point: String, CaseIterable, Codable, Sendable {
        /// Bytes too many for the log are in the chunk's file, and their record is not written.
        case commit
        /// Renamed to its digest, and not in the log.
        case seal
        case tornWriteAheadLog
        case pull
        case tornLog
        case noIndex
        /// A record in the middle was damaged, and the chunk's file with it.
        case hole
    }

    static let session = SessionID("550e8400-e29b-41d4-a716-446655440000")!
    private static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)

    let point: Point
    let path: String
    let rows: [String]
    let raw: [String]
    let chunks: [ChunkID]
    let gaps: Int
    let pulled: [UInt8]

    /// Two streams; one chunk of each sealed, one of each open.
    static func make(_ point: Point, in scratch: Scratch) async throws -> Remains {
        let store = try await scratch.open()
        let session = try await store.startSession(opening, id: Self.session)
        var rows: [String] = []
        func commit(_ text: String) async throws {
            _ = try await store.commit([
                batch(session, rows: [text]), batch(session, .raw, rows: ["r\(rows.count)"]),
            ])
            rows.append(text)
        }
        try await commit("first")
        let sealed = try await store.seal(session)
        for number in 0..<4 { try await commit("open \(number)") }
        try await commit("large " + String(repeating: "x", count: Limits.inlineCommitBytes))
        try await commit("last")
        let source = try await scratch.open("source", node: Self.other)
        let foreign = try await source.startSession(opening)
        _ = try await source.commit([batch(foreign, rows: ["from a peer"])])
        let foreignChunk = try await source.seal(foreign)[0]
        let pulled = try await source.contents(foreignChunk.fact.sha256)
        if point == .pull {
            _ = try await store.receive(try await source.facts(after: 0, limit: 10).map(\.bytes))
            let wanted = try #require(try await store.wanted(mission: nil, limit: 1, excluding: []).first)
            _ = try await store.beginPull(wanted)
            try await store.appendPull(wanted, Array(pulled[..<10]), at: 0)
        }
        let path = "\(scratch.path)/\(try scratch.crashed(as: "remains"))"
        var chunks = sealed.map(\.fact.sha256)
        var raw = rows.indices.map { "r\($0)" }
        if point == .seal { chunks += try await sealHalf(store, session, path) }
        try damage(path, point, session)
        if point == .hole {
            rows.remove(at: 2)
            raw.remove(at: 2)
        }
        return Remains(
            point: point, path: path, rows: rows, raw: raw, chunks: chunks, gaps: point == .hole ? 2 : 0,
            pulled: pulled)
    }

    /// The seal goes on in the store itself: of it, the copy gets what comes before the log.
    private static func sealHalf(_ store: Store, _ session: SessionID, _ path: String) async throws -> [ChunkID] {
        let files = FileManager.default
        let sealed = try await store.seal(session).map(\.fact)
        try files.removeItem(atPath: path + "/wal")
        try files.copyItem(atPath: store.path + "/wal", toPath: path + "/wal")
        // The first of the two is renamed, the second not yet.
        let chunk = sealed[0]
        let folder = "\(path)/chunks/\(chunk.sha256.description.prefix(2))"
        try makeDirectories(folder)
        try files.moveItem(
            atPath: "\(path)/open/\(Scratch.author)/\(session)/\(chunk.stream).\(chunk.index)",
            toPath: "\(folder)/\(chunk.sha256)")
        return sealed.map(\.sha256)
    }

    private static func damage(_ path: String, _ point: Point, _ session: SessionID) throws {
        let files = FileManager.default
        let folder = "\(path)/open/\(Scratch.author)/\(session)"
        func append(_ text: String, to name: String) throws {
            let bytes = try #require(files.contents(atPath: name))
            _ = files.createFile(atPath: name, contents: bytes + Data(text.utf8))
        }
        switch point {
        case .commit: try append("never acknowledged\n", to: folder + "/data.1")
        case .seal, .pull: return
        case .tornWriteAheadLog:
            let log = try #require(files.contents(atPath: path + "/wal/000001").map(Array.init))
            _ = files.createFile(
                atPath: path + "/wal/000001", contents: Data(log + log[8..<8 + 60]))
        case .tornLog: try append("deadbeef {\"author\"", to: path + "/log/000001.jsonl")
        case .noIndex:
            for suffix in ["", "-wal", "-shm"] where files.fileExists(atPath: path + "/index.sqlite" + suffix) {
                try files.removeItem(atPath: path + "/index.sqlite" + suffix)
            }
        case .hole:
            func flip(_ text: String, in name: String) throws {
                var bytes = try #require(files.contents(atPath: name).map(Array.init))
                bytes[try #require(bytes.firstRange(of: Array(text.utf8))).lowerBound] ^= 1
                _ = files.createFile(atPath: name, contents: Data(bytes))
            }
            for (name, row) in [("data.1", "open 1\n"), ("raw.1", "r2\n")] {
                try flip(row, in: path + "/wal/000001")
                try flip(row, in: "\(folder)/\(name)")
            }
        }
    }

    func copy() throws -> String {
        let copy = NSTemporaryPath.make("qnode-recovery")
        try FileManager.default.copyItem(atPath: path, toPath: copy + "/data")
        return copy
    }

    static func open(_ path: String) async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: Scratch.author, incarnation: .random(), lanes: lanes, log: .silent)
        // As the end of its process does, and nothing else of an end.
        store.directory.unlock()
    }

    /// What was acknowledged is there, once; what is in quarantine was not, or is what damage left.
    func check(_ path: String, _ what: String) async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: Scratch.author, incarnation: .random(), lanes: lanes, log: .silent)
        let session = Self.session
        #expect(try await store.rows(session) == rows, "\(what)")
        #expect(try await store.rows(session, .raw) == raw, "\(what)")
        let held = try await store.chunks(of: session)
        #expect(Set(held.map { "\($0.fact.stream) \($0.fact.index)" }).count == held.count, "\(what): a slot twice")
        #expect(Set(chunks).isSubset(of: held.map(\.fact.sha256)), "\(what)")
        for chunk in held {
            #expect(ChunkDigester.digest(of: try await store.contents(chunk.fact.sha256)) == chunk.fact.sha256)
        }
        let facts = try await store.facts(after: 0, limit: 1000)
        #expect(facts.count { $0.kind == "gap" } == gaps, "\(what): gaps")
        #expect(try await store.holdings().holdings.count == Int64(facts.count), "\(what)")
        for name in try FileManager.default.contentsOfDirectory(atPath: path + "/data/quarantine") {
            // A file whose sync failed was written anew, and the old one set aside.
            let isHarmless = name.hasSuffix("torn") || name.hasSuffix(".failed")
            #expect(isHarmless || (point == .hole && (name.hasPrefix("wal-") || name.hasSuffix(".damaged"))), "\(name)")
        }
        if point == .pull, let wanted = try await store.wanted(mission: nil, limit: 1, excluding: []).first {
            let offset = try await store.beginPull(wanted)
            try await store.appendPull(wanted, Array(pulled[Int(offset)...]), at: offset)
            try await store.finishPull(wanted)
        }
        _ = try await store.commit([batch(session, rows: ["more"])])
        let end = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        #expect(end.streams["data"]?.rows == Int64(rows.count + 1), "\(what)")
        #expect(try await store.session(session).isComplete, "\(what)")
        try await store.close()
    }
}

/// Recovery itself dies in each of its system calls, and each of them fails once.
@Suite struct RecoverySweepTests {
    /// Every so many calls of each sweep, from a first one drawn at random: all of them take minutes.
    private static let stride = 7
    private static let seed = Int.random(in: 1...stride)

    private func remains(_ point: Remains.Point, _ scratch: Scratch) async throws -> (Remains, calls: Int) {
        let remains = try await Remains.make(point, in: scratch)
        let path = try remains.copy()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let plan = FaultPlan()
        try await FaultPlan.$current.withValue(plan) { try await Remains.open(path) }
        #expect(plan.callCount > 50)
        try await remains.check(path, "\(point), opened twice")
        return (remains, plan.callCount)
    }

    @Test(
        "whatever call recovery dies in, the next start finds all that was acknowledged",
        arguments: Remains.Point.allCases)
    fileprivate func dies(_ point: Remains.Point) async throws {
        let scratch = try Scratch()
        let (remains, calls) = try await remains(point, scratch)
        for call in Swift.stride(from: Self.seed, through: calls, by: Self.stride) {
            let path = try remains.copy()
            defer { try? FileManager.default.removeItem(atPath: path) }
            await #expect(processExitsWith: .signal(SIGKILL)) { [call = call as Int, path = path as String] in
                try await FaultPlan.$current.withValue(FaultPlan(.kill, at: call)) { try await Remains.open(path) }
            }
            try await remains.check(path, "\(point), died in call \(call)")
        }
    }

    @Test("a call of recovery that fails once is an error or is overcome", arguments: Remains.Point.allCases)
    fileprivate func fails(_ point: Remains.Point) async throws {
        let scratch = try Scratch()
        let (remains, calls) = try await remains(point, scratch)
        for (number, call) in Swift.stride(from: Self.seed, through: calls, by: 3).enumerated() {
            let code = [EIO, ENOSPC, EINTR][number % 3]
            let path = try remains.copy()
            defer { try? FileManager.default.removeItem(atPath: path) }
            do {
                try await FaultPlan.$current.withValue(FaultPlan(.fail(code: code), at: call)) {
                    try await Remains.open(path)
                }
            } catch let error as StoreError {
                #expect(code != EINTR, "an interrupted call is made again")
                #expect(!"\(error)".isEmpty)
            }
            try await remains.check(path, "\(point), call \(call) failed with \(code)")
        }
    }
}
