import FoundationEssentials
import Glibc
import Model
import Reactor
import Testing

@testable import Storage

/// What a mirror does with live copies, with a note outside of it of all that was acknowledged.
private struct CopyWorkload {
    let path: String

    static let author = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)
    static let session = SessionID("550e8400-e29b-41d4-a716-446655440000")!
    static let header = Array("timestamp,value\n".utf8)
    private static let pair = ClockPair(realtime: 1, boottime: 1)

    static func slot(_ stream: StreamName, _ index: Int64) -> ChunkSlot {
        ChunkSlot(author: author, session: session, stream: stream, index: index)
    }

    /// Rows of one chunk; those of chunk 1 are more than fit into the write-ahead log.
    static func rows(_ index: Int64, _ count: Int) -> [UInt8] {
        (0..<count).flatMap { row in
            Array("\(index)-\(row)".utf8) + [UInt8](repeating: 120, count: index == 1 ? 70_000 : 3) + [10]
        }
    }

    static func chunk(_ stream: StreamName, _ index: Int64, _ rows: Int) -> [UInt8] {
        (stream == .data ? header : []) + self.rows(index, rows)
    }

    static func fact(_ n: Int64, _ body: Fact.Body) -> [UInt8] {
        RecordedFact(
            encoding: Fact(
                name: FactName(author: author, incarnation: Incarnation(word: 7), n: n), session: session,
                at: ClockReading(realtime: 1, boottime: 1, bootID: BootID(high: 1, low: 1)), body: body)
        ).bytes
    }

    static func sealed(_ n: Int64, _ index: Int64, _ bytes: [UInt8], rows: Int64) -> [UInt8] {
        fact(
            n,
            .chunk(
                ChunkFact(
                    stream: .data, index: index, sha256: ChunkDigester.digest(of: bytes), bytes: Int64(bytes.count),
                    rows: rows, firstRow: 0, first: pair, last: pair)))
    }

    private func acknowledge(_ text: String) throws {
        let descriptor = open(path + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        let line = Array((text + "\n").utf8)
        precondition(write(descriptor, line, line.count) == line.count)
        close(descriptor)
    }

    /// Makes a step again while it fails, as a follower does.
    private func attempt<Result>(
        _ times: Int, _ store: Store, _ step: () async throws -> Result
    ) async throws -> Result {
        for _ in 1..<max(1, times) {
            do { return try await step() } catch is StoreError { await store.measureSpace() }
        }
        return try await step()
    }

    var hasBegun: Bool { FileManager.default.fileExists(atPath: path + "/acknowledged") }

    func run(attempts: Int = 1) async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: Scratch.author, incarnation: .random(), lanes: lanes,
            minFree: Limits.minFree.lowerBound, log: .silent)
        _ = try await store.receive([Self.fact(1, .session(opening))])
        try acknowledge("session")
        // This node's own rows go through the same write-ahead log.
        let own = try await store.startSession(opening)
        var lengths: [ChunkSlot: Int] = [:]
        func grow(_ index: Int64, to rows: Int) async throws {
            var pieces: [CopyPiece] = []
            for stream in [StreamName.data, .raw] {
                let (slot, bytes) = (Self.slot(stream, index), Self.chunk(stream, index, rows))
                let length = lengths[slot] ?? 0
                pieces.append(
                    CopyPiece(
                        slot: slot, offset: Int64(length), bytes: Array(bytes[length...]), rows: 1, firstRow: 0,
                        first: Self.pair, last: Self.pair))
                lengths[slot] = bytes.count
            }
            try await attempt(attempts, store) {
                // What was taken is not given again.
                let refused = try await store.appendCopies(pieces)
                pieces.removeAll { refused[$0.slot] == nil }
                if let error = refused.values.first { throw error }
            }
            try acknowledge("copied \(index) \(rows)")
        }
        try await grow(0, to: 1)
        try await grow(0, to: 2)
        _ = try await attempt(attempts, store) { try await store.commit([batch(own, rows: ["own"])]) }
        // One that is whole, one that is short, one that is not the chunk.
        let whole = Self.chunk(.data, 0, 2)
        let fact = Self.sealed(2, 0, whole, rows: 2)
        let outcome = try await attempt(attempts, store) { try await store.sealCopy(Self.slot(.data, 0), fact: fact) }
        // A copy that a disk refuses for a while may be given up: it is kept aside, and the chunk is pulled.
        #expect(outcome == .held || attempts > 1 && outcome == .none)
        if outcome == .held { try acknowledge("sealed \(ChunkDigester.digest(of: whole))") }
        try await grow(1, to: 1)
        try await grow(1, to: 2)
        let longer = Self.sealed(3, 1, Self.chunk(.data, 1, 3), rows: 3)
        _ = try await attempt(attempts, store) { try await store.sealCopy(Self.slot(.data, 1), fact: longer) }
        try await grow(2, to: 2)
        let other = Self.sealed(4, 2, Array(repeating: 65, count: Self.chunk(.data, 2, 2).count), rows: 2)
        _ = try await attempt(attempts, store) { try await store.sealCopy(Self.slot(.data, 2), fact: other) }
        try await grow(3, to: 1)
        try await attempt(attempts, store) { try await store.dropCopy(Self.slot(.data, 3)) }
        try await grow(4, to: 1)
        // The last frame ended within a row.
        let torn = CopyPiece(
            slot: Self.slot(.data, 4), offset: Int64(Self.chunk(.data, 4, 1).count), bytes: Array("torn".utf8), rows: 0,
            firstRow: 0, first: Self.pair, last: Self.pair)
        _ = try await attempt(attempts, store) { try await store.appendCopies([torn]) }
        let closed = try await attempt(attempts, store) { try await store.closeSession(Self.session) }
        for chunk in closed.sealed { try acknowledge("sealed \(chunk.fact.sha256)") }
        try acknowledge("closed")
        try await attempt(attempts, store) { try await store.close(endsRecording: false) }
    }

    private var acknowledged: [String] {
        let text = FileManager.default.contents(atPath: path + "/acknowledged").map {
            String(decoding: $0, as: UTF8.self)
        }
        return (text ?? "").split(separator: "\n").map(String.init)
    }

    /// Every row that was acknowledged is there: in a copy, in a chunk, as the beginning of a pull, or set aside where
    /// that was what was asked for.
    func check(_ what: Comment) async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: Scratch.author, incarnation: .random(), lanes: lanes, log: .silent)
        try await checkBytes(store, what)
        let copies = await store.copies()
        for copy in copies {
            let name = "\(path)/data/open/\(Self.author)/\(Self.session)/\(copy.slot.stream).\(copy.slot.index)"
            let bytes = try #require(FileManager.default.contents(atPath: name).map(Array.init))
            #expect(Int64(bytes.count) == copy.length, what)
            let written = Self.chunk(copy.slot.stream, copy.slot.index, 3)
            #expect(written.starts(with: bytes) || bytes.suffix(4).elementsEqual(Array("torn".utf8)), what)
        }
        let audit = try await StoreAudit(of: path + "/data", node: Scratch.author, on: lanes.scrub).run()
        // A store that failed in this very process may close its index late.
        #expect(audit.findings.allSatisfy { $0.isHarmless || $0.kind == .staleIndex }, "\(what): \(audit.findings)")
        if acknowledged.contains("closed") {
            #expect(copies.isEmpty, what)
            #expect(try await store.session(Self.session).end?.reason == "closed_by_peer", what)
        }
        try await goOn(store, copies, what)
        try await store.close()
    }

    private func checkBytes(_ store: Store, _ what: Comment) async throws {
        let names = try FileManager.default.subpathsOfDirectory(atPath: path + "/data")
        let kept = names.filter { name in
            ["chunks/", "open/\(Self.author)", "incoming/", "quarantine/"].contains { name.hasPrefix($0) }
        }
        let files = kept.compactMap { FileManager.default.contents(atPath: path + "/data/" + $0).map(Array.init) }
        for line in acknowledged where line.hasPrefix("copied ") {
            let words = line.split(separator: " ")
            let (index, rows) = (try #require(Int64(words[1])), try #require(Int(words[2])))
            for stream in [StreamName.data, .raw] {
                let bytes = Self.chunk(stream, index, rows)
                let isThere = files.contains { $0.starts(with: bytes) }
                #expect(isThere, "\(what): \(stream).\(index) with \(rows) rows is gone")
            }
        }
        for line in acknowledged where line.hasPrefix("sealed ") {
            let id = try #require(ChunkID(line.dropFirst(7)))
            #expect(ChunkDigester.digest(of: try await store.contents(id)) == id, what)
        }
        let facts = try await store.facts(after: 0, limit: 1000)
        #expect(try await store.holdings().holdings.count == Int64(facts.count), what)
    }

    /// Copies go on where they stopped, and may be closed.
    private func goOn(_ store: Store, _ copies: [CopyState], _ what: Comment) async throws {
        guard acknowledged.contains("session") else { return }
        for copy in copies {
            let piece = CopyPiece(
                slot: copy.slot, offset: copy.length, bytes: Array("more\n".utf8), rows: 1, firstRow: copy.firstRow,
                first: Self.pair, last: Self.pair)
            #expect(try await store.appendCopies([piece]).isEmpty, what)
        }
        let closed = try await store.closeSession(Self.session)
        #expect(closed.sealed.count == copies.count, what)
        #expect(await store.copies().isEmpty)
        #expect(try await store.session(Self.session).end?.reason == "closed_by_peer")
    }
}

/// Dies once in every system call of the work with live copies; fails each once; and fails for a while and goes on.
@Suite struct CopyCrashSweepTests {
    /// Every so many calls, from a first one drawn at random: all of them take minutes.
    private static let stride = 3
    private static let seed = Int.random(in: 1...stride)

    private static func calls() async throws -> Int {
        let path = NSTemporaryPath.make("qnode-copy-count")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let plan = FaultPlan()
        try await FaultPlan.$current.withValue(plan) { try await CopyWorkload(path: path).run() }
        try await CopyWorkload(path: path).check("nothing failed")
        return plan.callCount
    }

    @Test("whatever call it dies in, what was copied and acknowledged is there, and goes on")
    func dies() async throws {
        for call in Swift.stride(from: Self.seed, through: try await Self.calls(), by: Self.stride) {
            let path = NSTemporaryPath.make("qnode-copy-crash")
            defer { try? FileManager.default.removeItem(atPath: path) }
            await #expect(processExitsWith: .signal(SIGKILL)) { [call = call as Int, path = path as String] in
                try await FaultPlan.$current.withValue(FaultPlan(.kill, at: call)) {
                    try await CopyWorkload(path: path).run()
                }
            }
            try await CopyWorkload(path: path).check("died in call \(call)")
        }
    }

    @Test("one call that fails is an error or is overcome, and what was acknowledged is there")
    func fails() async throws {
        let faults: [FaultPlan.Fault] = [.fail(code: EIO), .fail(code: ENOSPC), .fail(code: EINTR), .short]
        let calls = Swift.stride(from: Self.seed, through: try await Self.calls(), by: Self.stride)
        for (number, call) in calls.enumerated() {
            let fault = faults[number % faults.count]
            let path = NSTemporaryPath.make("qnode-copy-fault")
            defer { try? FileManager.default.removeItem(atPath: path) }
            do {
                try await FaultPlan.$current.withValue(FaultPlan(fault, at: call)) {
                    try await CopyWorkload(path: path).run()
                }
            } catch is StoreError {
                switch fault {
                case .fail(EINTR): Issue.record("an interrupted call is made again")
                case .short: Issue.record("a write that was cut short goes on")
                case .fail, .kill: break
                }
            }
            try await CopyWorkload(path: path).check("call \(call): \(fault)")
        }
    }

    @Test("a disk that fails for a while and then works again costs nothing that was acknowledged")
    func recovers() async throws {
        let calls = Swift.stride(from: Self.seed, through: try await Self.calls(), by: 3 * Self.stride)
        for (number, call) in calls.enumerated() {
            let path = NSTemporaryPath.make("qnode-copy-episode")
            defer { try? FileManager.default.removeItem(atPath: path) }
            let plan = FaultPlan(.fail(code: number % 2 == 0 ? EIO : ENOSPC), at: call, count: 6)
            do {
                try await FaultPlan.$current.withValue(plan) { try await CopyWorkload(path: path).run(attempts: 12) }
            } catch let error as StoreError {
                // Opening, the session's fact and this node's own session are not repeated.
                #expect(!CopyWorkload(path: path).hasCopied, "call \(call): \(error)")
            }
            try await CopyWorkload(path: path).check("six calls failed from \(call) on")
        }
    }
}

extension CopyWorkload {
    fileprivate var hasCopied: Bool { acknowledged.contains { $0.hasPrefix("copied") } }
}
