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
        let mission = try opening(of: slot.session)?.mission ?? ""
        let wanted = WantedChunk(name: name, session: slot.session, mission: mission, fact: chunk)
        if try await begin(wanted, with: slot, most: chunk.bytes - 1) { return .short }
        guard let copy = try await journal.leave(slot, most: most) else { return .none }
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

    /// A copy of at most `most` bytes is written to where a chunk is pulled to, unless more of that is here already;
    /// false where there is none. The copy itself stays what it is, durable, until the chunk is held.
    private func begin(
        _ chunk: WantedChunk, with slot: ChunkSlot, most: Int64
    ) async throws(StoreError) -> Bool {
        guard let (file, length) = await journal.beginning(slot, most: most) else { return false }
        guard !unfitCopies.contains(slot) else { return true }
        _ = try await incoming.takeBeginning(of: chunk, from: file, length: length)
        return true
    }

    /// A pull is to begin: a copy of the slot is its beginning.
    func useCopy(for chunk: WantedChunk) async throws(StoreError) {
        guard let slot = journal.copySlots[chunk.session, chunk.fact.stream, chunk.fact.index] else { return }
        _ = try await begin(chunk, with: slot, most: chunk.fact.bytes)
    }

    /// What was pulled in pieces was not the chunk: it is pulled anew from its first byte, without the copy, which
    /// stays.
    func distrustCopies(for chunks: [WantedChunk]) {
        for chunk in chunks {
            guard let slot = journal.copySlots[chunk.session, chunk.fact.stream, chunk.fact.index] else { continue }
            unfitCopies.insert(slot)
        }
    }

    // MARK: Copies that are not needed

    /// Kept in quarantine under a name of its own: nothing that was kept before is replaced.
    func setAside(_ copy: CopyFile, as reason: String) async throws(StoreError) {
        let isMoved = try lifting { () throws(SyscallError) in
            let folder = try directory.openFolder(author: copy.slot.author, session: copy.slot.session)
            let name = OpenChunk.fileName(copy.slot)
            guard try folder.kind(of: name) == .file else { return false }
            let aside = copy.nameAside(reason)
            // One of this name has the same bytes.
            if try !folder.renameNew(name, to: directory.quarantine, as: aside) { try folder.remove(name) }
            try directory.quarantine.synchronize()
            return true
        }
        if isMoved { noteQuarantine() }
        unfitCopies.remove(copy.slot)
        // Where the file was gone, a seal had moved it that is still to be finished.
        await journal.gone(copy.slot, withSeals: isMoved)
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

    /// The same for those whose chunk its author sealed; answers them.
    func settleSealed(_ slots: [ChunkSlot]) async throws(StoreError) -> [ChunkSlot] {
        var sealed: [ChunkSlot] = []
        for slot in slots where try isSealed(slot) { sealed.append(slot) }
        await settleCopies(sealed)
        return sealed
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
        unfitCopies.remove(slot)
        await journal.gone(slot, withSeals: true)
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
