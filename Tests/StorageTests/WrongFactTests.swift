import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

/// Facts of one digest that cannot all be true, and what comes by them.
@Suite struct WrongFactTests {
    private static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)
    private static let session = SessionID(high: 1, low: 1)

    private static func fact(_ n: Int64, _ body: Fact.Body) -> RecordedFact {
        let at = ClockReading(realtime: 1, boottime: 1, bootID: BootID(high: 1, low: 1))
        let name = FactName(author: Scratch.author, incarnation: Incarnation(word: 7), n: n)
        return RecordedFact(encoding: Fact(name: name, session: session, at: at, body: body))
    }

    private static func chunk(_ n: Int64, _ id: ChunkID, _ bytes: Int64) -> RecordedFact {
        let pair = ClockPair(realtime: n, boottime: n)
        return fact(
            n,
            .chunk(
                ChunkFact(
                    stream: .data, index: 0, sha256: id, bytes: bytes, rows: 1, firstRow: 0, first: pair, last: pair)))
    }

    /// A mirror that has heard of one chunk, and by later facts of the same digest with other lengths.
    private struct Case {
        let scratch: Scratch
        let store: Store
        let bytes: [UInt8]
        let id: ChunkID
        let claims: [Int64: WantedChunk]

        var right: WantedChunk { claims[Int64(bytes.count)]! }
        var path: String { "mirror/incoming/\(id)" }

        init(_ length: Int, wrong: [Int64] = []) async throws {
            scratch = try Scratch()
            store = try await scratch.open("mirror", node: other)
            var random = SystemRandomNumberGenerator()
            bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            let id = ChunkDigester.digest(of: bytes)
            self.id = id
            let lengths = [Int64(length)] + wrong
            let facts = lengths.enumerated().map { chunk(Int64($0.offset + 2), id, $0.element) }
            _ = try await store.receive(([fact(1, .session(opening))] + facts).map(\.bytes))
            let wanted = try await store.wanted(mission: nil, limit: 10, excluding: [])
            claims = Dictionary(wanted.map { ($0.fact.bytes, $0) }, uniquingKeysWith: { first, _ in first })
            try #require(claims.count == lengths.count)
        }

        func pull(_ chunk: WantedChunk, _ bytes: ArraySlice<UInt8>, from start: Int64) async throws {
            #expect(try await store.beginPull(chunk) == start)
            try await store.appendPull(chunk, Array(bytes), at: start)
            try await store.suspendPull(chunk)
        }
    }

    @Test("a wrong length hides no right one, destroys no beginning, and is nobody's once the chunk is held")
    func lengths() async throws {
        let bench = try await Case(200_000, wrong: [200_007, 10])
        try await bench.pull(bench.right, bench.bytes[..<100_000], from: 0)
        let short = try #require(bench.claims[10])
        try await bench.pull(short, [UInt8](repeating: 0, count: 10)[...], from: 0)
        await #expect(throws: StoreError.self) { try await bench.store.finishPull(short) }
        #expect(bench.scratch.names("mirror/quarantine") == ["\(bench.id).corrupt"])
        try await bench.pull(bench.right, bench.bytes[100_000..<150_000], from: 100_000)
        // More of it than there is: the right one begins anew, and is not kept from it.
        let long = try #require(bench.claims[200_007])
        try await bench.pull(long, [UInt8](repeating: 0, count: 50_003)[...], from: 150_000)
        try await bench.pull(bench.right, bench.bytes[...], from: 0)
        try await bench.store.finishPull(bench.right)
        #expect(try await bench.store.contents(bench.id) == bench.bytes)
        #expect(try await bench.store.wanted(mission: nil, limit: 10, excluding: []).isEmpty)
        #expect(bench.scratch.names("mirror/incoming") == [PieceLedger.fileName])
    }

    @Test("a piece that does not join what is here is refused")
    func offsets() async throws {
        let bench = try await Case(100_000)
        #expect(try await bench.store.beginPull(bench.right) == 0)
        for offset in [-1, 1, 5] as [Int64] {
            await #expect(throws: StoreError.pullMoved(bench.id, length: 0)) {
                try await bench.store.appendPull(bench.right, [0], at: offset)
            }
        }
        try await bench.store.appendPull(bench.right, bench.bytes, at: 0)
        try await bench.store.finishPull(bench.right)
    }

    @Test("wrong bytes in memory do not take the place of a sound beginning")
    func wrongBytes() async throws {
        let bench = try await Case(60_000)
        try await bench.pull(bench.right, bench.bytes[..<40_000], from: 0)
        let wrong = [UInt8](repeating: 0, count: 60_000)
        await #expect(throws: StoreError.self) {
            _ = try await bench.store.admit([(chunk: bench.right, bytes: wrong)])[0].get()
        }
        #expect(bench.scratch.bytes("mirror/quarantine/\(bench.id).corrupt") == wrong)
        try await bench.pull(bench.right, bench.bytes[40_000...], from: 40_000)
        try await bench.store.finishPull(bench.right)
        #expect(try await bench.store.contents(bench.id) == bench.bytes)
    }

    @Test("bytes that come when their chunk is held are no failure, and their file does not stay")
    func heldMeanwhile() async throws {
        let bench = try await Case(60_000)
        try await bench.pull(bench.right, bench.bytes[...], from: 0)
        let late = await bench.store.incoming.take([ChunkArrival(chunk: bench.right, bytes: nil)])
        // While one is on its way in, another is refused: here the first comes late.
        let second = await bench.store.admit([(chunk: bench.right, bytes: bench.bytes)])
        #expect(throws: StoreError.pullMoved(bench.id, length: 60_000)) { try second[0].get() }
        await bench.store.incoming.left(late)
        _ = try await bench.store.admit([(chunk: bench.right, bytes: bench.bytes)])[0].get()
        let file = "\(bench.scratch.path)/\(bench.path)"
        try Data(bench.bytes).write(to: URL(filePath: file))
        #expect(try await bench.store.catalogue.admit(late)[0].get().fact.sha256 == bench.id)
        #expect(bench.scratch.bytes(bench.path) == nil)
        // The same, where the process died between the two.
        try Data(bench.bytes).write(to: URL(filePath: file))
        try Data(bench.bytes).write(to: URL(filePath: file + ".longer"))
        let again = try await bench.scratch.open(
            try bench.scratch.crashed("mirror", as: "later"), node: Self.other)
        #expect(bench.scratch.names("later/incoming") == [PieceLedger.fileName])
        #expect(try await again.contents(bench.id) == bench.bytes)
    }

    @Test("a ledger whose sync failed is written anew before anything is added to it")
    func failedLedger() async throws {
        let bench = try await Case(100_000)
        try await bench.pull(bench.right, bench.bytes[..<70_000], from: 0)
        let failing = FaultPlan(.fail(code: 5), at: 2, names: ["fdatasync"])
        await FaultPlan.$current.withValue(failing) {
            await #expect(throws: StoreError.self) { try await bench.store.synchronizePulls() }
        }
        let counter = FaultPlan(names: ["fdatasync"])
        try await FaultPlan.$current.withValue(counter) {
            try await bench.pull(bench.right, bench.bytes[70_000..<80_000], from: 70_000)
            #expect(counter.callCount == 1, "the new ledger")
            try await bench.store.synchronizePulls()
            #expect(counter.callCount == 3, "the chunk and the new ledger")
        }
    }

    @Test("a ledger of which all is needed is not written anew with every record, and is read whole")
    func largeLedger() throws {
        let scratch = try Scratch()
        let directory = try DataDirectory("\(scratch.path)/data")
        let ids = (0..<12).map { n in ChunkDigester.digest(of: [UInt8(n)]) }
        for id in ids { try Data().write(to: URL(filePath: "\(directory.path)/incoming/\(id)")) }
        let ledger = try PieceLedger(directory)
        let counter = FaultPlan(names: ["fdatasync"])
        try FaultPlan.$current.withValue(counter) {
            for id in ids {
                for start in stride(from: UInt32(0), to: 16_384, by: 1_024) {
                    let pieces = (start..<start + 1_024).map {
                        PieceLedger.Piece(number: $0, length: 65_536, checksum: $0)
                    }
                    try ledger.add(pieces, to: id)
                }
            }
        }
        #expect(counter.callCount == 2, "at 4 MiB and at 8 MiB")
        let again = try PieceLedger(directory)
        for id in ids { #expect(again.pieces(of: id).count == 16_384) }
    }

    @Test("long facts of wanted chunks are all found, few of them in memory at once")
    func longFacts() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open("mirror", node: Self.other)
        let padding = String(repeating: "x", count: 60_000)
        let facts = (2..<122).map { n in
            let bytes = Self.chunk(Int64(n), ChunkDigester.digest(of: [UInt8(n)]), 1).bytes
            return Array("{\"padding\":\"\(padding)\",".utf8) + bytes.dropFirst()
        }
        let report = try await store.receive([Self.fact(1, .session(opening)).bytes] + facts)
        try #require(report.heard == 120)
        #expect(try await store.wanted(mission: nil, limit: 512, excluding: []).count == 120)
        #expect(try await store.wanted(mission: nil, limit: 100, excluding: []).count == 100)
        let page = try await store.catalogue.wanted(mission: nil, limit: 512, excluding: [])
        #expect(page.isCut)
        #expect(page.rows.reduce(0) { $0 + $1.fact.count } < Limits.wantedScanBytes + Limits.factBytes)
        #expect(await store.catalogue.parsed.byteCount <= Limits.parsedFactsBytes)
    }

    @Test("the newest bytes of open chunks take no more memory however many chunks grow")
    func manyTails() throws {
        let scratch = try Scratch()
        let folder = try Directory.open(scratch.path)
        let file = SharedFile(try folder.openFile("chunk", .createNew))
        let board = TailBoard()
        let pair = ClockPair(realtime: 1, boottime: 1)
        let bytes = [UInt8](repeating: 0, count: Limits.inlineCommitBytes)
        let slots = (0..<2 * Limits.tailRecentTotalBytes / bytes.count).map { n in
            ChunkSlot(author: Scratch.author, session: Self.session, stream: .data, index: Int64(n))
        }
        for slot in slots {
            board.grew([
                TailBoard.Growth(
                    slot: slot, firstRow: 0, file: file, length: Int64(bytes.count), rows: 1,
                    lengthInFile: Int64(bytes.count), first: pair, last: pair, checksum: 0, bytes: bytes)
            ])
            #expect(board.recentBytes <= Limits.tailRecentTotalBytes)
        }
        #expect(board.recentBytes > Limits.tailRecentTotalBytes / 2)
        for (slot, isInMemory) in [(slots[0], false), (slots[slots.count - 1], true)] {
            guard case .part(let part) = board.portion(slot, from: 0, limit: 1 << 20) else {
                Issue.record("nothing is told of an open chunk")
                return
            }
            if case .memory = part.source { #expect(isInMemory) } else { #expect(!isInMemory) }
        }
        for slot in slots { board.ended(slot, .dropped) }
        #expect(board.recentBytes == 0)
    }
}
