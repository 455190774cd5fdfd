internal import Model
internal import Reactor

/// Live copies of other nodes' open chunks: the same write-ahead log, the same files, the same commits.
extension Journal {
    /// What is committed of each, without those that are leaving.
    func copyStates() -> [CopyState] {
        copies.values.filter { $0.length > 0 }.map { copy in
            CopyState(
                slot: copy.slot, length: copy.length, rows: copy.rows, firstRow: copy.firstRow,
                checksum: copy.checksum.value, isOwn: false, first: copy.first, last: copy.last, at: copy.at)
        }.sorted { $0.slot < $1.slot }
    }

    /// Makes all pieces durable with one append and one sync. A piece that cannot be taken is answered for its slot.
    /// nil where copies wait for room.
    func appendCopies(_ pieces: [CopyPiece]) throws(StoreError) -> [ChunkSlot: StoreError]? {
        guard room.takesCopies(pieces.reduce(0) { $0 + $1.bytes.count }) else { return nil }
        var refused: [ChunkSlot: StoreError] = [:]
        var additions: [ChunkSlot: Addition] = [:]
        var total = copies.values.reduce(0) { $0 + $1.length }
        defer { removeEmpty(additions.values.map(\.chunk)) }
        for piece in pieces where !piece.bytes.isEmpty && refused[piece.slot] == nil {
            if let error = refusal(of: piece, behind: additions[piece.slot], total: total) {
                refused[piece.slot] = error
                continue
            }
            total += Int64(piece.bytes.count)
            if additions[piece.slot] != nil {
                additions[piece.slot]?.bytes.append(contentsOf: piece.bytes)
                additions[piece.slot]?.rows += piece.rows
                additions[piece.slot]?.last = piece.last
            } else {
                let copy: OpenChunk
                if let present = copies[piece.slot] { copy = present } else { copy = try beginCopy(piece) }
                additions[piece.slot] = Addition(
                    chunk: copy, bytes: piece.bytes, rows: piece.rows, first: piece.first, last: piece.last)
            }
        }
        if !additions.isEmpty { try commit(Array(additions.values)) }
        return refused
    }

    private func refusal(of piece: CopyPiece, behind addition: Addition?, total: Int64) -> StoreError? {
        let slot = piece.slot
        guard leaving[slot] == nil, !isSealing(slot) else { return .sealedAlready(slot) }
        let length = (copies[slot]?.length ?? 0) + Int64(addition?.bytes.count ?? 0)
        guard piece.offset == length else { return .notJoined(slot, length: length) }
        let count = Int64(piece.bytes.count)
        guard WALRecord.numbers.contains(slot.index), WALRecord.numbers.contains(piece.firstRow),
            (0...count).contains(piece.rows)
        else { return .limit("numbers") }
        guard piece.bytes.count <= Limits.copyPieceBytes else { return .limit("copyPieceBytes") }
        guard length + count <= Limits.chunkBytes else { return .limit("chunkBytes") }
        guard total + count <= Limits.copiesBytes else { return .limit("copiesBytes") }
        guard copies[slot] != nil || copies.count + leaving.count < Limits.copies else { return .limit("copies") }
        return nil
    }

    /// A seal of the slot's earlier copy may still move what stands under its name.
    private func isSealing(_ slot: ChunkSlot) -> Bool {
        copies[slot] == nil && pendingSeals.values.contains { $0.source == .open(slot) }
    }

    /// The copy's file is created with its first bytes, durable in its folder.
    private func beginCopy(_ piece: CopyPiece) throws(StoreError) -> OpenChunk {
        let slot = piece.slot
        let copy = try lifting { () throws(SyscallError) in
            let folder = try directory.openFolder(author: slot.author, session: slot.session)
            // What is there under this name was never acknowledged: recovery took all that was.
            try folder.remove(OpenChunk.fileName(slot))
            let file = try folder.openFile(OpenChunk.fileName(slot), .createNew)
            try folder.synchronize()
            return OpenChunk(
                slot: slot, firstRow: piece.firstRow, first: piece.first, file: SharedFile(file), at: now(),
                digests: false)
        }
        copies[slot] = copy
        copySlots.insert(slot)
        return copy
    }

    /// Copies whose first commit did not succeed.
    private func removeEmpty(_ chunks: [OpenChunk]) {
        for chunk in chunks where chunk.length == 0 {
            copies[chunk.slot] = nil
            forgetCopy(chunk.slot)
            removeFile(chunk.slot)
        }
    }

    // MARK: Leaving

    /// Takes no more bytes for the copy; it stays in the write-ahead log until it is sealed or gone. nil where there is
    /// none, or it has more than `most` bytes.
    func leave(_ slot: ChunkSlot, most: Int64 = .max) throws(StoreError) -> CopyFile? {
        if let left = leaving[slot] { return left.length <= most ? left : nil }
        guard let copy = copies[slot], copy.length > 0, copy.length <= most else { return nil }
        try lifting { () throws(SyscallError) in
            try healSuspect(copy)
            try copy.flush()
            try copy.cutSurplus()
        }
        copies[slot] = nil
        let left = copy.leave()
        leaving[slot] = left
        return left
    }

    /// The file of a copy of at most `most` bytes and how much of it is to be read there; the copy goes on as it was.
    /// nil where there is none.
    func beginning(_ slot: ChunkSlot, most: Int64) -> (file: SharedFile, length: Int64)? {
        if let left = leaving[slot] { return left.length <= most ? (left.file, left.length) : nil }
        guard let copy = copies[slot], copy.length > 0, copy.length <= most else { return nil }
        return (copy.file, copy.lengthInFile)
    }

    /// A copy that leaves becomes its beginning, which is durable in a file named `temporary` beside it.
    func cut(_ copy: CopyFile, to shorter: CopyFile, from temporary: String) throws(StoreError) -> CopyFile {
        let slot = copy.slot
        try lifting { () throws(SyscallError) in
            // The record says that the file itself has the bytes, and stands before the others are gone.
            try synchronize(slot, copy.file, length: copy.length, checksum: copy.checksum)
            try renewWhereFailed()
            if !(try append([.checkpoint(shorter.checkpoint)])) { try appendAgain([.checkpoint(shorter.checkpoint)]) }
            let folder = try directory.openFolder(author: slot.author, session: slot.session)
            try folder.rename(temporary, to: folder, as: OpenChunk.fileName(slot))
            try folder.synchronize()
        }
        leaving[slot] = shorter
        return shorter
    }

    /// The copy's file has another place by now, or none. Where the write-ahead log cannot say so, a start finds it
    /// again and asks what became of its chunk. `withSeals`: so have seals of it that were begun.
    func gone(_ slot: ChunkSlot, withSeals: Bool) {
        if withSeals { pendingSeals = pendingSeals.filter { $0.value.source != .open(slot) } }
        forgetCopy(slot)
        do throws(SyscallError) {
            try renewWhereFailed()
            if !(try append([CopyFile.gone(slot)])) { try appendAgain([CopyFile.gone(slot)]) }
        } catch {
            // The next append begins a segment that does not name it.
            walFailed = true
            incidents.report(.walKept, "the write-ahead log still names a copy that is gone (\(error))")
        }
        rollWhereDue()
    }

    /// Nothing of the slot's copy is here any more.
    func forgetCopy(_ slot: ChunkSlot) {
        guard slot.author != node else { return }
        leaving[slot] = nil
        guard copies[slot] == nil else { return }
        board.ended(slot, .dropped)
        copySlots.remove(slot)
        guard !(copies.keys.contains { $0.session == slot.session }),
            !(leaving.keys.contains { $0.session == slot.session })
        else { return }
        // An empty folder does no harm; the next start removes it.
        do {
            guard try directory.open.kind(of: slot.author.description) == .directory else { return }
            let author = try directory.open.openDirectory(slot.author.description)
            _ = try author.removeDirectory(slot.session.description)
        } catch {}
    }

    /// Where this fails a start finds a file that no record names.
    private func removeFile(_ slot: ChunkSlot) {
        do {
            try directory.openFolder(author: slot.author, session: slot.session).remove(OpenChunk.fileName(slot))
        } catch {}
    }

    // MARK: Rolling

    /// The disk begins with what a roll will sync of the copies, so that this node's own commits wait less for that.
    func startCopies() {
        guard !hasStartedCopies else { return }
        hasStartedCopies = true
        for copy in copies.values { copy.startWriteback() }
    }

    /// Makes the copies durable in their files and names them. No copy keeps this node's own rows from the disk: one
    /// whose file fails for good, or has no room, is given up.
    func synchronizeCopies() -> [WALRecord] {
        var records: [WALRecord] = []
        for copy in copies.values where copy.length > 0 {
            do throws(SyscallError) {
                try healSuspect(copy)
                do throws(SyscallError) {
                    try copy.synchronize()
                } catch {
                    guard copy.isSuspect else { throw error }
                    try healSuspect(copy)
                }
                records.append(.checkpoint(copy.checkpoint))
            } catch {
                giveUp(copy.slot, error)
            }
        }
        for copy in leaving.values {
            do throws(SyscallError) {
                try synchronize(copy.slot, copy.file, length: copy.length, checksum: copy.checksum)
            } catch {
                giveUp(copy.slot, error)
            }
        }
        return records
    }

    private func giveUp(_ slot: ChunkSlot, _ error: SyscallError) {
        copies[slot] = nil
        leaving[slot] = nil
        incidents.report(
            .damagedChunk, "the copy of chunk \(OpenChunk.fileName(slot)) failed (\(error)); it is fetched again")
        do {
            let folder = try directory.openFolder(author: slot.author, session: slot.session)
            let name = OpenChunk.fileName(slot)
            try folder.rename(name, to: directory.quarantine, as: "\(slot.session).\(name).failed")
        } catch {}
        forgetCopy(slot)
    }
}

/// Where copies stand, by what a chunk fact names. May be asked on any thread.
final class CopySlots: Sendable {
    struct Place: Hashable, Sendable {
        let session: SessionID
        let stream: StreamName
        let index: Int64
    }

    private let slots = Locked<[Place: ChunkSlot]>([:])

    subscript(_ session: SessionID, _ stream: StreamName, _ index: Int64) -> ChunkSlot? {
        slots.withLock { $0[Place(session: session, stream: stream, index: index)] }
    }
    var all: [ChunkSlot] { slots.withLock { Array($0.values) } }
    func contains(_ slot: ChunkSlot) -> Bool { self[slot.session, slot.stream, slot.index] == slot }
    func insert(_ slot: ChunkSlot) {
        slots.withLock { $0[Place(session: slot.session, stream: slot.stream, index: slot.index)] = slot }
    }
    func remove(_ slot: ChunkSlot) {
        slots.withLock { slots in
            let place = Place(session: slot.session, stream: slot.stream, index: slot.index)
            if slots[place] == slot { slots[place] = nil }
        }
    }
}
