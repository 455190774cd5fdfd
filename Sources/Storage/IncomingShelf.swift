internal import Model
internal import Reactor

/// Chunks on their way into the store, on a lane of their own: written to `incoming/` and digested as they come, while
/// the admit lane waits for the disk. Nothing is durable here, and nobody is told of it.
actor IncomingShelf {
    private let lane: DiskLane
    private let directory: DataDirectory
    private var pulls: [ChunkID: Pull] = [:]
    private var asides: [ChunkID: Aside] = [:]
    private var ledger: PieceLedger?
    private var rests = 0
    /// Whole, and on their way into the store: nobody touches their files until that is over.
    private var arriving: Set<ChunkID> = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane, directory: DataDirectory) {
        self.lane = lane
        self.directory = directory
    }

    /// A whole chunk in `incoming/`: written, not synced, and whatever its bytes are.
    struct Arrival: Sendable {
        let chunk: WantedChunk
        /// In `incoming/`: another one than the chunk's where bytes in memory do not have its digest.
        let name: String
        let file: SharedFile
        let digest: ChunkID
    }

    /// A beginning that is longer than a chunk by another fact of the same digest. One of the facts is wrong, and which
    /// one is known when either is whole: until then what came by the longer one is kept.
    private struct Aside {
        let pull: Pull
        let pieces: [PieceLedger.Piece]

        static func fileName(_ id: ChunkID) -> String { "\(id).longer" }
    }

    // MARK: In pieces

    /// How much of the chunk is here. What an earlier process left is read and believed as far as its pieces have their
    /// checksums.
    func begin(_ chunk: WantedChunk) throws(StoreError) -> Int64 {
        let id = chunk.fact.sha256
        guard !arriving.contains(id) else { throw .pullMoved(id, length: chunk.fact.bytes) }
        return try lifting { () throws(SyscallError) in
            var pull: Pull
            if let known = pulls[id] { pull = known } else { pull = try resume(id) }
            if pull.length > chunk.fact.bytes {
                pull = try setAside(pull, id)
            } else if let aside = asides[id], (pull.length...chunk.fact.bytes).contains(aside.pull.length) {
                pull = try bringBack(aside, id)
            }
            pull.isSuspended = false
            pulls[id] = pull
            return pull.length
        }
    }

    private func resume(_ id: ChunkID) throws(SyscallError) -> Pull {
        let ledger = try openLedger()
        let pull = Pull(file: SharedFile(try openFile(id.description)))
        ledger.replace(try pull.resume(ledger.pieces(of: id)), of: id)
        return pull
    }

    /// The chunk is begun anew in another file.
    private func setAside(_ pull: Pull, _ id: ChunkID) throws(SyscallError) -> Pull {
        let ledger = try openLedger()
        let pieces = ledger.pieces(of: id)
        pulls[id] = nil
        if asides[id].map({ $0.pull.length >= pull.length }) ?? (asides.count >= Limits.suspendedPulls) {
            try directory.incoming.remove(id.description)
        } else {
            try directory.incoming.rename(id.description, to: directory.incoming, as: Aside.fileName(id))
            asides[id] = Aside(pull: pull, pieces: pieces)
        }
        ledger.forget(id)
        return Pull(file: SharedFile(try openFile(id.description)))
    }

    private func bringBack(_ aside: Aside, _ id: ChunkID) throws(SyscallError) -> Pull {
        let ledger = try openLedger()
        (pulls[id], asides[id]) = (nil, nil)
        try directory.incoming.rename(Aside.fileName(id), to: directory.incoming, as: id.description)
        ledger.forget(id)
        try ledger.add(aside.pieces, to: id)
        return aside.pull
    }

    /// The chunk is whole, with other bytes. What cannot be removed is when the store is opened next.
    private func dropAside(_ id: ChunkID) {
        guard asides.removeValue(forKey: id) != nil else { return }
        _ = try? directory.incoming.remove(Aside.fileName(id))
    }

    private func openLedger() throws(SyscallError) -> PieceLedger {
        if let ledger { return ledger }
        let opened = try PieceLedger(directory)
        ledger = opened
        return opened
    }

    /// A file that an earlier attempt made read-only, before its rename failed, is begun anew.
    private func openFile(_ name: String) throws(SyscallError) -> Descriptor {
        do {
            return try directory.incoming.openFile(name, .createOrOpen)
        } catch {
            guard error.isNotPermitted else { throw error }
            return try createFile(name)
        }
    }

    /// `offset` is where the caller believes that what is here ends.
    func append(_ chunk: WantedChunk, _ bytes: [UInt8], at offset: Int64) throws(StoreError) {
        let id = chunk.fact.sha256
        guard let pull = pulls[id] else { throw .notFound(id) }
        guard offset == pull.length else { throw .pullMoved(id, length: pull.length) }
        let length = pull.length + Int64(bytes.count)
        guard length <= chunk.fact.bytes else {
            throw .wrongLength(id, expected: chunk.fact.bytes, actual: length)
        }
        do {
            try openLedger().add(try pull.append(bytes), to: id)
        } catch {
            // How much of it the file took is not known: the next attempt reads it.
            pulls[id] = nil
            throw DataDirectory.explain(error, path: directory.path)
        }
    }

    /// Leaves it for a later attempt. Some stay open, so that a link that flaps does not have them read each time.
    func suspend(_ chunk: WantedChunk) throws(StoreError) {
        let id = chunk.fact.sha256
        guard let pull = pulls[id] else { return }
        rests += 1
        (pull.isSuspended, pull.rest) = (true, rests)
        let resting = pulls.filter(\.value.isSuspended)
        if resting.count > Limits.suspendedPulls,
            let oldest = resting.min(by: { $0.value.rest < $1.value.rest })?.key
        {
            pulls[oldest] = nil
        }
        try lifting { () throws(SyscallError) in try openLedger().add(pull.lastPiece(), to: id) }
    }

    /// The beginning of a chunk that another file has, `length` bytes of it; nothing where more of it came already, or
    /// somebody adds to it.
    func takeBeginning(of chunk: WantedChunk, from file: SharedFile, length: Int64) throws(StoreError) -> Int64 {
        guard !arriving.contains(chunk.fact.sha256) else { return chunk.fact.bytes }
        if let pull = pulls[chunk.fact.sha256], !pull.isSuspended { return pull.length }
        var done = try begin(chunk)
        let end = min(length, chunk.fact.bytes)
        while done < end {
            let piece = try lifting { () throws(SyscallError) in
                try file.descriptor.read(count: Int(min(1 << 20, end - done)), at: done)
            }
            if piece.isEmpty { break }
            try append(chunk, piece, at: done)
            done += Int64(piece.count)
        }
        try suspend(chunk)
        return done
    }

    /// Files with bytes since the last call, the ledger last: to be synced by whoever asks, which tells nobody whether
    /// these bytes are durable.
    func dirt() -> [SharedFile] {
        let files = pulls.values.filter { $0.takeDirt() }.map(\.file)
        guard !files.isEmpty, let ledger else { return [] }
        return files + [ledger.file]
    }

    // MARK: Whole

    /// Bytes in memory are written; what came in pieces is in its file, and its digest is known.
    func take(_ arrivals: [ChunkArrival]) -> [Result<Arrival, StoreError>] {
        let isGroup = directory.hasWholeSync && arrivals.count >= Limits.wholeSyncChunks
        return arrivals.map { arrival in
            do throws(StoreError) {
                let id = arrival.chunk.fact.sha256
                guard !arriving.contains(id) else { throw .pullMoved(id, length: arrival.chunk.fact.bytes) }
                let taken: Arrival
                if let bytes = arrival.bytes {
                    taken = try take(arrival.chunk, bytes, isGroup: isGroup)
                } else {
                    taken = try finish(arrival.chunk)
                }
                arriving.insert(id)
                return .success(taken)
            } catch {
                return .failure(error)
            }
        }
    }

    private func take(_ chunk: WantedChunk, _ bytes: [UInt8], isGroup: Bool) throws(StoreError) -> Arrival {
        let id = chunk.fact.sha256
        guard Int64(bytes.count) == chunk.fact.bytes else {
            throw .wrongLength(id, expected: chunk.fact.bytes, actual: Int64(bytes.count))
        }
        // Wrong bytes do not take the place of a beginning.
        let digest = ChunkDigester.digest(of: bytes)
        let name = digest == id ? id.description : "\(id).wrong"
        if digest == id {
            pulls[id] = nil
            ledger?.forget(id)
            dropAside(id)
        }
        let file = try lifting { () throws(SyscallError) in
            let file = SharedFile(try createFile(name))
            try file.descriptor.write(bytes, at: 0)
            // The disk works on it while the rest of the group is written; the sync then finds little left to do. A
            // sync of everything goes through all of them at once.
            if !isGroup { file.descriptor.startWriteback() }
            return file
        }
        return Arrival(chunk: chunk, name: name, file: file, digest: digest)
    }

    /// What an earlier attempt left may be read-only, if only its rename failed.
    private func createFile(_ name: String) throws(SyscallError) -> Descriptor {
        do {
            return try directory.incoming.openFile(name, .createNew)
        } catch {
            guard error.alreadyExists else { throw error }
            try directory.incoming.remove(name)
            return try directory.incoming.openFile(name, .createNew)
        }
    }

    private func finish(_ chunk: WantedChunk) throws(StoreError) -> Arrival {
        let id = chunk.fact.sha256
        guard let pull = pulls[id] else { throw .notFound(id) }
        guard pull.length == chunk.fact.bytes else {
            throw .wrongLength(id, expected: chunk.fact.bytes, actual: pull.length)
        }
        pulls[id] = nil
        let digest = pull.digester.finish()
        if digest == id { dropAside(id) }
        return Arrival(chunk: chunk, name: id.description, file: pull.file, digest: digest)
    }

    /// They are in the store, or were refused.
    func left(_ arrivals: [Result<Arrival, StoreError>]) {
        for case .success(let arrival) in arrivals { arriving.remove(arrival.chunk.fact.sha256) }
    }

    /// Sealed, or set aside: nothing of them is waited for.
    func forget(_ ids: [ChunkID]) {
        guard let ledger else { return }
        for id in ids { ledger.forget(id) }
    }

    private func lifting<Result>(_ body: () throws(SyscallError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch { throw DataDirectory.explain(error, path: directory.path) }
    }
}

/// Syncs what has arrived of chunks, on another lane than the one that takes their bytes.
actor IncomingSync {
    private let lane: DiskLane
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane) { self.lane = lane }

    /// A file whose sync fails is known by that from then on, and written anew before it is sealed.
    func synchronize(_ files: [SharedFile]) throws(SyscallError) {
        for file in files where file.isSound { try file.synchronizeSoFar() }
    }
}
