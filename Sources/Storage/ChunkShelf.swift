internal import Model
internal import Reactor

/// Opens held chunks on the lane for reading, which needs neither the log nor the index.
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

    /// Small chunks whole, from `ids` on until they are `byteLimit` or more; nil for what is not here, cannot be read
    /// or is too large.
    func contents(of ids: ArraySlice<ChunkID>, byteLimit: Int) -> [[UInt8]?] {
        var found: [[UInt8]?] = []
        var bytes = 0
        for id in ids where bytes < byteLimit {
            let content = contents(of: id)
            bytes += content?.count ?? 0
            found.append(content)
        }
        return found
    }

    private func contents(of id: ChunkID) -> [UInt8]? {
        do throws(SyscallError) {
            guard let file = try find(id), file.length <= Limits.collectedChunkBytes else { return nil }
            let bytes = try file.read(count: Int(file.length), at: 0)
            return bytes.count == Int(file.length) ? bytes : nil
        } catch {
            return nil
        }
    }
}
