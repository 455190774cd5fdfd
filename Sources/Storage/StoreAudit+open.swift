internal import Model
internal import Reactor

/// Open chunks and live copies against the records of the write-ahead log.
extension StoreAudit {
    /// A running node goes on meanwhile: what is wrong each time is wrong.
    func checkOpen(_ root: borrowing Directory) throws {
        var wrong = try wrongOpenChunks(root)
        for _ in 1..<3 where !wrong.isEmpty { wrong.formIntersection(try wrongOpenChunks(root)) }
        for slot in wrong.sorted() {
            let isOwn = slot.author == node
            add(
                .damagedOpenChunk, "open/\(slot.author)/\(slot.session)/\(OpenChunk.fileName(slot))",
                "bytes that are committed are damaged or gone; the next start keeps what is sound"
                    + (isOwn ? "" : ", and the rest is fetched again"))
        }
    }

    private func wrongOpenChunks(_ root: borrowing Directory) throws -> Set<ChunkSlot> {
        guard try root.kind(of: "wal") == .directory, try root.kind(of: "open") == .directory else { return [] }
        let folder = try root.openDirectory("wal")
        let open = try root.openDirectory("open")
        var replays: [ChunkSlot: ChunkReplay] = [:]
        for number in try WriteAheadLog.segments(in: folder) {
            let reading: WriteAheadLog.Reading
            do throws(SyscallError) {
                reading = try WriteAheadLog.read(number, in: folder)
            } catch {
                guard error.isNotFound else { throw error }
                continue
            }
            for record in reading.records { record.apply(to: &replays) }
        }
        var wrong: Set<ChunkSlot> = []
        for (slot, replay) in replays where try !isSound(replay, in: open) { wrong.insert(slot) }
        return wrong
    }

    /// What the log itself has, its checksum covers; the rest the file has to have.
    private func isSound(_ replay: ChunkReplay, in open: borrowing Directory) throws -> Bool {
        let pieces = replay.pieces.filter { $0.inline == nil }
        guard !pieces.isEmpty else { return true }
        let (author, session) = (replay.slot.author.description, replay.slot.session.description)
        let name = OpenChunk.fileName(replay.slot)
        // A chunk of this node's that is not there was sealed, and the record of that is what is damaged.
        let isGoneSound = replay.slot.author == node
        guard try open.kind(of: author) == .directory,
            try open.openDirectory(author).kind(of: session) == .directory,
            try open.openDirectory(author).openDirectory(session).kind(of: name) == .file
        else { return isGoneSound }
        let file = try open.openDirectory(author).openDirectory(session).openFile(name, .read)
        file.forgetCache()
        for piece in pieces {
            var checksum = Checksum()
            var offset = piece.offset
            while offset < piece.end {
                let bytes = try file.read(count: Int(min(Limits.recoveryReadBytes, piece.end - offset)), at: offset)
                if bytes.isEmpty { return false }
                checksum.update(bytes[...])
                offset += Int64(bytes.count)
            }
            guard checksum.value == piece.checksum else { return false }
        }
        return true
    }
}

extension WALRecord {
    /// What a sound record says of the chunks that are open.
    func apply(to replays: inout [ChunkSlot: ChunkReplay]) {
        switch self {
        case .commit(let commit):
            let empty = ChunkReplay(slot: commit.slot, firstRow: commit.firstRow)
            replays[commit.slot, default: empty].take(commit, isDoubtful: false)
        case .checkpoint(let checkpoint) where checkpoint.length == 0:
            // A copy that is here no more.
            replays[checkpoint.slot] = nil
        case .checkpoint(let checkpoint):
            let empty = ChunkReplay(slot: checkpoint.slot, firstRow: checkpoint.firstRow)
            replays[checkpoint.slot, default: empty].take(checkpoint, isDoubtful: false)
        case .seal(let seal):
            if case .open(let slot) = seal.source { replays[slot] = nil }
        case .fact: break
        }
    }
}
