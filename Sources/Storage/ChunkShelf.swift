internal import Model
internal import Reactor

/// What needs neither the log nor the index, on the lane for reading: held chunks are opened there, and arriving ones
/// digested, while the admit lane waits for the disk.
actor ChunkShelf {
    private let lane: DiskLane
    private let directory: DataDirectory

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane, directory: DataDirectory) {
        self.lane = lane
        self.directory = directory
    }

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

    func digests(of pieces: [[UInt8]]) -> [ChunkID] { pieces.map(ChunkDigester.digest(of:)) }
}
