internal import Model
internal import Reactor

/// The files of open chunks: each is brought to exactly the bytes that were committed. Where some of them are damaged,
/// the sound stretches become chunks one after another, and the whole is kept in quarantine.
extension JournalRecovery {
    /// Where a chunk's bytes may be found: its file, and the whole of it that an interrupted recovery kept.
    private struct Places {
        var files: [SharedFile] = []
        var file: SharedFile?
        var found: Int64 = 0
    }

    private static func aside(_ slot: ChunkSlot) -> String { "\(slot.session).\(OpenChunk.fileName(slot)).damaged" }

    mutating func restore(_ replay: ChunkReplay) throws(SyscallError) {
        guard !replay.pieces.isEmpty else { return }
        let slot = replay.slot
        let folder = try directory.openFolder(author: slot.author, session: slot.session)
        var places = Places()
        if let file = try Self.open(OpenChunk.fileName(slot), in: folder) {
            places.file = file
            places.files.append(file)
            places.found = try file.descriptor.length()
        }
        if let kept = try Self.open(Self.aside(slot), in: directory.quarantine) { places.files.append(kept) }
        let end = replay.pieces.last?.end ?? 0
        let preamble = result.sessions[slot.session]?.description(of: slot.stream)?.preamble ?? []
        // A copy may be short, and what it lacks is not lost.
        let isOwn = slot.author == node
        let spans = try replay.spans(
            total: isOwn ? totalRows(replay) : nil, hasDamage: result.hasDamage,
            hasLostEnd: isOwn && result.hasDamage && places.found > end
        ) { piece throws(SyscallError) in try Self.rows(of: piece, in: places.files, preamble) }
        guard !spans.isEmpty else { return }
        guard isOwn else { return try restoreCopy(replay, spans, places, folder) }
        if places.file == nil, slot.index < result.sessions[slot.session]?.totals(slot.stream).chunks ?? 0,
            spans.contains(where: { if case .missing = $0 { true } else { false } })
        {
            // Its seal was through: the record of that is what is damaged.
            result.reports.append("chunk \(OpenChunk.fileName(slot)) of session \(slot.session) was sealed before")
            return
        }
        noteDamage(replay, spans)
        if spans.count <= 2, case .sound(let pieces)? = spans.first, pieces[0].offset == 0,
            try restoreInPlace(replay, pieces, places, folder)
        {
            return
        }
        try split(replay, spans, places, folder, preamble)
    }

    private static func open(_ name: String, in folder: borrowing Directory) throws(SyscallError) -> SharedFile? {
        guard try folder.kind(of: name) == .file else { return nil }
        do throws(SyscallError) {
            return SharedFile(try folder.openFile(name, .readWrite))
        } catch {
            // Its seal had come as far as the mode, and the record of that is damaged.
            guard error.isNotPermitted else { throw error }
            try folder.openFile(name, .read).changeMode(0o640)
            return SharedFile(try folder.openFile(name, .readWrite))
        }
    }

    // MARK: Reading

    /// A read that fails once may succeed again; a sector that is gone fails each time.
    private static let readAttempts = 3

    /// nil where the medium does not give the bytes, or there are none.
    private static func read(
        _ file: SharedFile, count: Int, at offset: Int64
    ) throws(SyscallError) -> [UInt8]? {
        for _ in 0..<readAttempts {
            do throws(SyscallError) {
                return try file.descriptor.read(count: count, at: offset)
            } catch {
                guard error.isUnreadable else { throw error }
            }
        }
        return nil
    }

    /// Calls `body` for the piece's bytes, part by part; false where they are not all there.
    private static func forEach(
        _ piece: ChunkReplay.Piece, in file: SharedFile, _ body: ([UInt8]) throws(SyscallError) -> Void
    ) throws(SyscallError) -> Bool {
        var offset = piece.offset
        while offset < piece.end {
            let count = Int(min(Limits.recoveryReadBytes, piece.end - offset))
            guard let bytes = try read(file, count: count, at: offset), bytes.count == count else { return false }
            try body(bytes)
            offset += Int64(count)
        }
        return true
    }

    private static func file(
        with piece: ChunkReplay.Piece, _ files: [SharedFile]
    ) throws(SyscallError) -> SharedFile? {
        for file in files {
            var checksum = Checksum()
            let isWhole = try forEach(piece, in: file) { checksum.update($0[...]) }
            if isWhole, checksum.value == piece.checksum { return file }
        }
        return nil
    }

    /// The piece's rows where its bytes are sound. Of a damaged record they are counted: a row is a line.
    private static func rows(
        of piece: ChunkReplay.Piece, in files: [SharedFile], _ preamble: [UInt8]
    ) throws(SyscallError) -> Int64? {
        if let inline = piece.inline {
            return piece.isDoubtful ? lines(inline) - head(piece, inline, preamble) : piece.rows
        }
        guard let file = try file(with: piece, files) else { return nil }
        guard piece.isDoubtful else { return piece.rows }
        var rows: Int64 = 0
        var isFirst = true
        _ = try forEach(piece, in: file) { bytes throws(SyscallError) in
            rows += lines(bytes) - (isFirst ? head(piece, bytes, preamble) : 0)
            isFirst = false
        }
        return rows
    }

    private static func lines(_ bytes: [UInt8]) -> Int64 { Int64(bytes.count { $0 == UInt8(ascii: "\n") }) }

    private static func head(_ piece: ChunkReplay.Piece, _ bytes: [UInt8], _ preamble: [UInt8]) -> Int64 {
        piece.offset == 0 && !preamble.isEmpty && bytes.starts(with: preamble) ? 1 : 0
    }

    // MARK: One stretch

    /// False where the file cannot be used as it is: its bytes are elsewhere, or the medium does not give them.
    private mutating func restoreInPlace(
        _ replay: ChunkReplay, _ pieces: [ChunkReplay.Piece], _ places: Places, _ folder: borrowing Directory
    ) throws(SyscallError) -> Bool {
        let name = OpenChunk.fileName(replay.slot)
        let file: SharedFile
        if let present = places.file {
            file = present
        } else {
            file = SharedFile(try folder.openFile(name, .createOrOpen))
        }
        let (digester, length) = (ChunkDigester(), pieces.last?.end ?? 0)
        var checksum = Checksum()
        for piece in pieces {
            if let inline = piece.inline {
                guard let present = try Self.read(file, count: inline.count, at: piece.offset) else { return false }
                if present != inline { try file.descriptor.write(inline, at: piece.offset) }
                digester.update(inline[...])
                checksum.update(inline[...])
            } else {
                var own = Checksum()
                let isWhole = try Self.forEach(piece, in: file) { bytes throws(SyscallError) in
                    own.update(bytes[...])
                    digester.update(bytes[...])
                    checksum.update(bytes[...])
                }
                guard isWhole, own.value == piece.checksum else { return false }
            }
        }
        guard try cut(file, name: "\(replay.slot.session).\(name)", to: length, found: places.found) else {
            return false
        }
        try file.descriptor.synchronize()
        try folder.synchronize()
        add(
            ClosedChunk(
                slot: replay.slot, id: digester.finish(), file: file, bytes: length, rows: Self.rows(pieces),
                firstRow: replay.firstRow, first: pieces[0].first, last: pieces[pieces.count - 1].last,
                checksum: checksum.value))
        return true
    }

    private static func rows(_ pieces: [ChunkReplay.Piece]) -> Int64 { pieces.reduce(0) { $0 + $1.rows } }

    /// Bytes behind the last commit are kept aside and cut; false where they cannot be read.
    private mutating func cut(
        _ file: SharedFile, name: String, to length: Int64, found: Int64
    ) throws(SyscallError) -> Bool {
        guard found > length else { return true }
        guard let torn = try Self.read(file, count: Int(clamping: found - length), at: length) else { return false }
        try keepAside(torn, as: "\(name).\(length).torn")
        result.reports.append("\(name) had \(torn.count) bytes that were never committed; they are kept in quarantine")
        try file.descriptor.truncate(to: length)
        return true
    }

    private mutating func add(_ closed: ClosedChunk) {
        guard closed.slot.author == node else { return result.copies.append(CopyFile(closed)) }
        result.closed.append(closed)
        result.sessions[closed.slot.session]?.noteActivity(closed.last)
    }

    // MARK: Copies

    /// A copy is cut to its sound beginning, since the rest can be fetched again; the whole of it is kept.
    private mutating func restoreCopy(
        _ replay: ChunkReplay, _ spans: [ChunkReplay.Span], _ places: Places, _ folder: borrowing Directory
    ) throws(SyscallError) {
        let isWhole = spans.count == 1
        if case .sound(let pieces) = spans[0], pieces[0].offset == 0 {
            if isWhole, try restoreInPlace(replay, pieces, places, folder) { return }
            if !isWhole {
                result.reports.append(
                    "the copy of chunk \(OpenChunk.fileName(replay.slot)) of session \(replay.slot.session) lost "
                        + "bytes; its beginning is kept, the rest is fetched again")
            }
            return try split(replay, [spans[0]], places, folder, [])
        }
        try split(replay, [], places, folder, [])
    }

    // MARK: Several

    /// The old file is never written to: where this is broken off, the next start finds all it had.
    private mutating func split(
        _ replay: ChunkReplay, _ spans: [ChunkReplay.Span], _ places: Places, _ folder: borrowing Directory,
        _ preamble: [UInt8]
    ) throws(SyscallError) {
        let name = OpenChunk.fileName(replay.slot)
        try keepWhole(replay.slot, places, folder)
        var firstRow = replay.firstRow
        var isFirst = true
        for span in spans {
            defer { firstRow += span.rows ?? 0 }
            guard case .sound(let pieces) = span else { continue }
            let index = isFirst ? replay.slot.index : freeIndex(replay.slot)
            isFirst = false
            let slot = ChunkSlot(
                author: replay.slot.author, session: replay.slot.session, stream: replay.slot.stream, index: index)
            if slot != replay.slot { result.origins[slot] = replay.slot }
            add(try write(slot, firstRow, pieces, places, folder, preamble))
        }
        if isFirst, places.file != nil { try folder.remove(name) }
        try folder.synchronize()
    }

    private mutating func keepWhole(
        _ slot: ChunkSlot, _ places: Places, _ folder: borrowing Directory
    ) throws(SyscallError) {
        let (name, aside) = (OpenChunk.fileName(slot), Self.aside(slot))
        guard places.file != nil else { return }
        result.reports.append("chunk \(name) of session \(slot.session) is damaged; the whole is kept in quarantine")
        // What an interrupted recovery kept is more than the part that it left in its place.
        if let kept = try directory.quarantine.length(of: aside), kept >= places.found { return }
        try directory.quarantine.remove(aside)
        try folder.link(name, to: directory.quarantine, as: aside)
        try directory.quarantine.synchronize()
    }

    private func write(
        _ slot: ChunkSlot, _ firstRow: Int64, _ pieces: [ChunkReplay.Piece], _ places: Places,
        _ folder: borrowing Directory, _ preamble: [UInt8]
    ) throws(SyscallError) -> ClosedChunk {
        let (name, digester) = (OpenChunk.fileName(slot), ChunkDigester())
        let temporary = ".\(name).part"
        try folder.remove(temporary)
        let file = SharedFile(try folder.openFile(temporary, .createNew))
        var checksum = Checksum()
        var length: Int64 = 0
        func append(_ bytes: [UInt8]) throws(SyscallError) {
            try file.descriptor.write(bytes, at: length)
            digester.update(bytes[...])
            checksum.update(bytes[...])
            length += Int64(bytes.count)
        }
        if pieces[0].offset > 0 { try append(preamble) }
        for piece in pieces {
            if let inline = piece.inline {
                try append(inline)
            } else {
                guard let source = try Self.file(with: piece, places.files), try Self.forEach(piece, in: source, append)
                else { throw SyscallError.unreadable }
            }
        }
        try file.descriptor.synchronize()
        try folder.rename(temporary, to: folder, as: name)
        return ClosedChunk(
            slot: slot, id: digester.finish(), file: file, bytes: length, rows: Self.rows(pieces), firstRow: firstRow,
            first: pieces[0].first, last: pieces[pieces.count - 1].last, checksum: checksum.value)
    }

    // MARK: Gaps

    /// One gap for each stretch that is missing, between what is there before and behind it.
    private mutating func noteDamage(_ replay: ChunkReplay, _ spans: [ChunkReplay.Span]) {
        for (position, span) in spans.enumerated() {
            guard case .missing(let rows, let times) = span else { continue }
            var (from, to) = (times?.from, times?.to)
            if position > 0, case .sound(let before) = spans[position - 1] { from = before.last?.last }
            if position + 1 < spans.count, case .sound(let after) = spans[position + 1] { to = after.first?.first }
            result.damage.append(
                .init(slot: replay.slot, from: from ?? to ?? replay.pieces[0].first, to: to, rows: rows))
            result.reports.append(
                "chunk \(OpenChunk.fileName(replay.slot)) of session \(replay.slot.session) lost committed bytes; "
                    + "what is sound was kept")
        }
    }
}
