import Model
import Reactor
import Testing

@testable import Storage

/// What a reader told, put together again.
private struct Told {
    var sessions: [[UInt8]] = []
    var bytes: [ChunkSlot: [UInt8]] = [:]
    var rows: [ChunkSlot: Int64] = [:]
    var ends: [ChunkSlot: [Int64]] = [:]
    var last: [TailFrame] = []

    mutating func take(_ frames: [TailFrame]) {
        last = frames
        for frame in frames {
            switch frame {
            case .session(let fact): sessions.append(fact)
            case .commit(let piece, _):
                #expect(piece.bytes.count <= Limits.tailPieceBytes)
                #expect(piece.offset == Int64(bytes[piece.slot]?.count ?? 0))
                bytes[piece.slot, default: []] += piece.bytes
                rows[piece.slot, default: 0] += piece.rows
                ends[piece.slot, default: []].append(piece.offset + Int64(piece.bytes.count))
            case .sealed, .dropped, .beyond, .caughtUp, .heartbeat: break
            }
        }
    }

    mutating func all(_ reader: TailReader) async throws {
        while true {
            let frames = try await reader.next()
            if frames.isEmpty { return }
            take(frames)
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct TailTests {
    private func slot(_ session: SessionID, _ stream: StreamName = .data, _ index: Int64 = 0) -> ChunkSlot {
        ChunkSlot(author: Scratch.author, session: session, stream: stream, index: index)
    }

    @Test("commits are told as they come, the session's fact first and the chunk's fact last, each exactly")
    func live() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let reader = store.tail(TailRequest())
        #expect(try await reader.next().isEmpty)
        var told = Told()
        _ = try await store.commit([batch(session, rows: ["1", "2"]), batch(session, .raw, rows: ["{}"], at: 5)])
        told.take(try await reader.next())
        #expect(told.last.count == 3 && told.sessions.count == 1)
        #expect(try await reader.next().isEmpty)
        _ = try await store.commit([batch(session, rows: ["3"], at: 9)])
        told.take(try await reader.next())
        guard case .commit(let piece, left: 0)? = told.last.first, told.last.count == 1 else {
            Issue.record("\(told.last)")
            return
        }
        #expect(piece.rows == 1 && piece.first == ClockPair(realtime: 9, boottime: 9) && piece.firstRow == 0)
        let sealed = try await store.seal(session)
        told.take(try await reader.next())
        let facts = try await store.facts(after: 0, limit: 10).map(\.bytes)
        #expect(told.sessions == [facts[0]])
        #expect(
            Set(told.last) == [.sealed(slot(session), fact: facts[1]), .sealed(slot(session, .raw), fact: facts[2])])
        for chunk in sealed {
            #expect(try await store.contents(chunk.fact.sha256) == told.bytes[slot(session, chunk.fact.stream)])
            #expect(told.rows[slot(session, chunk.fact.stream)] == chunk.fact.rows)
        }
        try await store.close()
    }

    @Test("who comes late or is slow reads the file, in pieces that end where commits ended, and misses nothing")
    func late() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let early = store.tail(TailRequest())
        var ends: Set<Int64> = []
        for number in 0..<400 {
            // One commit in forty is larger than a piece.
            let rows = (0..<(number % 40 == 7 ? 3000 : 9)).map { "\(number).\($0),xxxxxxxxxxxxxxxxxxxxxxxxx" }
            ends.insert(try await store.commit([batch(session, rows: rows)])[0].bytes)
        }
        let chunk = slot(session)
        var told = [Told(), Told(), Told()]
        try await told[0].all(early)
        try await told[1].all(store.tail(TailRequest()))
        // One that goes on in the middle of what it has.
        let whole = try #require(told[0].bytes[chunk])
        let begun = Int64(whole.count / 3)
        told[2].bytes[chunk] = Array(whole[..<Int(begun)])
        told[2].rows[chunk] = 1000
        try await told[2].all(
            store.tail(TailRequest(copies: [TailPosition(slot: chunk, length: begun, rows: 1000)])))
        let sealed = try #require(try await store.seal(session).first)
        let contents = try await store.contents(sealed.fact.sha256)
        for one in told {
            #expect(one.bytes[chunk] == contents && one.rows[chunk] == sealed.fact.rows)
            let cut = (one.ends[chunk] ?? []).filter { !ends.contains($0) }
            // Only within the large ones.
            #expect(cut.count <= 40 && one.ends[chunk]?.count ?? 0 > 10)
        }
        try await store.close()
    }

    @Test("who has more than is committed is told so once, and goes on when the chunk has grown beyond it")
    func beyond() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let length = try await store.commit([batch(session, rows: ["1"])])[0].bytes
        let asked = TailRequest(copies: [TailPosition(slot: slot(session), length: length + 2)])
        let reader = store.tail(asked)
        #expect(try await reader.next() == [.beyond(slot(session), length: length)])
        _ = try await store.commit([batch(session, rows: [""])])
        #expect(try await reader.next().isEmpty)
        _ = try await store.commit([batch(session, rows: ["22"])])
        guard case .commit(let piece, left: 0)? = try await reader.next().first else {
            Issue.record("it does not go on")
            return
        }
        #expect(piece.offset == length + 2 && piece.bytes == Array("2\n".utf8))
        try await store.close()
    }

    @Test("a copy of what is not open here is told off, also long after its chunk was sealed")
    func gone() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let nowhere = slot(.random())
        let reader = store.tail(TailRequest(copies: [TailPosition(slot: nowhere, length: 3)]))
        #expect(try await reader.next() == [.dropped(nowhere)])
        _ = try await store.commit([batch(session, rows: ["first"])])
        var told = Told()
        told.take(try await reader.next())
        // More ends than are remembered, while nobody reads.
        let other = store.tail(TailRequest(only: slot(session, .data, Int64(Limits.tailEndsKept + 1))))
        for number in 0...Limits.tailEndsKept {
            _ = try await store.seal(session)
            _ = try await store.commit([batch(session, rows: ["\(number)"])])
        }
        told.take(try await reader.next())
        #expect(told.last.contains(.dropped(slot(session))))
        #expect(told.bytes.keys.count == 2)
        #expect(try await other.next().count == 2 && !other.isOver)
        _ = try await store.seal(session)
        #expect(try await other.next().count == 1 && other.isOver)
        try await store.close()
    }

    @Test("only what was asked for is told: of these authors, of this mission")
    func filters() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["1"])])
        let stranger = NodeID(digest: Digest256(bytes: [UInt8](repeating: 1, count: 32))!)
        for request in [
            TailRequest(authors: [stranger]), TailRequest(mission: "another"), TailRequest(only: slot(session, .raw)),
        ] { #expect(try await store.tail(request).next().isEmpty) }
        for request in [TailRequest(authors: [store.node]), TailRequest(mission: opening.mission)] {
            #expect(try await store.tail(request).next().count == 2)
        }
        try await store.close()
    }

    @Test("a copy of another mission's chunk gets no byte more and hears of its end; all that is wanted is said then")
    func unwantedCopy() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        let length = try await store.commit([batch(session, rows: ["1"])])[0].bytes
        let copy = TailPosition(slot: slot(session), length: length)
        let another = store.tail(TailRequest(copies: [copy], mission: "another"))
        let same = store.tail(TailRequest(copies: [copy], mission: opening.mission))
        for reader in [another, same] { #expect(try await reader.next().isEmpty && reader.isCaughtUp) }
        _ = try await store.commit([batch(session, rows: ["2"])])
        #expect(try await another.next().isEmpty && another.isCaughtUp)
        // Its session is known where the copy is.
        #expect(try await same.next().count == 1)
        _ = try await store.seal(session)
        for reader in [another, same] {
            guard case .sealed? = try await reader.next().first else { throw CancellationError() }
        }
        try await store.close()
    }

    @Test("a copy with other bytes is told so, wherever it ends, and gets none behind them; one with the same goes on")
    func strange() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        // Larger than a piece: a copy may end within.
        let rows = (0..<9000).map { "\($0),xxxxxxxxxxxxxxx" }
        _ = try await store.commit([batch(session, rows: rows)])
        for number in 0..<900 { _ = try await store.commit([batch(session, rows: ["\(number),y"])]) }
        var told = Told()
        try await told.all(store.tail(TailRequest()))
        let chunk = slot(session)
        let bytes = try #require(told.bytes[chunk])
        var readers: [TailReader] = []
        for length in [1, 70_000, bytes.count - 3000, bytes.count - 3, bytes.count] {
            let same = Checksum(bytes[..<length]).value
            func position(_ checksum: UInt32?) -> TailPosition {
                TailPosition(slot: chunk, length: Int64(length), checksum: checksum)
            }
            for checksum in [same, nil] {
                var rest = Told()
                rest.bytes[chunk] = Array(bytes[..<length])
                try await rest.all(store.tail(TailRequest(copies: [position(checksum)])))
                #expect(rest.bytes[chunk] == bytes, "\(length)")
            }
            let reader = store.tail(TailRequest(copies: [position(same ^ 1)]))
            #expect(try await reader.next() == [.beyond(chunk, length: 0)], "\(length)")
            readers.append(reader)
        }
        _ = try await store.commit([batch(session, rows: ["more"])])
        for reader in readers { #expect(try await reader.next().isEmpty && reader.isCaughtUp) }
        _ = try await store.seal(session)
        for reader in readers {
            guard case .sealed? = try await reader.next().first else { throw CancellationError() }
        }
        try await store.close()
    }

    @Test("a reader has said all only when each stream's last committed byte is said")
    func caughtUp() async throws {
        let scratch = try Scratch()
        let store = try await scratch.open()
        let session = try await store.startSession(opening)
        for number in 0..<30 {
            let rows = (0..<900).map { "\(number).\($0),xxxxxxxx" }
            _ = try await store.commit([batch(session, rows: rows), batch(session, .raw, rows: rows)])
        }
        let reader = store.tail(TailRequest())
        var told = Told()
        var isCaughtUp = false
        while !isCaughtUp {
            told.take(try await reader.next(limit: 1))
            #expect(!told.last.isEmpty)
            isCaughtUp = reader.isCaughtUp
            let lengths = told.bytes.mapValues { Int64($0.count) }
            let isAll = [slot(session), slot(session, .raw)].allSatisfy { lengths[$0] == store.openLength(of: $0) }
            #expect(isCaughtUp == isAll)
        }
        #expect(try await reader.next().isEmpty)
        try await store.close()
    }

    @Test("a copy of somebody else's chunk is told as its author's would be, after a restart too")
    func copies() async throws {
        let scratch = try Scratch()
        let vehicle = try await scratch.open("vehicle")
        let session = try await vehicle.startSession(opening)
        var topside = try await scratch.open("topside", node: TailTests.other)
        let reader = vehicle.tail(TailRequest())
        _ = try await vehicle.commit([batch(session, rows: ["1", "2"]), batch(session, .raw, rows: ["{}"])])
        try await topside.take(try await reader.next())
        var told = Told()
        let relayed = topside.tail(TailRequest())
        told.take(try await relayed.next())
        #expect(told.sessions.count == 1 && told.rows[slot(session)] == 2)
        // The topside's process dies and comes again.
        let copy = try scratch.crashed("topside", as: "again")
        try await topside.close()
        topside = try await scratch.open(copy, node: TailTests.other)
        let again = topside.tail(TailRequest(copies: [TailPosition(slot: slot(session, .raw), length: 3, rows: 1)]))
        var rest = Told()
        rest.take(try await again.next())
        #expect(rest.bytes == [slot(session): try #require(told.bytes[slot(session)])])
        _ = try await vehicle.seal(session)
        try await topside.take(try await reader.next())
        let facts = try await vehicle.facts(after: 0, limit: 10)
        #expect(
            Set(try await again.next()) == [
                .sealed(slot(session), fact: facts[1].bytes), .sealed(slot(session, .raw), fact: facts[2].bytes),
            ])
        try await topside.close()
        try await vehicle.close()
    }

    static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)
}

extension Store {
    /// What a follower does with frames.
    func take(_ frames: [TailFrame]) async throws {
        for frame in frames {
            switch frame {
            case .session(let fact): _ = try await receive([fact])
            case .commit(let piece, _): #expect(try await appendCopies([piece]).isEmpty)
            case .sealed(let slot, let fact): #expect(try await sealCopy(slot, fact: fact) == .held)
            case .dropped, .beyond, .caughtUp, .heartbeat: break
            }
        }
    }
}

@Suite struct CommitMarkTests {
    @Test("whatever is merged, stretches cover the chunk, end at commits where they can, and count each row once")
    func merging() {
        for seed in 1...40 as ClosedRange<UInt64> {
            var random = SplitMix(state: seed)
            var marks = CommitMarks()
            var ends: Set<Int64> = []
            var (end, rows) = (Int64(0), Int64(0))
            for _ in 0..<Int.random(in: 1...3000, using: &random) {
                let isLarge = Int.random(in: 0..<50, using: &random) == 0
                end += Int64.random(in: 1...(isLarge ? 200_000 : 900), using: &random)
                rows += Int64.random(in: 0...4, using: &random)
                let at = ClockPair(realtime: end, boottime: end)
                marks.append(CommitMarks.Mark(end: end, rows: rows, first: at, last: at, checksum: 0))
                ends.insert(end)
            }
            #expect(marks.marks.count <= 2 * Limits.tailMarks + 2 * Int(end) / Limits.tailPieceBytes)
            var (offset, counted) = (Int64(0), Int64(0))
            while let stretch = marks.stretch(from: offset, limit: Int64(Limits.tailPieceBytes)) {
                #expect(stretch.end > offset && stretch.end <= offset + Int64(Limits.tailPieceBytes))
                if let rows = stretch.rows {
                    #expect(ends.contains(stretch.end) && rows >= counted && marks.rows(by: stretch.end) == rows)
                    counted = rows
                }
                offset = stretch.end
            }
            #expect(offset == end && counted == rows, "seed \(seed)")
        }
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
