internal import Model
internal import Reactor

/// Live copies and the chunks they become: `Docs/Storage.md`, "Live copies".
extension Catalogue {
    /// Why no copy of this slot may begin; nil where one may.
    func refusal(of slot: ChunkSlot) -> StoreError? {
        do throws(StoreError) {
            let row = try indexed { index throws(SQLite.Failure) in try index.sessions(slot.session) }.first
            guard row?.author == slot.author, let opening = try opening(of: slot.session),
                opening.streams.contains(where: { $0.name == slot.stream })
            else { return .unknownSession(slot.session) }
            return try isSealed(slot) ? .sealedAlready(slot) : nil
        } catch {
            return error
        }
    }

    // MARK: A sealed chunk

    /// The copy of a slot whose chunk was sealed elsewhere: held, where it is that chunk.
    func sealCopy(_ slot: ChunkSlot, _ fact: [UInt8]) async throws(StoreError) -> CopyOutcome {
        guard let recorded = RecordedFact(parsing: fact), let chunk = recorded.chunk(of: slot) else { return .none }
        let name = recorded.fact.name
        if try receive([recorded]).refused > 0, isOurs(name) { return .none }
        if holdings.contains(name) {
            await settleCopies([slot])
            return .held
        }
        // A peer that closed the session may have had less: what is here beyond it is kept.
        let most = name.author == slot.author ? Int64.max : chunk.bytes
        guard let copy = try await journal.leave(slot, most: most) else { return .none }
        guard copy.length >= chunk.bytes else {
            let mission = try opening(of: slot.session)?.mission ?? ""
            try await begin(WantedChunk(name: name, session: slot.session, mission: mission, fact: chunk), with: copy)
            return .short
        }
        guard copy.length == chunk.bytes, try digest(of: copy) == chunk.sha256 else {
            incidents.report(
                .damagedChunk,
                "the copy of chunk \(OpenChunk.fileName(slot)) is not what its author sealed; "
                    + "it is kept in quarantine")
            try await setAside(copy, as: "mismatch")
            return .mismatch
        }
        try await admit(copy, as: recorded)
        return .held
    }

    /// Every fact that names these bytes is satisfied by them, this one before all.
    private func admit(_ copy: CopyFile, as recorded: RecordedFact) async throws(StoreError) {
        guard case .chunk(let chunk) = recorded.fact.body else { return }
        let others = try indexed { index throws(SQLite.Failure) in try index.heardFacts(naming: chunk.sha256) }
            .compactMap { RecordedFact(parsing: $0) }.filter { $0.fact.name != recorded.fact.name }
        let candidates = ([recorded] + others)
            .compactMap { Candidate($0, source: .open(copy.slot), file: copy.file) }
            .filter { $0.chunk.bytes == copy.length }
        for result in await admit(candidates) { _ = try result.get() }
    }

    func digest(of copy: CopyFile) throws(StoreError) -> ChunkID {
        if let id = copy.id { return id }
        return try lifting { () throws(SyscallError) in try ChunkDigester.digest(of: copy.file.descriptor) }
    }

    // MARK: The beginning of a chunk

    /// The copy becomes the beginning of a chunk that is to be pulled, unless more of that is here already: durable
    /// there before it goes here.
    private func begin(_ chunk: WantedChunk, with copy: CopyFile) async throws(StoreError) {
        _ = try await incoming.takeBeginning(of: chunk, from: copy.file, length: copy.length)
        let dirt = await incoming.dirt()
        try lifting { () throws(SyscallError) in
            for file in dirt { try file.synchronizeSoFar() }
            try directory.incoming.synchronize()
            let folder = try directory.openFolder(author: copy.slot.author, session: copy.slot.session)
            try folder.remove(OpenChunk.fileName(copy.slot))
            try folder.synchronize()
        }
        await journal.gone(copy.slot)
    }

    /// A pull is to begin: a copy of the slot that nobody follows any more is its beginning.
    func useCopy(for chunk: WantedChunk) async throws(StoreError) {
        guard let slot = journal.copySlots[chunk.session, chunk.fact.stream, chunk.fact.index],
            let copy = try await journal.leave(slot, most: chunk.fact.bytes)
        else { return }
        try await begin(chunk, with: copy)
    }

    // MARK: Copies that are not needed

    func setAside(_ copy: CopyFile, as reason: String) async throws(StoreError) {
        try lifting { () throws(SyscallError) in
            let folder = try directory.openFolder(author: copy.slot.author, session: copy.slot.session)
            let name = OpenChunk.fileName(copy.slot)
            guard try folder.kind(of: name) == .file else { return }
            try folder.rename(name, to: directory.quarantine, as: "\(copy.slot.session).\(name).\(reason)")
            try directory.quarantine.synchronize()
            noteQuarantine()
        }
        await journal.gone(copy.slot)
    }

    /// Copies of slots whose chunk is held: removed where the chunk has their bytes, else set aside. One that has more
    /// than the chunk of a peer that closed the session is kept. What fails here is tried again at the next start.
    func settleCopies(_ slots: [ChunkSlot]) async {
        for slot in slots where journal.copySlots.contains(slot) {
            do throws(StoreError) {
                try await settle(slot)
            } catch {
                log.warning("a copy that is not needed could not be removed", ("reason", error))
            }
        }
    }

    private func settle(_ slot: ChunkSlot) async throws(StoreError) {
        let first = try indexed { index throws(SQLite.Failure) in
            try index.firstChunk(slot.session, slot.stream, slot.index)
        }
        guard let first, let length = try heldLength(of: first) else { return }
        let isOwn = try isSealed(slot)
        guard let copy = try await journal.leave(slot, most: isOwn ? .max : length) else { return }
        guard try isBeginning(copy, of: first) else { return try await setAside(copy, as: "surplus") }
        try lifting { () throws(SyscallError) in
            try directory.openFolder(author: slot.author, session: slot.session).remove(OpenChunk.fileName(slot))
        }
        await journal.gone(slot)
    }

    private func isBeginning(_ copy: CopyFile, of id: ChunkID) throws(StoreError) -> Bool {
        try lifting { () throws(SyscallError) in
            guard let folder = try directory.existingChunkFolder(id), try folder.kind(of: id.description) == .file
            else { return false }
            let chunk = try folder.openFile(id.description, .read)
            guard try chunk.length() >= copy.length else { return false }
            var checksum = Checksum()
            var offset: Int64 = 0
            while offset < copy.length {
                let piece = try chunk.read(count: Int(min(Limits.recoveryReadBytes, copy.length - offset)), at: offset)
                checksum.update(piece[...])
                offset += Int64(piece.count)
            }
            return checksum.value == copy.checksum
        }
    }

    // MARK: Closing

    /// What a peer told of these bytes is satisfied by them, too.
    func adoptHeard(_ held: [HeldChunk]) throws(StoreError) {
        for chunk in held {
            let heard = try indexed { index throws(SQLite.Failure) in try index.heardFacts(naming: chunk.fact.sha256) }
            _ = try adoptHeld(heard.compactMap { RecordedFact(parsing: $0) }, sessions: [])
        }
    }

    /// A copy that leaves, cut to its last whole row; nil where it has none, and it is set aside.
    func wholeRows(of copy: CopyFile) async throws(StoreError) -> ClosedChunk? {
        let end = try endOfRows(copy)
        guard copy.rows > 0, end > 0 else {
            try await setAside(copy, as: "surplus")
            return nil
        }
        guard end < copy.length else { return copy.closed(try digest(of: copy)) }
        let digester = ChunkDigester()
        var checksum = Checksum()
        try lifting { () throws(SyscallError) in
            var offset: Int64 = 0
            while offset < end {
                let piece = try copy.file.descriptor.read(
                    count: Int(min(Limits.recoveryReadBytes, end - offset)), at: offset)
                guard !piece.isEmpty else { throw SyscallError.unreadable }
                digester.update(piece[...])
                checksum.update(piece[...])
                offset += Int64(piece.count)
            }
        }
        let id = digester.finish()
        return try await journal.cut(copy, to: end, checksum: checksum.value, id: id).closed(id)
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

extension RecordedFact {
    /// The chunk that the fact tells of, where it is one of this slot.
    fileprivate func chunk(of slot: ChunkSlot) -> ChunkFact? {
        guard case .chunk(let chunk) = fact.body, fact.session == slot.session, chunk.stream == slot.stream,
            chunk.index == slot.index
        else { return nil }
        return chunk
    }
}
