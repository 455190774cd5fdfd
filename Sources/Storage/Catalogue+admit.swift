internal import Model
internal import Reactor

/// A chunk on its way into the store: its bytes in a file, its digest known, its fact written.
struct Candidate: Sendable {
    enum Source: Sendable {
        case open(ChunkSlot)
        case incoming
    }

    let source: Source
    let recorded: RecordedFact
    let chunk: ChunkFact
    let session: SessionID
    let file: SharedFile
}

extension Catalogue {
    /// Seals and admits, the same for what was recorded here and what was pulled: `Docs/Storage.md`, "Seal and admit".
    /// A failure concerns its candidate alone; what failed may be admitted again.
    func admit(_ candidates: [Candidate]) async -> [Result<HeldChunk, StoreError>] {
        var failures: [Int: StoreError] = [:]
        // 1. The chunk's file is synced.
        if isGroup(candidates) { synchronizeAtOnce(candidates) }
        for (position, candidate) in candidates.enumerated() {
            note(&failures, position) { () throws(SyscallError) in try synchronize(candidate) }
        }
        // 2. The seal record holds the whole fact.
        var seals: [FactName: WALRecord.Seal] = [:]
        for (position, candidate) in candidates.enumerated() where failures[position] == nil {
            seals[candidate.recorded.fact.name] = candidate.seal
        }
        do {
            try await journal.appendSeals(seals)
        } catch {
            return candidates.indices.map { .failure(failures[$0] ?? error) }
        }
        // 3 to 5. Mode, name, directories.
        place(candidates, &failures)
        // 6 to 8. The fact is logged and synced; event and index follow from it.
        let sound = candidates.indices.filter { failures[$0] == nil }
        do {
            let back = sound.map { candidates[$0] }.filter { isLost($0.recorded.fact.name) }.map(\.chunk.sha256)
            try append(sound.map { candidates[$0].recorded })
            try regain(Set(back))
        } catch {
            for position in sound { failures[position] = error }
        }
        let done = candidates.indices.filter { failures[$0] == nil }.map { candidates[$0] }
        for candidate in done {
            noteSealed(candidate)
            show(candidate.session, candidate.chunk)
        }
        await settleCopies(
            done.compactMap { candidate in
                let slot = journal.copySlots[candidate.session, candidate.chunk.stream, candidate.chunk.index]
                return slot == candidate.slot ? nil : slot
            })
        do {
            try await journal.sealed(done.map(\.recorded.fact.name), slots: done.compactMap(\.slot))
        } catch {
            // The facts are in the log; what the write-ahead log still remembers is passed over at the next start.
            log.warning("a session's state could not be written", ("reason", error))
        }
        return candidates.enumerated().map { position, candidate in
            failures[position].map(Result.failure) ?? .success(held(candidate))
        }
    }

    /// Law 1 is met: who has copied it so far need not send for it again.
    private func noteSealed(_ candidate: Candidate) {
        let copy = journal.copySlots[candidate.session, candidate.chunk.stream, candidate.chunk.index]
        guard let slot = candidate.slot ?? copy, slot.author == candidate.recorded.fact.name.author else { return }
        journal.board.ended(slot, .sealed(fact: candidate.recorded.bytes))
    }

    private func note(
        _ failures: inout [Int: StoreError], _ position: Int, _ body: () throws(SyscallError) -> Void
    ) {
        do { try body() } catch { failures[position] = DataDirectory.explain(error, path: directory.path) }
    }

    private func held(_ candidate: Candidate) -> HeldChunk {
        HeldChunk(
            session: candidate.session, fact: candidate.chunk, name: candidate.recorded.fact.name, seq: head,
            at: candidate.recorded.fact.at)
    }

    private func isGroup(_ candidates: [Candidate]) -> Bool {
        directory.hasWholeSync && candidates.count >= Limits.wholeSyncChunks
    }

    /// One sync of the whole file system for many files: a tenth of what their own would take. Where it fails each
    /// file is synced for itself: then those fail that are concerned. Where it succeeds each is asked for its own
    /// error, since an earlier one may have been told of that, and not of which file it was.
    private func synchronizeAtOnce(_ candidates: [Candidate]) {
        let files = candidates.map(\.file).filter(\.isSound)
        do throws(SyscallError) {
            try directory.incoming.synchronizeFileSystem()
            for file in files { file.noteDurable() }
        } catch {
            log.warning("a sync of the whole file system failed; each file is synced for itself", ("reason", error))
        }
    }

    /// Syncs the file; after a failure the bytes are written anew elsewhere, since the kernel may have dropped them.
    private func synchronize(_ candidate: Candidate) throws(SyscallError) {
        do throws(SyscallError) {
            try candidate.file.synchronizeOnce()
        } catch {
            _ = try candidate.file.writeAnew(
                as: sourceName(candidate), in: try sourceFolder(candidate), length: candidate.chunk.bytes,
                keeping: "\(candidate.chunk.sha256).failed", in: directory.quarantine
            ) { ChunkDigester.digest(of: $0) == candidate.chunk.sha256 }
            incidents.report(
                .chunkWrittenAnew, "chunk \(candidate.chunk.sha256) was written anew: its sync failed (\(error))")
        }
    }

    private func sourceFolder(_ candidate: Candidate) throws(SyscallError) -> Directory {
        switch candidate.source {
        case .open(let slot): try directory.openFolder(author: slot.author, session: slot.session)
        case .incoming: try directory.root.openDirectory("incoming")
        }
    }

    private func sourceName(_ candidate: Candidate) -> String {
        candidate.slot.map(OpenChunk.fileName) ?? candidate.chunk.sha256.description
    }

    private func place(_ candidates: [Candidate], _ failures: inout [Int: StoreError]) {
        var folders: [String: [Int]] = [:]
        for (position, candidate) in candidates.enumerated() where failures[position] == nil {
            note(&failures, position) { () throws(SyscallError) in try rename(candidate) }
            folders[String(candidate.chunk.sha256.description.prefix(2)), default: []].append(position)
        }
        // rename(2) is not durable until both directories are: a power cut could forget the name and keep the bytes.
        let isSynced = isGroup(candidates) && synchronizeFoldersAtOnce()
        for positions in folders.values {
            let id = candidates[positions[0]].chunk.sha256
            do throws(SyscallError) {
                try synchronize(try directory.chunkFolder(id), isSynced: isSynced)
            } catch {
                for position in positions { failures[position] = DataDirectory.explain(error, path: directory.path) }
            }
        }
        var sources: Set<String> = []
        for (position, candidate) in candidates.enumerated() where failures[position] == nil {
            note(&failures, position) { () throws(SyscallError) in
                let folder = try sourceFolder(candidate)
                if sources.insert(folder.path).inserted { try synchronize(folder, isSynced: isSynced) }
            }
        }
    }

    private func synchronizeFoldersAtOnce() -> Bool {
        do throws(SyscallError) {
            try directory.incoming.synchronizeFileSystem()
            return true
        } catch {
            log.warning("a sync of the whole file system failed; each folder is synced", ("reason", error))
            return false
        }
    }

    private func synchronize(_ folder: borrowing Directory, isSynced: Bool) throws(SyscallError) {
        if isSynced { try folder.checkWriteback() } else { try folder.synchronize() }
    }

    private func rename(_ candidate: Candidate) throws(SyscallError) {
        switch candidate.source {
        case .incoming: try rename(candidate, in: directory.incoming)
        case .open(let slot):
            try rename(candidate, in: try directory.openFolder(author: slot.author, session: slot.session))
        }
    }

    /// Gives the chunk its name. One that has it already is believed only after its bytes were read again.
    private func rename(_ candidate: Candidate, in folder: borrowing Directory) throws(SyscallError) {
        let id = candidate.chunk.sha256
        let name = sourceName(candidate)
        let target = try directory.chunkFolder(id)
        do throws(SyscallError) {
            if candidate.file.isReplaced {
                try folder.openFile(name, .read).changeMode(0o440)
            } else {
                // What gets the name is what was verified, and nothing that took its place.
                guard try folder.leads(name, to: candidate.file.descriptor, length: candidate.chunk.bytes) else {
                    throw SyscallError.misplaced
                }
                try candidate.file.descriptor.changeMode(0o440)
            }
            if try folder.renameNew(name, to: target, as: id.description) { return }
        } catch {
            // Another fact that names the same bytes was before it.
            guard error.isNotFound, try target.kind(of: id.description) == .file else { throw error }
            return
        }
        let present = try target.openFile(id.description, .read)
        if try ChunkDigester.digest(of: present) == id {
            try folder.remove(name)
        } else {
            incidents.report(.damagedChunk, "chunk \(id) was damaged in the store and is replaced")
            try target.rename(id.description, to: directory.quarantine, as: "\(id).damaged")
            noteQuarantine()
            _ = try folder.renameNew(name, to: target, as: id.description)
        }
    }
}

extension Candidate {
    fileprivate var slot: ChunkSlot? { if case .open(let slot) = source { slot } else { nil } }

    fileprivate var seal: WALRecord.Seal {
        let source: WALRecord.Seal.Source =
            switch self.source {
            case .open(let slot): .open(slot)
            case .incoming: .incoming
            }
        return WALRecord.Seal(source: source, id: chunk.sha256, fact: recorded.bytes)
    }

    /// nil where the fact is no chunk of a session.
    init?(_ recorded: RecordedFact, source: Source, file: SharedFile) {
        guard case .chunk(let chunk) = recorded.fact.body, let session = recorded.fact.session else { return nil }
        self.init(source: source, recorded: recorded, chunk: chunk, session: session, file: file)
    }
}
