internal import Model
internal import Reactor

/// What needs neither the log nor the index, on the lane for reading: held chunks are opened there, and arriving ones
/// written and digested, while the admit lane waits for the disk.
actor ChunkShelf {
    private let lane: DiskLane
    private let directory: DataDirectory

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane, directory: DataDirectory) {
        self.lane = lane
        self.directory = directory
    }

    nonisolated var path: String { directory.path }

    func open(_ id: ChunkID) throws(StoreError) -> ChunkFile {
        let found: ChunkFile?
        do { found = try find(id) } catch { throw DataDirectory.explain(error, path: directory.path) }
        guard let found else { throw .notFound(id) }
        return found
    }

    private func find(_ id: ChunkID) throws(SyscallError) -> ChunkFile? {
        guard let folder = try directory.existingChunkFolder(id), try folder.kind(of: id.description) == .file
        else { return nil }
        let file = try folder.openFile(id.description, .read)
        return ChunkFile(id: id, length: try file.length(), descriptor: file)
    }

    /// An arriving chunk in `incoming/`: written, not synced, and whatever its bytes are.
    struct Arrival: Sendable {
        let chunk: WantedChunk
        let file: SharedFile
        let digest: ChunkID
    }

    func take(_ arrivals: [(chunk: WantedChunk, bytes: [UInt8])]) -> [Result<Arrival, StoreError>] {
        arrivals.map { arrival in
            do throws(StoreError) { return .success(try take(arrival.chunk, arrival.bytes)) } catch {
                return .failure(error)
            }
        }
    }

    private func take(_ chunk: WantedChunk, _ bytes: [UInt8]) throws(StoreError) -> Arrival {
        let id = chunk.fact.sha256
        guard Int64(bytes.count) == chunk.fact.bytes else {
            throw .wrongLength(id, expected: chunk.fact.bytes, actual: Int64(bytes.count))
        }
        let file: SharedFile
        do { file = try write(bytes, as: id) } catch { throw DataDirectory.explain(error, path: directory.path) }
        return Arrival(chunk: chunk, file: file, digest: ChunkDigester.digest(of: bytes))
    }

    private func write(_ bytes: [UInt8], as id: ChunkID) throws(SyscallError) -> SharedFile {
        // What an earlier attempt left may be read-only, if only its rename failed.
        try directory.incoming.remove(id.description)
        let file = SharedFile(try directory.incoming.openFile(id.description, .createNew))
        try file.descriptor.write(bytes, at: 0)
        // The disk works on it while the rest of the group is written; the sync then finds little left to do.
        file.descriptor.startWriteback()
        return file
    }
}
