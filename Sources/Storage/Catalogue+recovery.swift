internal import Model
internal import Reactor

/// A chunk whose seal was begun and whose bytes are gone or damaged.
struct LostSeal {
    let name: FactName
    let slot: ChunkSlot
    let fact: [UInt8]
}

extension Catalogue {
    /// Holdings and the head for which they are true.
    func statement() throws(StoreError) -> (holdings: Holdings, head: Int64) {
        guard isComplete else {
            let progress = replayProgress()
            throw .indexing(doneBytes: progress?.done ?? 0, totalBytes: progress?.total ?? 0)
        }
        return (holdings, head)
    }

    /// Finishes seals that a crash broke off: wherever the bytes are, their digest is checked, and exactly the fact of
    /// the seal record enters the log, unless its name is there. In groups, as they were begun: a start does not wait
    /// for one sync after another.
    /// Answers the chunks of which nothing sound is left; the write-ahead log remembers them until that is told.
    func finish(_ seals: [FactName: WALRecord.Seal]) async throws(StoreError) -> [LostSeal] {
        var slots: [ChunkSlot] = []
        var lost: [LostSeal] = []
        var group: [Candidate] = []
        for (name, seal) in seals.sorted(by: { $0.key < $1.key }) {
            guard !holdings.contains(name) else {
                if case .open(let slot) = seal.source { slots.append(slot) }
                continue
            }
            guard let recorded = RecordedFact(parsing: seal.fact), let file = try sealedFile(seal),
                let candidate = Candidate(recorded, source: source(of: seal), file: file)
            else {
                log.error("a chunk that was being sealed is gone or damaged", ("chunk", seal.id))
                try setAside(seal)
                if case .open(let slot) = seal.source { lost.append(LostSeal(name: name, slot: slot, fact: seal.fact)) }
                continue
            }
            if case .open(let slot) = seal.source { slots.append(slot) }
            group.append(candidate)
            if group.count == Limits.admitGroupChunks { try await finish(&group) }
        }
        try await finish(&group)
        let unfinished = Set(lost.map(\.name))
        try await journal.sealed(seals.keys.filter { !unfinished.contains($0) }, slots: slots)
        return lost
    }

    /// Where a new copy has taken the place of the one that was sealed, nothing of it is moved.
    private func source(of seal: WALRecord.Seal) -> Candidate.Source {
        switch seal.source {
        case .open(let slot): journal.copySlots.contains(slot) ? .incoming : .open(slot)
        case .incoming: .incoming
        }
    }

    private func finish(_ group: inout [Candidate]) async throws(StoreError) {
        guard !group.isEmpty else { return }
        let candidates = group
        group = []
        for result in await admit(candidates) { _ = try result.get() }
        log.notice("seals that were broken off are finished", ("chunks", candidates.count))
    }

    /// The session's author has sealed this slot: the log says so.
    func isSealed(_ slot: ChunkSlot) throws(StoreError) -> Bool {
        try indexed { index throws(SQLite.Failure) in
            try index.sqlite.integer(
                "SELECT 1 FROM chunks WHERE session = ? AND stream = ? AND idx = ? AND own = 1 AND held = 1",
                [.blob(slot.session.bytes), .text(slot.stream.description), .integer(slot.index)]) != nil
        }
    }

    /// What is left of a chunk that was being sealed and does not have its digest.
    private func setAside(_ seal: WALRecord.Seal) throws(StoreError) {
        guard case .open(let slot) = seal.source, !journal.copySlots.contains(slot) else { return }
        try lifting { () throws(SyscallError) in
            let folder = try directory.openFolder(author: slot.author, session: slot.session)
            let name = OpenChunk.fileName(slot)
            guard try folder.kind(of: name) == .file else { return }
            try folder.rename(name, to: directory.quarantine, as: "\(slot.session).\(name).damaged")
            noteQuarantine()
        }
    }

    /// The chunk's file, under its old name or its new one, if its bytes are those of the digest.
    private func sealedFile(_ seal: WALRecord.Seal) throws(StoreError) -> SharedFile? {
        try lifting { () throws(SyscallError) in
            if let file = try sourceFile(seal), try ChunkDigester.digest(of: file.descriptor) == seal.id { return file }
            guard let folder = try directory.existingChunkFolder(seal.id),
                try folder.kind(of: seal.id.description) == .file
            else { return nil }
            let file = SharedFile(try folder.openFile(seal.id.description, .read))
            return try ChunkDigester.digest(of: file.descriptor) == seal.id ? file : nil
        }
    }

    private func sourceFile(_ seal: WALRecord.Seal) throws(SyscallError) -> SharedFile? {
        do throws(SyscallError) {
            switch seal.source {
            case .open(let slot):
                let folder = try directory.openFolder(author: slot.author, session: slot.session)
                return SharedFile(try folder.openFile(OpenChunk.fileName(slot), .read))
            case .incoming: return SharedFile(try directory.incoming.openFile(seal.id.description, .read))
            }
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }
}
