import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

/// A chunk on its way, broken off at any point and gone on with.
@Suite struct ArrivalTests {
    private static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)
    private static let piece = PieceLedger.pieceBytes

    /// A mirror that has heard of one chunk of random bytes, which nobody recorded.
    private struct Case {
        let scratch: Scratch
        let store: Store
        let chunk: WantedChunk
        let bytes: [UInt8]

        init(_ length: Int) async throws {
            scratch = try Scratch()
            store = try await scratch.open("mirror", node: ArrivalTests.other)
            var random = SystemRandomNumberGenerator()
            bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            let pair = ClockPair(realtime: 1, boottime: 1)
            let at = ClockReading(realtime: 1, boottime: 1, bootID: BootID(high: 1, low: 1))
            let fact = ChunkFact(
                stream: .data, index: 0, sha256: ChunkDigester.digest(of: bytes), bytes: Int64(length), rows: 1,
                firstRow: 0, first: pair, last: pair)
            let bodies: [Fact.Body] = [.session(opening), .chunk(fact)]
            _ = try await store.receive(
                bodies.enumerated().map { n, body in
                    let name = FactName(author: Scratch.author, incarnation: Incarnation(word: 7), n: Int64(n + 1))
                    return RecordedFact(
                        encoding: Fact(name: name, session: SessionID(high: 1, low: 1), at: at, body: body)
                    ).bytes
                })
            chunk = try #require(try await store.wanted(mission: nil, limit: 1, excluding: []).first)
        }

        /// Appends up to `end` in steps of a size that divides nothing.
        func append(to end: Int, step: Int = 50_021) async throws {
            var done = Int(try await store.beginPull(chunk))
            while done < end {
                let next = min(end, done + step)
                try await store.appendPull(chunk, Array(bytes[done..<next]), at: Int64(done))
                done = next
            }
        }

        /// What a later process finds of what this one left, after `change` was done to its files.
        func resumed(_ name: String, _ change: (_ incoming: String) throws -> Void = { _ in }) async throws -> Int64 {
            _ = try scratch.crashed("mirror", as: name)
            try change("\(scratch.path)/\(name)/incoming")
            let again = try await scratch.open(name, node: ArrivalTests.other)
            let start = try await again.beginPull(chunk)
            #expect(scratch.bytes("\(name)/incoming/\(chunk.fact.sha256)") == Array(bytes.prefix(Int(start))))
            try await again.appendPull(chunk, Array(bytes.dropFirst(Int(start))), at: start)
            try await again.finishPull(chunk)
            #expect(try await again.contents(chunk.fact.sha256) == bytes)
            return start
        }
    }

    private static func edit(_ path: String, _ change: (inout [UInt8]) -> Void) throws {
        var bytes = Array(try #require(FileManager.default.contents(atPath: path)))
        change(&bytes)
        try Data(bytes).write(to: URL(filePath: path))
    }

    @Test("a process that dies costs less of a chunk than 64 KiB, wherever it was", arguments: [1, 3, 9_000, 50_021])
    func killed(step: Int) async throws {
        let bench = try await Case(300_000)
        for end in stride(from: step < 100 ? 130_000 : 10_000, to: step < 100 ? 131_400 : 300_000, by: 37_123) {
            try await bench.append(to: end, step: step)
            let start = try await bench.resumed("killed-\(end)")
            #expect((end - Limits.notedPieceBytes...end).contains(Int(start)), "\(start) of \(end)")
        }
    }

    @Test("what a power cut did not keep is noticed piece by piece, cut off, and comes again")
    func powerCut() async throws {
        let bench = try await Case(5 * Self.piece + 1_000)
        try await bench.append(to: 4 * Self.piece + 30_000)
        let name = bench.chunk.fact.sha256.description
        for length in [0, 1, Self.piece - 1, Self.piece, 3 * Self.piece + 5, 4 * Self.piece + 29_000] {
            let start = try await bench.resumed("cut-\(length)") { incoming in
                try Self.edit("\(incoming)/\(name)") { $0 = Array($0.prefix(length)) }
            }
            #expect((length - Self.piece...length).contains(Int(start)), "\(start) of \(length)")
        }
        for offset in [0, Self.piece - 1, Self.piece, 2 * Self.piece + 77, 4 * Self.piece + 9] {
            let start = try await bench.resumed("zeros-\(offset)") { incoming in
                try Self.edit("\(incoming)/\(name)") { bytes in
                    for position in offset..<min(bytes.count, offset + 4096) { bytes[position] = ~bytes[position] }
                }
            }
            #expect((offset / Self.piece * Self.piece...offset).contains(Int(start)))
        }
    }

    @Test("a ledger that is torn, damaged or gone costs bytes, never their soundness")
    func damagedLedger() async throws {
        let bench = try await Case(4 * Self.piece)
        try await bench.append(to: 3 * Self.piece + 100)
        let ledger = PieceLedger.fileName
        #expect(try await bench.resumed("gone") { try FileManager.default.removeItem(atPath: "\($0)/\(ledger)") } == 0)
        let whole = try #require(bench.scratch.bytes("mirror/incoming/\(ledger)")).count
        for offset in stride(from: 0, to: whole, by: 41) {
            let start = try await bench.resumed("flipped-\(offset)") { incoming in
                try Self.edit("\(incoming)/\(ledger)") { $0[offset] ^= 0x10 }
            }
            #expect(start <= 3 * Self.piece + 100)
        }
        for length in stride(from: 0, to: whole, by: 61) {
            _ = try await bench.resumed("torn-\(length)") { incoming in
                try Self.edit("\(incoming)/\(ledger)") { $0 = Array($0.prefix(length)) }
            }
        }
    }

    @Test("what has come is synced with its ledger, and after a sync that failed the chunk is written anew and sealed")
    func synced() async throws {
        let bench = try await Case(3 * Self.piece)
        try await bench.append(to: 2 * Self.piece)
        let counter = FaultPlan(names: ["fdatasync"])
        try await FaultPlan.$current.withValue(counter) {
            try await bench.store.synchronizePulls()
            try await bench.store.synchronizePulls()
        }
        #expect(counter.callCount == 2, "the chunk and the ledger, and nothing where nothing came")
        try await bench.append(to: 3 * Self.piece)
        let failing = FaultPlan(.fail(code: 5), at: 1, names: ["fdatasync"])
        await FaultPlan.$current.withValue(failing) {
            await #expect(throws: StoreError.self) { try await bench.store.synchronizePulls() }
        }
        try await bench.store.finishPull(bench.chunk)
        #expect(try await bench.store.contents(bench.chunk.fact.sha256) == bench.bytes)
        #expect(bench.store.incidents.health.counts[.chunkWrittenAnew] == 1)
    }

    @Test("the ledger forgets what is whole, and does not grow with what went through it")
    func bounded() async throws {
        let bench = try await Case(3 * Self.piece)
        try await bench.append(to: 3 * Self.piece, step: Self.piece)
        try await bench.store.finishPull(bench.chunk)
        let again = try await bench.scratch.open(
            try bench.scratch.crashed("mirror", as: "later"), node: Self.other)
        let waiting = WantedChunk(
            name: bench.chunk.name, session: bench.chunk.session, mission: bench.chunk.mission,
            fact: ChunkFact(
                stream: .data, index: 1, sha256: ChunkID(digest: Self.other.digest), bytes: 10, rows: 1, firstRow: 0,
                first: bench.chunk.fact.first, last: bench.chunk.fact.last))
        #expect(try await again.beginPull(waiting) == 0)
        #expect(bench.scratch.bytes("later/incoming/\(PieceLedger.fileName)")?.isEmpty == true)
    }

    @Test("the beginning of a chunk that another file has is gone on from, and never replaces more")
    func beginning() async throws {
        let bench = try await Case(3 * Self.piece)
        let path = "\(bench.scratch.path)/copy"
        try Data(bench.bytes.prefix(100_000)).write(to: URL(filePath: path))
        let folder = try Directory.open(bench.scratch.path)
        let file = SharedFile(try folder.openFile("copy", .read))
        #expect(try await bench.store.incoming.takeBeginning(of: bench.chunk, from: file, length: 100_000) == 100_000)
        #expect(try await bench.resumed("later") == 100_000)
        try await bench.append(to: 150_000)
        #expect(
            try await bench.store.incoming.takeBeginning(of: bench.chunk, from: file, length: 180_000) == 150_000,
            "it is being pulled")
        try await bench.store.suspendPull(bench.chunk)
        #expect(try await bench.store.incoming.takeBeginning(of: bench.chunk, from: file, length: 100_000) == 150_000)
    }

    /// A source with 40 chunks, a copier that knows of them, and all their bytes on the way.
    private func groupOnItsWay(_ scratch: Scratch) async throws -> Group {
        let source = try await scratch.open("source")
        let copy = try await scratch.open("mirror", node: Self.other)
        let session = try await source.startSession(opening)
        for n in 0..<40 {
            _ = try await source.commit([batch(session, rows: ["\(n)"], at: Int64(n + 1))])
            _ = try await source.seal(session)
        }
        _ = try await copy.receive(try await source.facts(after: 0, limit: 100).map(\.bytes))
        var arrivals: [ChunkArrival] = []
        for (n, chunk) in try await copy.wanted(mission: nil, limit: 100, excluding: []).enumerated() {
            let bytes = try await source.contents(chunk.fact.sha256)
            let isInPieces = n.isMultiple(of: 3)
            if isInPieces {
                _ = try await copy.beginPull(chunk)
                try await copy.appendPull(chunk, bytes, at: 0)
            }
            arrivals.append(ChunkArrival(chunk: chunk, bytes: isInPieces ? nil : bytes))
        }
        return Group(source: source, copy: copy, session: session, arrivals: arrivals)
    }

    private struct Group {
        let source: Store
        let copy: Store
        let session: SessionID
        let arrivals: [ChunkArrival]
    }

    @Test(
        "a group is sealed with one sync of the file system, and without it where that fails", arguments: [false, true])
    func group(fails: Bool) async throws {
        let scratch = try Scratch()
        let group = try await groupOnItsWay(scratch)
        let counter = FaultPlan(.fail(code: 5), at: fails ? 1 : nil, count: 2, names: ["syncfs"])
        let results = await FaultPlan.$current.withValue(counter) { await group.copy.admit(group.arrivals) }
        for result in results { _ = try result.get() }
        #expect(counter.callCount == (group.copy.directory.hasWholeSync ? 2 : 0))
        #expect(try await group.copy.holdings().holdings == group.source.holdings().holdings)
        #expect(scratch.names("mirror/incoming") == [PieceLedger.fileName])
        #expect(try await group.copy.rows(group.session) == (0..<40).map(String.init))
    }

    @Test("a file that a sync of the file system missed, its error told to an earlier one, is written anew")
    func missedFile() async throws {
        let scratch = try Scratch()
        let group = try await groupOnItsWay(scratch)
        guard group.copy.directory.hasWholeSync else { return }
        let plan = FaultPlan(.fail(code: 5), at: 3, names: ["sync_file_range"])
        let results = await FaultPlan.$current.withValue(plan) { await group.copy.admit(group.arrivals) }
        for result in results { _ = try result.get() }
        // Each file once, and folders.
        #expect(plan.callCount > 40)
        #expect(group.copy.incidents.health.counts[.chunkWrittenAnew] == 1)
        #expect(scratch.names("mirror/quarantine").filter { $0.hasSuffix(".failed") }.count == 1)
        #expect(try await group.copy.rows(group.session) == (0..<40).map(String.init))
    }

    @Test("a folder that it missed fails its chunks, which may be admitted again")
    func missedFolder() async throws {
        let scratch = try Scratch()
        let group = try await groupOnItsWay(scratch)
        guard group.copy.directory.hasWholeSync else { return }
        let plan = FaultPlan(.fail(code: 5), at: 41, names: ["sync_file_range"])
        let results = await FaultPlan.$current.withValue(plan) { await group.copy.admit(group.arrivals) }
        let failed = results.filter { if case .failure = $0 { true } else { false } }.count
        #expect(failed > 0 && failed < 40)
        #expect(try await group.copy.rows(group.session).count < 40)
    }
}
