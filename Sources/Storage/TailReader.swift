package import Model
internal import Reactor

/// How much of an open chunk somebody has.
package struct TailPosition: Hashable, Sendable {
    package let slot: ChunkSlot
    package let length: Int64
    /// Rows that were counted with these bytes; nil where nobody did.
    package let rows: Int64?
    /// CRC-32C of these bytes; nil where the asker does not say.
    package let checksum: UInt32?

    package init(slot: ChunkSlot, length: Int64, rows: Int64? = nil, checksum: UInt32? = nil) {
        self.slot = slot
        self.length = length
        self.rows = rows
        self.checksum = checksum
    }
}

/// What somebody who copies open chunks wants of them.
package struct TailRequest: Hashable, Sendable {
    /// What the asker has already.
    package var copies: [TailPosition]
    /// Whose chunks; nil: everybody's.
    package var authors: Set<NodeID>?
    /// Of which mission; nil: of any.
    package var mission: String?
    /// One chunk alone.
    package var only: ChunkSlot?

    package init(
        copies: [TailPosition] = [], authors: Set<NodeID>? = nil, mission: String? = nil, only: ChunkSlot? = nil
    ) {
        self.copies = copies
        self.authors = authors
        self.mission = mission
        self.only = only
    }
}

/// One thing that a tail says. As bytes: `Docs/Protocol.md`, "Live tail".
package enum TailFrame: Hashable, Sendable {
    /// The exact bytes of a session's fact, before the first piece of a session that the asker has nothing of.
    case session(fact: [UInt8])
    /// Committed bytes, and how many more of this chunk are committed behind them.
    case commit(CopyPiece, left: Int64)
    /// Sealed by law 1, with the exact bytes of its fact.
    case sealed(ChunkSlot, fact: [UInt8])
    /// It is not open there any more, or never was.
    case dropped(ChunkSlot)
    /// The asker has more of it than is committed there; of none of it where it has other bytes.
    case beyond(ChunkSlot, length: Int64)
    /// All that was committed there is said.
    case caughtUp
    case heartbeat
}

/// Reads open chunks for one who copies them: from where each copy ends, committed bytes only, whole commits where they
/// fit. Who is slow reads later, from the files. Used by one task at a time.
package final class TailReader {
    private struct Cursor {
        var position: Int64 = 0
        /// What the asker counts; nil where that is what the commits say.
        var rows: Int64?
        var isBeyondTold = false
        /// What the asker has is still to be compared with this.
        var checksum: UInt32?
        /// The asker has other bytes.
        var isStrange = false
    }

    private let board: TailBoard
    private let catalogue: Catalogue
    private let shelf: ChunkShelf
    private let request: TailRequest
    private var version: Int64 = 0
    private var cursors: [ChunkSlot: Cursor]
    /// Chunks with something left to say.
    private var pending: Set<ChunkSlot> = []
    /// Sessions whose facts the asker has.
    private var known: Set<SessionID>
    /// Sessions of the mission that was asked for, and those of others.
    private var wanted: Set<SessionID> = []
    private var unwanted: Set<SessionID> = []
    /// The last chunk that was read from its file: the next one's turn comes first.
    private var lastRead: ChunkSlot?
    /// Nothing committed is left to say, as of the last answer.
    package var isCaughtUp: Bool { pending.isEmpty }
    /// The one chunk that was asked for is over.
    package private(set) var isOver = false

    init(board: TailBoard, catalogue: Catalogue, shelf: ChunkShelf, request: TailRequest) {
        self.board = board
        self.catalogue = catalogue
        self.shelf = shelf
        self.request = request
        cursors = Dictionary(
            request.copies.map { ($0.slot, Cursor(position: $0.length, rows: $0.rows, checksum: $0.checksum)) },
            uniquingKeysWith: { first, _ in first })
        known = Set(request.copies.map(\.slot.session))
        pending = Set(cursors.keys)
    }

    /// What there is to say now, about `limit` bytes of it; nothing where the asker has everything that is committed.
    package func next(limit: Int = Limits.tailPieceBytes) async throws(StoreError) -> [TailFrame] {
        let changes = board.changes(since: version)
        version = changes.version
        for slot in changes.open where isAsked(slot) { pending.insert(slot) }
        for slot in changes.ended where cursors[slot] != nil { pending.insert(slot) }
        if changes.isPartial { pending.formUnion(cursors.keys) }
        var frames: [TailFrame] = []
        var left = limit
        var files: [ChunkSlot] = []
        for slot in pending.sorted() where left > 0 {
            // How a copy ends is told whatever is wanted.
            if cursors[slot] == nil || board.length(of: slot) != nil {
                guard try await isWanted(slot, &frames) else { continue }
            }
            if try await !take(slot, &frames, &left, readsFile: false) { files.append(slot) }
        }
        for slot in inTurn(files) where left > 0 {
            lastRead = slot
            _ = try await take(slot, &frames, &left, readsFile: true)
        }
        return frames
    }

    private func isAsked(_ slot: ChunkSlot) -> Bool {
        if let only = request.only, only != slot { return false }
        return request.authors?.contains(slot.author) ?? true
    }

    /// Whether its mission is wanted; its session's fact goes before the first of it.
    private func isWanted(_ slot: ChunkSlot, _ frames: inout [TailFrame]) async throws(StoreError) -> Bool {
        guard !unwanted.contains(slot.session) else {
            pending.remove(slot)
            return false
        }
        let isKnown = known.contains(slot.session)
        if isKnown, request.mission == nil || wanted.contains(slot.session) { return true }
        let found: RecordedFact?
        do throws(StoreError) { found = try await catalogue.sessionFact(slot.session) } catch {
            // While the index is made nobody can say: it is looked up with the next commit.
            if case .indexing = error { return false }
            if case .index = error { return false }
            throw error
        }
        guard let found, case .session(let opening) = found.fact.body else { return false }
        guard request.mission.map({ $0 == opening.mission }) ?? true else {
            if unwanted.count >= Limits.tailEndsKept { unwanted = [] }
            unwanted.insert(slot.session)
            pending.remove(slot)
            return false
        }
        if request.mission != nil {
            if wanted.count >= Limits.tailEndsKept { wanted = [] }
            wanted.insert(slot.session)
        }
        guard !isKnown else { return true }
        if known.count >= Limits.tailEndsKept { known = Set(cursors.keys.map(\.session)) }
        known.insert(slot.session)
        frames.append(.session(fact: found.bytes))
        return true
    }

    /// Takes what comes next of this chunk. False where that has to be read from its file, and is not to be.
    private func take(
        _ slot: ChunkSlot, _ frames: inout [TailFrame], _ left: inout Int, readsFile: Bool
    ) async throws(StoreError) -> Bool {
        guard try await isCompared(slot, &frames, readsFile: readsFile) else { return readsFile }
        let cursor = cursors[slot] ?? Cursor()
        switch board.portion(slot, from: cursor.position, limit: Limits.tailPieceBytes) {
        case .nothing: pending.remove(slot)
        case .later: break
        case .gone(let end): tellEnd(slot, end, &frames)
        case .part where cursor.isStrange, .beyond where cursor.isStrange: pending.remove(slot)
        case .beyond(let length):
            pending.remove(slot)
            if !cursor.isBeyondTold { frames.append(.beyond(slot, length: length)) }
            cursors[slot]?.isBeyondTold = true
        case .part(let part):
            let bytes: [UInt8]
            switch part.source {
            case .memory(let recent): bytes = recent
            case .file(let file):
                guard readsFile else { return false }
                bytes = try await shelf.read(file, cursor.position..<part.stretch.end)
            }
            left -= bytes.count
            tell(slot, part, bytes, cursor, &frames)
        }
        return true
    }

    /// Whether it is known if the asker's bytes are this chunk's. Where they are not it is told at once, and nothing
    /// of the chunk is said any more before its end.
    private func isCompared(
        _ slot: ChunkSlot, _ frames: inout [TailFrame], readsFile: Bool
    ) async throws(StoreError) -> Bool {
        guard let cursor = cursors[slot], let claimed = cursor.checksum else { return true }
        var own: Checksum
        switch board.beginning(slot, to: cursor.position) {
        case .none: return true
        case .later: return false
        case .checksum(let known): own = Checksum(continuing: known)
        case .file(let file, var offset, let before):
            guard readsFile else { return false }
            own = Checksum(continuing: before)
            while offset < cursor.position {
                let end = min(cursor.position, offset + Limits.recoveryReadBytes)
                own.update(try await shelf.read(file, offset..<end)[...])
                offset = end
            }
        }
        cursors[slot]?.checksum = nil
        guard own.value != claimed else { return true }
        cursors[slot]?.isStrange = true
        frames.append(.beyond(slot, length: 0))
        return true
    }

    private func tell(
        _ slot: ChunkSlot, _ part: TailBoard.Part, _ bytes: [UInt8], _ cursor: Cursor, _ frames: inout [TailFrame]
    ) {
        let before = cursor.rows ?? part.rowsBefore
        // In the middle of a commit the ends of lines are counted, but for one that may be a header's.
        let counted = part.stretch.rows ?? before + bytes.count(of: 0x0a) - (cursor.position == 0 ? 1 : 0)
        let rows = min(max(0, counted - before), Int64(bytes.count))
        let piece = CopyPiece(
            slot: slot, offset: cursor.position, bytes: bytes, rows: rows, firstRow: part.firstRow,
            first: part.stretch.first, last: part.stretch.last)
        cursors[slot] = Cursor(position: part.stretch.end, rows: before + rows)
        if part.left == 0 { pending.remove(slot) }
        frames.append(.commit(piece, left: part.left))
    }

    /// After the one that was read last, so that none waits for another's whole backlog.
    private func inTurn(_ slots: [ChunkSlot]) -> [ChunkSlot] {
        guard let lastRead else { return slots }
        return slots.filter { $0 > lastRead } + slots.filter { $0 <= lastRead }
    }

    private func tellEnd(_ slot: ChunkSlot, _ end: TailBoard.End?, _ frames: inout [TailFrame]) {
        pending.remove(slot)
        // Who has nothing of it hears of it by its fact.
        guard cursors.removeValue(forKey: slot) != nil else { return }
        if case .sealed(let fact)? = end {
            frames.append(.sealed(slot, fact: fact))
        } else {
            frames.append(.dropped(slot))
        }
        isOver = request.only == slot
    }
}

extension [UInt8] {
    fileprivate func count(of byte: UInt8) -> Int64 { reduce(0) { $0 + ($1 == byte ? 1 : 0) } }
}
