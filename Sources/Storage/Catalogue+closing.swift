internal import Model
internal import Reactor

/// Closing another node's session: `Docs/Storage.md`, "Live copies".
extension Catalogue {
    /// What a peer told of these bytes is satisfied by them, too.
    func adoptHeard(_ held: [HeldChunk]) throws(StoreError) {
        for chunk in held {
            let heard = try indexed { index throws(SQLite.Failure) in try index.heardFacts(naming: chunk.fact.sha256) }
            _ = try adoptHeld(heard.compactMap { RecordedFact(parsing: $0) }, sessions: [])
        }
    }

    /// A copy that leaves, cut to its last whole row; nil where it has none or is nothing that a fact can tell of, and
    /// it is set aside. Its rows are those that its bytes have, whatever was claimed of them.
    func wholeRows(of copy: CopyFile) async throws(StoreError) -> ClosedChunk? {
        let end = try endOfRows(copy)
        let (content, lines) = try readRows(copy, upTo: end)
        let rows = max(0, lines - (try preambleLines(copy.slot)))
        let shorter = copy.shortened(
            to: end, rows: rows, checksum: content.checksum, id: content.id, file: copy.file)
        guard rows > 0, isTellable(shorter.closed(content.id)) else {
            try await setAside(copy, as: "surplus")
            return nil
        }
        guard end < copy.length else { return shorter.closed(content.id) }
        return try await cut(copy, to: shorter).closed(content.id)
    }

    /// What this node would say of it is a fact that every node takes.
    private func isTellable(_ chunk: ClosedChunk) -> Bool {
        let name = FactName(author: node, incarnation: incarnation, n: 1)
        let fact = Fact(name: name, session: chunk.slot.session, at: mint.now(), body: chunk.body)
        return RecordedFact(parsing: RecordedFact(encoding: fact).bytes) != nil
    }

    private func preambleLines(_ slot: ChunkSlot) throws(StoreError) -> Int64 {
        let stream = try opening(of: slot.session)?.streams.first { $0.name == slot.stream }
        return Int64((stream?.preamble ?? []).count { $0 == UInt8(ascii: "\n") })
    }

    private func readRows(
        _ copy: CopyFile, upTo end: Int64
    ) throws(StoreError) -> (content: (checksum: UInt32, id: ChunkID), lines: Int64) {
        let digester = ChunkDigester()
        var checksum = Checksum()
        var lines = 0
        try forEachPiece(of: copy, 0..<end) { piece throws(SyscallError) in
            digester.update(piece[...])
            checksum.update(piece[...])
            lines += piece.count { $0 == UInt8(ascii: "\n") }
        }
        return ((checksum.value, digester.finish()), Int64(lines))
    }

    private func forEachPiece(
        of copy: CopyFile, _ range: Range<Int64>, _ body: ([UInt8]) throws(SyscallError) -> Void
    ) throws(StoreError) {
        try lifting { () throws(SyscallError) in
            var offset = range.lowerBound
            while offset < range.upperBound {
                let piece = try copy.file.descriptor.read(
                    count: Int(min(Limits.recoveryReadBytes, range.upperBound - offset)), at: offset)
                guard !piece.isEmpty else { throw SyscallError.unreadable }
                try body(piece)
                offset += Int64(piece.count)
            }
        }
    }

    /// Cuts a copy that leaves to its beginning: what is behind that is no whole row, and is kept in quarantine. What
    /// takes long is done here; the commit lane writes one record and moves one name.
    private func cut(_ copy: CopyFile, to shorter: CopyFile) async throws(StoreError) -> CopyFile {
        let torn = ".\(copy.slot.session).\(OpenChunk.fileName(copy.slot)).torn"
        let checksum = try write(copy, shorter.length..<copy.length, to: torn, in: directory.quarantine).checksum
        try lifting { () throws(SyscallError) in
            let aside = copy.nameAside("torn", at: shorter.length, length: copy.length - shorter.length, checksum)
            if try !directory.quarantine.renameNew(torn, to: directory.quarantine, as: aside) {
                try directory.quarantine.remove(torn)
            }
            try directory.quarantine.synchronize()
        }
        noteQuarantine()
        // Its own file is durable before a record says so; where that fails here the journal writes it anew.
        do throws(SyscallError) { try copy.file.synchronizeOnce() } catch {
            log.warning("a copy that is to be cut could not be synced", ("reason", error))
        }
        let folder: Directory
        do throws(SyscallError) {
            folder = try directory.openFolder(author: copy.slot.author, session: copy.slot.session)
        } catch {
            throw DataDirectory.explain(error, path: directory.path)
        }
        let temporary = ".\(OpenChunk.fileName(copy.slot)).cut"
        let written = try write(copy, 0..<shorter.length, to: temporary, in: folder)
        guard written.checksum == shorter.checksum else { throw .system(SyscallError.unreadable, path: directory.path) }
        return try await journal.cut(copy, to: shorter.moved(to: written.file), from: temporary)
    }

    /// Part of the copy in a new file, durable; an earlier one of this name was left by an attempt that failed.
    private func write(
        _ copy: CopyFile, _ range: Range<Int64>, to name: String, in folder: borrowing Directory
    ) throws(StoreError) -> (file: SharedFile, checksum: UInt32) {
        var checksum = Checksum()
        let file: SharedFile
        do throws(SyscallError) {
            try folder.remove(name)
            file = SharedFile(try folder.openFile(name, .createNew))
        } catch {
            throw DataDirectory.explain(error, path: directory.path)
        }
        var offset: Int64 = 0
        try forEachPiece(of: copy, range) { piece throws(SyscallError) in
            checksum.update(piece[...])
            try file.descriptor.write(piece, at: offset)
            offset += Int64(piece.count)
        }
        try lifting { () throws(SyscallError) in try file.synchronizeOnce() }
        return (file, checksum.value)
    }

    /// Behind the last line's end.
    private func endOfRows(_ copy: CopyFile) throws(StoreError) -> Int64 {
        try lifting { () throws(SyscallError) in
            var end = copy.length
            while end > 0 {
                let start = max(0, end - Limits.recoveryReadBytes)
                let piece = try copy.file.descriptor.read(count: Int(end - start), at: start)
                if let last = piece.lastIndex(of: UInt8(ascii: "\n")) { return start + Int64(last) + 1 }
                end = start
            }
            return 0
        }
    }
}
