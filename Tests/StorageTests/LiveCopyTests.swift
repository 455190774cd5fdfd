import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

@Suite struct LiveCopyTests {
    @Test("a copy grows by the author's commits and is the chunk when that is sealed, with no byte sent twice")
    func becomesTheChunk() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        #expect(try await mirror.appendCopies([bench.piece()]).isEmpty)
        let first = try bench.written().count
        try await bench.record(["2", "3"])
        let whole = try bench.written()
        #expect(try await mirror.appendCopies([bench.piece(first..<whole.count, rows: 2)]).isEmpty)
        let state = try #require(await mirror.copies().first)
        #expect(state.slot == bench.slot() && state.length == Int64(whole.count) && state.rows == 3 && !state.isOwn)
        #expect(bench.copied() == whole)
        #expect(try await mirror.sealCopy(bench.slot(), fact: bench.seal()) == .held)
        #expect(try await mirror.rows(bench.session) == ["1", "2", "3"])
        #expect(try await mirror.holdings().holdings == bench.source.holdings().holdings)
        #expect(await mirror.copies().isEmpty && bench.copied() == nil)
        #expect(bench.scratch.names("mirror/open/\(bench.source.node)").isEmpty)
        #expect(bench.scratch.names("mirror/quarantine").isEmpty)
    }

    @Test("pieces of many streams become durable with one sync; a long one goes to its file first")
    func oneSync() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        try await bench.record(["r"], .raw)
        let begun = try [bench.piece(), bench.piece(nil, .raw)]
        _ = try await mirror.appendCopies(begun)
        let (data, raw) = (try bench.written().count, try bench.written(.raw).count)
        try await bench.record(["2"])
        try await bench.record(["s"], .raw)
        let short = try [
            bench.piece(data..<bench.written().count), bench.piece(raw..<bench.written(.raw).count, .raw),
        ]
        let plan = FaultPlan(names: ["fdatasync"])
        let refused = try await FaultPlan.$current.withValue(plan) { try await mirror.appendCopies(short) }
        #expect(refused.isEmpty && plan.callCount == 1)
        let before = try bench.written().count
        try await bench.record([String(repeating: "x", count: Limits.inlineCommitBytes)])
        let long = try bench.piece(before..<bench.written().count)
        let second = FaultPlan(names: ["fdatasync"])
        _ = try await FaultPlan.$current.withValue(second) { try await mirror.appendCopies([long]) }
        #expect(second.callCount == 2)
        #expect(try bench.copied() == bench.written())
    }

    @Test("a piece that cannot be taken is answered for its slot and concerns no other")
    func refusals() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        let good = try bench.piece()
        let gap = CopyBench.piece(bench.slot(.raw), Array("abcdef".utf8), 2..<6)
        let stranger = ChunkSlot(author: bench.source.node, session: .random(), stream: .data, index: 0)
        let liar = ChunkSlot(author: NodeID(digest: someOther), session: bench.session, stream: .data, index: 1)
        let other = ChunkSlot(
            author: bench.source.node, session: bench.session, stream: StreamName("other")!, index: 0)
        let own = ChunkSlot(author: mirror.node, session: bench.session, stream: .data, index: 0)
        let some = Array("row\n".utf8)
        let refused = try await mirror.appendCopies(
            [gap, good] + [stranger, liar, other, own].map { CopyBench.piece($0, some, 0..<4) })
        #expect(refused[bench.slot(.raw)] == .notJoined(bench.slot(.raw), length: 0))
        #expect(refused[stranger] == .unknownSession(stranger.session))
        #expect(refused[liar] == .unknownSession(bench.session))
        #expect(refused[other] == .unknownSession(bench.session))
        #expect(refused[own] == .ownSession(bench.session))
        #expect(refused.count == 5)
        #expect(await mirror.copies().map(\.slot) == [bench.slot()])
        // Again the same bytes: they do not join, and the answer says where to go on.
        let again = try await mirror.appendCopies([good])
        #expect(again == [bench.slot(): .notJoined(bench.slot(), length: Int64(good.bytes.count))])
        let absurd = CopyPiece(
            slot: bench.slot(.raw), offset: 0, bytes: some, rows: 9, firstRow: -1, first: good.first, last: good.last)
        #expect(try await mirror.appendCopies([absurd]) == [bench.slot(.raw): .limit("numbers")])
        let huge = CopyBench.piece(
            bench.slot(.raw), [UInt8](repeating: 10, count: Limits.copyPieceBytes + 1),
            0..<Limits.copyPieceBytes + 1)
        #expect(try await mirror.appendCopies([huge]) == [bench.slot(.raw): .limit("copyPieceBytes")])
        #expect(bench.scratch.names("mirror/open/\(bench.source.node)/\(bench.session)") == ["data.0"])
    }

    @Test("a chunk that is sealed here gets no new copy")
    func sealedSlot() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        let piece = try bench.piece()
        _ = try await mirror.appendCopies([piece])
        _ = try await mirror.sealCopy(bench.slot(), fact: bench.seal())
        #expect(try await mirror.appendCopies([piece]) == [bench.slot(): .sealedAlready(bench.slot())])
    }

    @Test("a chunk that was sealed here and is gone may have a copy again")
    func lostChunk() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        let piece = try bench.piece()
        _ = try await mirror.appendCopies([piece])
        _ = try await mirror.sealCopy(bench.slot(), fact: bench.seal())
        let id = ChunkDigester.digest(of: piece.bytes).description
        try FileManager.default.removeItem(atPath: "\(bench.scratch.path)/mirror/chunks/\(id.prefix(2))/\(id)")
        #expect(try await mirror.scrubOnce() == 1)
        #expect(try await mirror.appendCopies([piece]).isEmpty)
    }

    @Test("a copy for which the disk has no room when the log rolls is given up; this node's rows go on")
    func fullRoll() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        let plan = FaultPlan(.fail(code: 28), at: 1, count: 2, names: ["fdatasync", "fsync"])
        try await FaultPlan.$current.withValue(plan) { try await mirror.journal.rollForTest() }
        #expect(await mirror.copies().isEmpty)
        let own = try await mirror.startSession(opening)
        _ = try await mirror.commit([batch(own, rows: ["own"])])
    }

    @Test("a short copy is the beginning of what is pulled, by the seal and by a pull alike", arguments: [false, true])
    func short(byPull: Bool) async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        let piece = try bench.piece()
        _ = try await mirror.appendCopies([piece])
        try await bench.record(["2"])
        let whole = try bench.written()
        let fact = try await bench.seal()
        if byPull {
            _ = try await mirror.receive([fact])
        } else {
            #expect(try await mirror.sealCopy(bench.slot(), fact: fact) == .short)
        }
        let wanted = try #require(try await mirror.wanted(mission: nil, limit: 1, excluding: []).first)
        #expect(try await mirror.beginPull(wanted) == Int64(piece.bytes.count))
        // Until the chunk is here the copy stays: a power cut now costs nothing of it.
        #expect(await mirror.copies().map(\.length) == [Int64(piece.bytes.count)])
        #expect(bench.copied() == piece.bytes && mirror.hasCopy(of: wanted))
        let cut = try await bench.scratch.open(try bench.scratch.crashed("mirror", as: "cut"), node: mirror.node)
        #expect(await cut.copies().map(\.length) == [Int64(piece.bytes.count)])
        // What is added to the chunk is not disturbed by a seal that is told again.
        try await mirror.appendPull(
            wanted, Array(whole[piece.bytes.count...].prefix(1)),
            at: Int64(piece.bytes.count))
        #expect(try await mirror.sealCopy(bench.slot(), fact: fact) == .short)
        try await mirror.suspendPull(wanted)
        #expect(try await mirror.beginPull(wanted) == Int64(piece.bytes.count + 1))
        try await mirror.appendPull(
            wanted, Array(whole[(piece.bytes.count + 1)...]),
            at: Int64(piece.bytes.count + 1))
        try await mirror.finishPull(wanted)
        #expect(await mirror.copies().isEmpty && bench.copied() == nil)
        #expect(try await mirror.rows(bench.session) == ["1", "2"])
        #expect(bench.scratch.names("mirror/quarantine").isEmpty)
        // The next start does not find the copy again.
        let again = try await bench.scratch.open(try bench.scratch.crashed("mirror", as: "later"), node: mirror.node)
        #expect(await again.copies().isEmpty)
    }

    @Test("a copy that is no beginning of the chunk costs one pull, and is kept")
    func unfit() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        var wrong = try bench.written()
        wrong[wrong.count - 2] ^= 1
        _ = try await mirror.appendCopies([CopyBench.piece(bench.slot(), wrong, 0..<wrong.count)])
        try await bench.record(["2"])
        let whole = try bench.written()
        #expect(try await mirror.sealCopy(bench.slot(), fact: bench.seal()) == .short)
        let wanted = try #require(try await mirror.wanted(mission: nil, limit: 1, excluding: []).first)
        #expect(try await mirror.beginPull(wanted) == Int64(wrong.count))
        try await mirror.appendPull(wanted, Array(whole[wrong.count...]), at: Int64(wrong.count))
        await #expect(throws: StoreError.self) { try await mirror.finishPull(wanted) }
        #expect(try await mirror.beginPull(wanted) == 0)
        #expect(await mirror.copies().map(\.length) == [Int64(wrong.count)])
        try await mirror.appendPull(wanted, whole, at: 0)
        try await mirror.finishPull(wanted)
        #expect(try await mirror.rows(bench.session) == ["1", "2"])
        #expect(await mirror.copies().isEmpty)
        #expect(bench.scratch.names("mirror/quarantine").contains(bench.aside(wrong[...], "surplus")))
    }

    @Test("partial files that an earlier process left go, and those of open copies stay")
    func leftPartials() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        try await bench.record(["r"], .raw)
        _ = try await mirror.appendCopies([bench.piece(), bench.piece(nil, .raw)])
        await mirror.refreshView(.newPartials)
        try await mirror.dropCopy(bench.slot(.raw))
        let later = try await bench.scratch.open(try bench.scratch.crashed("mirror", as: "later"), node: mirror.node)
        await later.refreshView(.newPartials)
        let folder = "later/sessions/Test dive/\(bench.session)"
        #expect(try bench.scratch.bytes(folder + "/chunk_00000.partial.csv") == bench.written())
        #expect(bench.scratch.names(folder + "/raw").isEmpty)
    }

    @Test("a chunk that is admitted while a copy of it begins takes that away")
    func lateCopy() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        let piece = try bench.piece()
        let whole = try bench.written()
        _ = try await mirror.receive([bench.seal()])
        let wanted = try #require(try await mirror.wanted(mission: nil, limit: 1, excluding: []).first)
        // As if it had been asked before whether the slot is sealed.
        _ = try await mirror.journal.appendCopies([piece])
        mirror.journal.copySlots.remove(bench.slot())
        _ = try await mirror.admit([(wanted, whole)])[0].get()
        mirror.journal.copySlots.insert(bench.slot())
        #expect(await mirror.copies().count == 1)
        #expect(try await mirror.catalogue.settleSealed([bench.slot(), bench.slot(.raw)]) == [bench.slot()])
        #expect(try await mirror.appendCopies([piece]) == [bench.slot(): .sealedAlready(bench.slot())])
    }

    @Test("a copy that is not what its author sealed goes to quarantine, and the chunk is pulled")
    func mismatch() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        var bytes = try bench.written()
        bytes[bytes.count - 2] ^= 1
        _ = try await mirror.appendCopies([CopyBench.piece(bench.slot(), bytes, 0..<bytes.count)])
        #expect(try await mirror.sealCopy(bench.slot(), fact: bench.seal()) == .mismatch)
        let name = bench.aside(bytes[...], "mismatch")
        #expect(bench.scratch.names("mirror/quarantine") == [name])
        #expect(bench.scratch.bytes("mirror/quarantine/" + name) == bytes)
        let wanted = try #require(try await mirror.wanted(mission: nil, limit: 1, excluding: []).first)
        #expect(try await mirror.beginPull(wanted) == 0)
        #expect(await mirror.copies().isEmpty)
    }

    @Test("a copy that is dropped is kept in quarantine, and may begin anew")
    func dropped() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        try await mirror.dropCopy(bench.slot())
        let first = try bench.aside(bench.written()[...], "surplus")
        #expect(bench.scratch.names("mirror/quarantine") == [first])
        // The same again is one file; others stand beside it.
        _ = try await mirror.appendCopies([bench.piece()])
        try await mirror.dropCopy(bench.slot())
        var other = try bench.written()
        other[other.count - 2] ^= 1
        _ = try await mirror.appendCopies([CopyBench.piece(bench.slot(), other, 0..<other.count)])
        try await mirror.dropCopy(bench.slot())
        let names = [first, bench.aside(other[...], "surplus")].sorted()
        #expect(bench.scratch.names("mirror/quarantine") == names)
        let later = try await bench.scratch.open(try bench.scratch.crashed("mirror", as: "later"), node: mirror.node)
        #expect(await later.copies().isEmpty)
        try await bench.record(["2"])
        #expect(try await mirror.appendCopies([bench.piece(rows: 2)]).isEmpty)
        #expect(try await mirror.sealCopy(bench.slot(), fact: bench.seal()) == .held)
        #expect(try await mirror.rows(bench.session) == ["1", "2"])
        try await mirror.dropCopy(bench.slot())
    }

    @Test("a chunk that arrives whole takes its copy away")
    func superfluous() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        try await bench.record(["2"])
        let whole = try bench.written()
        _ = try await mirror.receive([bench.seal()])
        let wanted = try #require(try await mirror.wanted(mission: nil, limit: 1, excluding: []).first)
        _ = try await mirror.admit([(wanted, whole)])[0].get()
        #expect(await mirror.copies().isEmpty && bench.copied() == nil)
        #expect(bench.scratch.names("mirror/quarantine").isEmpty)
        let again = try await bench.scratch.open(try bench.scratch.crashed("mirror", as: "later"), node: mirror.node)
        #expect(await again.copies().isEmpty)
    }

    @Test("a fact of another slot, and one of this very process, say nothing of a copy")
    func foreignFact() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await mirror.appendCopies([bench.piece()])
        let fact = try await bench.seal()
        #expect(try await mirror.sealCopy(bench.slot(.raw), fact: fact) == .none)
        #expect(try await mirror.sealCopy(bench.slot(), fact: Array("{}".utf8)) == .none)
        let forged = String(decoding: fact, as: UTF8.self)
            .replacing(bench.source.node.description, with: mirror.node.description)
            .replacing(bench.source.incarnation.description, with: mirror.incarnation.description)
        #expect(try await mirror.sealCopy(bench.slot(), fact: Array(forged.utf8)) == .none)
        #expect(await mirror.copies().count == 1)
        #expect(try await mirror.sealCopy(bench.slot(), fact: fact) == .held)
        #expect(try await mirror.sealCopy(bench.slot(), fact: fact) == .held)
    }

    @Test("where pulling waits for room, copies do: what is to be kept free is not eaten by them")
    func noRoom() async throws {
        let bench = try await CopyBench(try Scratch())
        let known = try await bench.mirror()
        try await bench.record(["1"])
        _ = try await known.appendCopies([bench.piece()])
        let first = try bench.written().count
        try await bench.record(["2"])
        try await known.close()
        let mirror = try await Store.open(
            "\(bench.scratch.path)/mirror", node: known.node, incarnation: .random(), lanes: bench.scratch.lanes,
            minFree: Limits.minFree.upperBound, log: .silent)
        #expect(mirror.room.space?.level == .low)
        let more = try bench.piece(first..<bench.written().count)
        await #expect(throws: StoreError.outOfSpace(path: "\(bench.scratch.path)/mirror")) {
            _ = try await mirror.appendCopies([more])
        }
        #expect(await mirror.copies().map(\.length) == [Int64(first)])
        // This node's own rows go on into what is left.
        let own = try await mirror.startSession(opening)
        _ = try await mirror.commit([batch(own, rows: ["own"])])
        #expect(mirror.room.space?.level == .low && mirror.room.space?.reserve != .spent)
    }

    @Test("the write-ahead log rolls with copies in it, and what it forgot is in their files")
    func roll() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record([String(repeating: "y", count: 60_000)])
        let bytes = try bench.written()
        var length = 0
        var whole: [UInt8] = []
        for _ in 0..<300 {
            whole += bytes
            let piece = CopyBench.piece(bench.slot(), whole, length..<whole.count)
            #expect(try await mirror.appendCopies([piece]).isEmpty)
            length = whole.count
        }
        #expect(bench.scratch.names("mirror/wal").first != "000001")
        let again = try await bench.scratch.open(try bench.scratch.crashed("mirror", as: "later"), node: mirror.node)
        #expect(await again.copies().map(\.length) == [Int64(length)])
        #expect(bench.copied("later") == whole)
        // A copy that has rested costs a roll no sync of its file.
        let plan = FaultPlan(names: ["fdatasync"])
        try await FaultPlan.$current.withValue(plan) { try await again.journal.rollForTest() }
        #expect(plan.callCount == 0)
    }

    @Test("for people a copy is a partial file that goes when the chunk is there or the copy is dropped")
    func view() async throws {
        let bench = try await CopyBench(try Scratch())
        let mirror = try await bench.mirror()
        try await bench.record(["1"])
        try await bench.record(["r"], .raw)
        _ = try await mirror.appendCopies([bench.piece(), bench.piece(nil, .raw)])
        await mirror.refreshView(.newPartials)
        let folder = "mirror/sessions/Test dive/\(bench.session)"
        #expect(try bench.scratch.bytes(folder + "/chunk_00000.partial.csv") == bench.written())
        #expect(try bench.scratch.bytes(folder + "/raw/raw_00000.partial.jsonl") == bench.written(.raw))
        let first = try bench.written().count
        try await bench.record(["2"])
        _ = try await mirror.appendCopies([bench.piece(first..<bench.written().count)])
        await mirror.refreshView(.newPartials)
        #expect(bench.scratch.bytes(folder + "/chunk_00000.partial.csv")?.count == first)
        await mirror.refreshView(.due)
        let whole = try bench.written()
        #expect(bench.scratch.bytes(folder + "/chunk_00000.partial.csv") == whole)
        #expect(try await mirror.summary().copies == 2)
        _ = try await mirror.sealCopy(bench.slot(), fact: bench.seal())
        #expect(bench.scratch.bytes(folder + "/chunk_00000.partial.csv") == nil)
        #expect(bench.scratch.bytes(folder + "/chunk_00000.csv") == whole)
        try await mirror.dropCopy(bench.slot(.raw))
        await mirror.refreshView(.due)
        #expect(bench.scratch.names(folder + "/raw").isEmpty)
        #expect(try await mirror.summary().copies == 0)
    }
}

private let someOther = Digest256(bytes: [UInt8](repeating: 0x11, count: 32))!

extension Journal {
    func rollForTest() throws { try roll() }
}
