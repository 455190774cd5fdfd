internal import Model
internal import Reactor

/// What is gone and what comes back: `Docs/Storage.md`, "Gone and back".
extension Catalogue {
    /// The bytes of a chunk are gone or wrong: the node says so, and holds its facts no more, until they come back.
    func lose(_ id: ChunkID, reason: String) throws(StoreError) {
        let names = try indexed { index throws(SQLite.Failure) in try index.names(of: id) }
            .filter { holdings.contains($0) }
        guard !names.isEmpty else { return }
        let slots = try indexed { index throws(SQLite.Failure) in try index.slots(of: id) }
        try append([mint.mint(.lost(ChunkState(sha256: id, reason: reason)), in: nil)])
        for name in names {
            holdings.remove(name)
            guard !heard.contains(name) else { continue }
            heard.insert(name)
            heardCount += 1
        }
        incidents.report(.damagedChunk, "chunk \(id) is lost here (\(reason)); a peer that has it is asked for it")
        showAgain(slots)
        losses.ring(at: head)
    }

    /// The fact is in the log, and its chunk's bytes are gone.
    func isLost(_ name: FactName) -> Bool { logged.contains(name) && !holdings.contains(name) }

    /// Facts of the log that are held again with these chunks; the word for it is appended to the log.
    func regain(_ ids: Set<ChunkID>) throws(StoreError) {
        for id in ids.sorted() {
            let names = try indexed { index throws(SQLite.Failure) in try index.names(of: id) }
                .filter(isLost)
            guard !names.isEmpty else { continue }
            try append([mint.mint(.held(ChunkState(sha256: id, reason: "healed")), in: nil)])
            for name in names {
                holdings.insert(name)
                forgetHeard(name)
            }
            showAgain(try indexed { index throws(SQLite.Failure) in try index.slots(of: id) })
            log.notice("a lost chunk is here again", ("chunk", id))
        }
    }

    /// A line of the log cannot be read: its fact is not held, and a peer that has it is asked for it.
    func forget(_ row: Index.FactRow) throws(StoreError) {
        guard let name = try indexed({ index throws(SQLite.Failure) in try index.name(seq: row.seq) }) else { return }
        let place = "segment \(row.position.segment), offset \(row.position.offset)"
        incidents.report(
            .damagedLine, "a line of the log is damaged (\(place)); a peer that has fact \(name) is asked for it")
        logged.remove(name)
        holdings.remove(name)
        forgetHeard(name)
        let logged = self.logged
        try indexed { index throws(SQLite.Failure) in try index.forget(row.seq, name, logged: logged) }
        forgettings.ring(at: head)
    }

    // MARK: What reading again found

    /// Held chunks that were not read since `realtime`, the oldest first.
    func unread(since realtime: Int64, limit: Int) throws(StoreError) -> [Index.HeldFile] {
        try indexed { index throws(SQLite.Failure) in try index.unread(since: realtime, limit: limit) }
    }

    /// nil where it is not held.
    func heldLength(of id: ChunkID) throws(StoreError) -> Int64? {
        try indexed { index throws(SQLite.Failure) in try index.length(of: id) }
    }

    /// These were read and are sound. Their names in the folder for people are looked at as well, and manifests that
    /// say something else are written again with the next refresh.
    func noteSound(_ ids: [ChunkID], at realtime: Int64) throws(StoreError) {
        try indexed { index throws(SQLite.Failure) in try index.setRead(ids, at: realtime) }
        for id in ids {
            let slots = try indexed { index throws(SQLite.Failure) in try index.slots(of: id) }
            for slot in slots { if let session = SessionID(bytes: slot.session) { stale.insert(session) } }
            showAgain(slots.filter { isMisshown($0, id) })
        }
    }

    /// A chunk's file was found damaged, short or gone. It is read once more here, where nothing moves it: what is
    /// wrong goes to quarantine, and the loss to the log. Answers whether it was so.
    func condemn(_ id: ChunkID) throws(StoreError) -> Bool {
        guard try heldLength(of: id) != nil else { return false }
        let reason: String? = try lifting { () throws(SyscallError) in
            guard let folder = try directory.existingChunkFolder(id), try folder.kind(of: id.description) == .file
            else { return "missing" }
            guard let fault = try fault(of: id, in: folder) else { return nil }
            try folder.rename(id.description, to: directory.quarantine, as: "\(id).\(fault)")
            try folder.synchronize()
            try directory.quarantine.synchronize()
            noteQuarantine()
            return fault
        }
        guard let reason else { return false }
        try lose(id, reason: reason)
        return true
    }

    private func fault(
        of id: ChunkID, in folder: borrowing Directory
    ) throws(SyscallError) -> String? {
        do throws(SyscallError) {
            let file = try folder.openFile(id.description, .read)
            file.forgetCache()
            return try ChunkDigester.digest(of: file) == id ? nil : "damaged"
        } catch {
            guard error.isUnreadable else { throw error }
            return "unreadable"
        }
    }

    /// Somebody may have put a lost chunk's file back: some of the lost are looked for, and held again where their
    /// bytes are right.
    func findLost() throws(StoreError) {
        var found: Set<ChunkID> = []
        for chunk in try indexed({ index throws(SQLite.Failure) in try index.someLost(Limits.lostLook) }) {
            let isBack = try lifting { () throws(SyscallError) in
                guard let folder = try directory.existingChunkFolder(chunk.id),
                    try folder.length(of: chunk.id.description) == chunk.bytes
                else { return false }
                let file = try folder.openFile(chunk.id.description, .read)
                guard try ChunkDigester.digest(of: file) == chunk.id else { return false }
                // Whoever put it there need not have synced it.
                try file.changeMode(0o440)
                try file.synchronize()
                try folder.synchronize()
                return true
            }
            if isBack { found.insert(chunk.id) }
        }
        try regain(found)
    }

    /// A line of the log was found damaged. Answers whether it was a fact that is known here.
    func condemnLine(segment: Int64, offset: Int64) throws(StoreError) -> Bool {
        let row = try indexed { index throws(SQLite.Failure) in try index.fact(segment: segment, start: offset) }
        guard let row else { return false }
        return try read(row) == nil
    }

    /// Looks for the file of every chunk that is held, makes the folder for people again, and tells how many are gone.
    @discardableResult
    func compareWithFiles() throws(StoreError) -> Int {
        var gone = 0
        for chunk in try indexed({ index throws(SQLite.Failure) in try index.held() }) {
            let length = try lifting { () throws(SyscallError) in
                try directory.existingChunkFolder(chunk.id)?.length(of: chunk.id.description)
            }
            if length != chunk.bytes, try condemn(chunk.id) { gone += 1 }
        }
        for row in try indexed({ index throws(SQLite.Failure) in try index.sessions() }) {
            stale.insert(row.id)
            if let opening = try opening(of: row.id) { try showAll(row.id, opening) }
        }
        return gone
    }
}
