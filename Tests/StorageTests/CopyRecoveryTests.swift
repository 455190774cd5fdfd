import FoundationEssentials
import Glibc
import Model
import Reactor
import Testing

@testable import Storage

/// A mirror's directory as a killed process leaves it, with a copy of each stream.
private struct CopyRemains {
    enum Point: String, CaseIterable, Codable, Sendable {
        /// Bytes too many for the log are in the copy's file, and their record is not written.
        case append
        case tornWriteAheadLog
        /// What was not synced is gone: the copies' files have zeros in place of what the log holds.
        case powerCut
        /// The log has begun a new segment, which the copies' files stand for.
        case rolled
        /// A record in the middle was damaged, and the copy's file with it.
        case hole
        /// The seal record is written, the copy renamed, and the fact not in the log.
        case seal
        /// The copy has become the beginning of a pull, and the log does not say so.
        case short
        /// The chunk is held, and the log still names its copy.
        case held
    }

    let point: Point
    let path: String
    let slots: [ChunkSlot: [UInt8]]
    let rows: [String]
    let fact: [UInt8]

    static func make(_ point: Point, in scratch: Scratch) async throws -> CopyRemains {
        let bench = try await CopyBench(scratch)
        let mirror = try await bench.mirror()
        var rows: [String] = []
        var lengths: [StreamName: Int] = [:]
        func grow(_ text: String) async throws {
            try await bench.record([text])
            try await bench.record(["r\(rows.count)"], .raw)
            let pieces = try [StreamName.data, .raw].map { stream in
                let bytes = try bench.written(stream)
                defer { lengths[stream] = bytes.count }
                return CopyBench.piece(bench.slot(stream), bytes, (lengths[stream] ?? 0)..<bytes.count)
            }
            #expect(try await mirror.appendCopies(pieces).isEmpty)
            rows.append(text)
        }
        try await grow("first")
        try await grow("second")
        if point != .powerCut { try await grow("large " + String(repeating: "x", count: Limits.inlineCommitBytes)) }
        if point == .rolled { try await mirror.journal.rollForTest() }
        try await grow("third")
        try await grow("last")
        var slots = [bench.slot(): try bench.written(), bench.slot(.raw): try bench.written(.raw)]
        let name = try scratch.crashed("mirror", as: "remains")
        let path = "\(scratch.path)/\(name)"
        var fact: [UInt8] = []
        switch point {
        case .append, .tornWriteAheadLog, .powerCut, .hole:
            try damage(path, point, bench, &slots)
        case .rolled: break
        case .seal, .held, .short:
            if point == .short { try await bench.record(["more"]) }
            fact = try await bench.seal()
            #expect(try await mirror.sealCopy(bench.slot(), fact: fact) == (point == .short ? .short : .held))
            if point != .short { slots[bench.slot()] = nil }
            try after(path, point, bench, fact)
        }
        return CopyRemains(point: point, path: path, slots: slots, rows: rows, fact: fact)
    }

    private static func folder(_ path: String, _ bench: CopyBench) -> String {
        "\(path)/open/\(bench.source.node)/\(bench.session)"
    }

    private static func damage(
        _ path: String, _ point: Point, _ bench: CopyBench, _ slots: inout [ChunkSlot: [UInt8]]
    ) throws {
        let files = FileManager.default
        let folder = folder(path, bench)
        switch point {
        case .append:
            let bytes = try #require(files.contents(atPath: folder + "/data.0"))
            _ = files.createFile(atPath: folder + "/data.0", contents: bytes + Data("never acknowledged\n".utf8))
        case .tornWriteAheadLog:
            let log = try #require(files.contents(atPath: path + "/wal/000001").map(Array.init))
            _ = files.createFile(atPath: path + "/wal/000001", contents: Data(log + log[8..<8 + 60]))
        case .powerCut:
            for name in ["data.0", "raw.0"] {
                let count = try #require(files.contents(atPath: "\(folder)/\(name)")).count
                _ = files.createFile(atPath: "\(folder)/\(name)", contents: Data(repeating: 0, count: count / 2))
            }
        case .hole:
            for (name, row) in [("data.0", "second\n"), ("raw.0", "r1\n")] {
                for file in [path + "/wal/000001", "\(folder)/\(name)"] {
                    var bytes = try #require(files.contents(atPath: file).map(Array.init))
                    bytes[try #require(bytes.firstRange(of: Array(row.utf8))).lowerBound] ^= 1
                    _ = files.createFile(atPath: file, contents: Data(bytes))
                }
            }
            // What stands before the hole.
            slots[bench.slot()] = Array("timestamp,value\nfirst\n".utf8)
            slots[bench.slot(.raw)] = Array("r0\n".utf8)
        default: return
        }
    }

    /// The seal goes on in the store itself: the copy of its directory gets what comes before the log.
    private static func after(_ path: String, _ point: Point, _ bench: CopyBench, _ fact: [UInt8]) throws {
        let files = FileManager.default
        guard case .chunk(let chunk)? = RecordedFact(parsing: fact)?.fact.body else { return }
        let copy = folder(path, bench) + "/data.0"
        let chunks = "\(path)/chunks/\(chunk.sha256.description.prefix(2))"
        switch point {
        case .seal:
            try files.removeItem(atPath: path + "/wal")
            try files.copyItem(atPath: "\(bench.scratch.path)/mirror/wal", toPath: path + "/wal")
            try makeDirectories(chunks)
            try files.moveItem(atPath: copy, toPath: "\(chunks)/\(chunk.sha256)")
        case .short: try files.copyItem(atPath: copy, toPath: "\(path)/incoming/\(chunk.sha256)")
        default:
            for name in ["chunks", "log"] {
                try files.removeItem(atPath: "\(path)/\(name)")
                try files.copyItem(atPath: "\(bench.scratch.path)/mirror/\(name)", toPath: "\(path)/\(name)")
            }
        }
    }

    func copy() throws -> String {
        let copy = NSTemporaryPath.make("qnode-copy-recovery")
        try FileManager.default.copyItem(atPath: path, toPath: copy + "/data")
        return copy
    }

    static func open(_ path: String) async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: CopyBench.mirror, incarnation: .random(), lanes: lanes, log: .silent)
        // As the end of its process does, and nothing else of an end.
        store.directory.unlock()
    }

    func check(_ path: String, _ what: String) async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: CopyBench.mirror, incarnation: .random(), lanes: lanes, log: .silent)
        let session = try #require(slots.keys.first).session
        let found = await store.copies()
        for copy in found where slots[copy.slot] != nil {
            let name = "\(path)/data/open/\(copy.slot.author)/\(session)/\(copy.slot.stream).\(copy.slot.index)"
            #expect(FileManager.default.contents(atPath: name).map(Array.init) == slots[copy.slot], "\(what)")
            #expect(copy.length == Int64(slots[copy.slot]!.count), "\(what)")
            #expect(copy.rows == Int64(point == .hole ? 1 : rows.count), "\(what)")
        }
        if point == .short {
            // Of what had come of the chunk nothing was confirmed: the copy is still there to begin it.
            let wanted = try await wantedChunk(store)
            let begun = try #require(slots[found.map(\.slot).first { $0.stream == .data } ?? found[0].slot])
            #expect(try await store.beginPull(wanted) == Int64(begun.count), "\(what)")
        }
        #expect(Set(await store.copies().map(\.slot)) == Set(slots.keys), "\(what)")
        if point == .seal || point == .held { #expect(try await store.rows(session) == rows, "\(what)") }
        for name in try FileManager.default.contentsOfDirectory(atPath: path + "/data/quarantine") {
            let isHarmless = name.hasSuffix("torn") || name.hasSuffix(".failed")
            // What a recovery that was broken off had found of a copy whose middle has moved is kept as well.
            let isKept = name.hasSuffix(".damaged") && point == .hole
            #expect(isHarmless || isKept || (point == .hole && name.hasPrefix("wal-")), "\(name)")
        }
        for copy in await store.copies() {
            let more = CopyPiece(
                slot: copy.slot, offset: copy.length, bytes: Array("more\n".utf8), rows: 1, firstRow: 0,
                first: copy.first, last: copy.last)
            #expect(try await store.appendCopies([more]).isEmpty, "\(what)")
        }
        // Its digest was not carried over the start: it is made of the file.
        let closed = try await store.closeSession(session)
        for chunk in closed.sealed {
            #expect(ChunkDigester.digest(of: try await store.contents(chunk.fact.sha256)) == chunk.fact.sha256)
        }
        #expect(closed.sealed.count == slots.count, "\(what)")
        try await store.close()
    }

    private func wantedChunk(_ store: Store) async throws -> WantedChunk {
        _ = try await store.receive([fact])
        return try #require(try await store.wanted(mission: nil, limit: 1, excluding: []).first)
    }
}

/// Recovery of a directory with copies dies in each of its system calls, and each of them fails once.
@Suite struct CopyRecoveryTests {
    /// Every so many calls of each sweep, from a first one drawn at random: all of them take minutes.
    private static let stride = 9
    private static let seed = Int.random(in: 1...stride)

    private func remains(_ point: CopyRemains.Point, _ scratch: Scratch) async throws -> (CopyRemains, calls: Int) {
        let remains = try await CopyRemains.make(point, in: scratch)
        let path = try remains.copy()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let plan = FaultPlan()
        try await FaultPlan.$current.withValue(plan) { try await CopyRemains.open(path) }
        #expect(plan.callCount > 50)
        try await remains.check(path, "\(point), opened twice")
        return (remains, plan.callCount)
    }

    @Test(
        "copies are found as they were committed, whatever call recovery dies in",
        arguments: CopyRemains.Point.allCases)
    fileprivate func dies(_ point: CopyRemains.Point) async throws {
        let scratch = try Scratch()
        let (remains, calls) = try await remains(point, scratch)
        for call in Swift.stride(from: Self.seed, through: calls, by: Self.stride) {
            let path = try remains.copy()
            defer { try? FileManager.default.removeItem(atPath: path) }
            await #expect(processExitsWith: .signal(SIGKILL)) { [call = call as Int, path = path as String] in
                try await FaultPlan.$current.withValue(FaultPlan(.kill, at: call)) { try await CopyRemains.open(path) }
            }
            try await remains.check(path, "\(point), died in call \(call)")
        }
    }

    @Test("a call of recovery that fails once is an error or is overcome", arguments: CopyRemains.Point.allCases)
    fileprivate func fails(_ point: CopyRemains.Point) async throws {
        let scratch = try Scratch()
        let (remains, calls) = try await remains(point, scratch)
        for (number, call) in Swift.stride(from: Self.seed, through: calls, by: 3).enumerated() {
            let code = [EIO, ENOSPC, EINTR][number % 3]
            let path = try remains.copy()
            defer { try? FileManager.default.removeItem(atPath: path) }
            do {
                try await FaultPlan.$current.withValue(FaultPlan(.fail(code: code), at: call)) {
                    try await CopyRemains.open(path)
                }
            } catch let error as StoreError {
                #expect(code != EINTR, "an interrupted call is made again")
                #expect(!"\(error)".isEmpty)
            }
            try await remains.check(path, "\(point), call \(call) failed with \(code)")
        }
    }

    @Test("a copy that is short of what the next one begins behind is whole for what it is")
    func shortOfNext() async throws {
        let scratch = try Scratch()
        let bench = try await CopyBench(scratch)
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        let first = try bench.piece()
        try await bench.record(["2", "3"])
        _ = try await bench.source.seal(bench.session)
        try await bench.record(["4"])
        let bytes = try bench.written(.data, 1)
        let next = CopyPiece(
            slot: bench.slot(.data, 1), offset: 0, bytes: bytes, rows: 1, firstRow: 3, first: first.first,
            last: first.last)
        _ = try await mirror.appendCopies([first, next])
        let again = try await scratch.open(try scratch.crashed("mirror", as: "later"), node: mirror.node)
        #expect(await again.copies().map(\.length) == [Int64(first.bytes.count), Int64(bytes.count)])
        #expect(await again.copies().map(\.firstRow) == [0, 3])
        #expect(scratch.names("later/quarantine").isEmpty)
    }

    @Test("verify checks copies by their records, and what they had is found to be damaged")
    func audit() async throws {
        let scratch = try Scratch()
        let bench = try await CopyBench(scratch)
        let mirror = try await bench.mirror()
        try await bench.record([String(repeating: "x", count: Limits.inlineCommitBytes)])
        _ = try await mirror.appendCopies([bench.piece()])
        func findings(_ folder: String) async throws -> [StoreAudit.Finding.Kind] {
            try await StoreAudit(of: "\(scratch.path)/\(folder)", node: mirror.node, on: scratch.lanes.scrub).run()
                .findings.map(\.kind)
        }
        #expect(try await findings("mirror").isEmpty)
        let damaged = try scratch.crashed("mirror", as: "damaged")
        let file = "\(scratch.path)/\(damaged)/open/\(bench.source.node)/\(bench.session)/data.0"
        var bytes = try #require(FileManager.default.contents(atPath: file))
        bytes[bytes.count / 2] ^= 1
        _ = FileManager.default.createFile(atPath: file, contents: bytes)
        #expect(try await findings(damaged) == [.damagedOpenChunk])
        try FileManager.default.removeItem(atPath: file)
        #expect(try await findings(damaged) == [.damagedOpenChunk])
    }
}
