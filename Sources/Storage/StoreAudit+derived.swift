internal import Model
internal import Reactor

/// Index, folder for people and manifests against an index that is made anew from the log, in a temporary file.
extension StoreAudit {
    func checkDerived(_ root: borrowing Directory) throws {
        guard try root.kind(of: "log") == .directory else { return }
        let reader = try FactLogReader(root)
        let replay: LogReplay
        do {
            // SQLite takes no name for a file of its own that goes with the connection.
            replay = try LogReplay(try Index(path: "", own: node, lines: reader), reader)
            while try !replay.step(now: .max) {}
        } catch let failure as SQLite.Failure {
            throw StoreError.index(failure.message)
        }
        try checkIndex(root, replay)
        try checkView(root, replay.index)
    }

    // MARK: The index

    /// The two have to say the same. A running node may have gone on meanwhile: what the index has more the log gives
    /// when it is read on.
    private func checkIndex(_ root: borrowing Directory, _ replay: LogReplay) throws {
        guard try root.kind(of: Index.fileName) == .file else {
            return add(.staleIndex, Index.fileName, "it is missing; the next start makes it again")
        }
        do {
            try replay.index.attach("\(path)/\(Index.fileName)")
            if let missing = try replay.index.difference(from: .other) {
                return add(.staleIndex, Index.fileName, "\(missing) of the log are not in it, or are others there")
            }
            for attempt in 1...3 {
                while try !replay.step(now: .max) {}
                guard let more = try replay.index.difference(from: .own) else { return }
                if attempt == 3 { add(.staleIndex, Index.fileName, "\(more) of it are not in the log") }
            }
        } catch let failure as SQLite.Failure {
            add(.staleIndex, Index.fileName, failure.message)
        }
    }

    // MARK: The folder for people

    private func checkView(_ root: borrowing Directory, _ truth: Index) throws {
        guard try root.kind(of: "sessions") == .directory else { return }
        let sessions = try root.openDirectory("sessions")
        for row in try truth.sessions() {
            let mission = FolderView.component(row.mission)
            guard try sessions.kind(of: mission) == .directory else { continue }
            let folder = try sessions.openDirectory(mission)
            // A folder that somebody deleted is not missed.
            guard try folder.kind(of: row.id.description) == .directory,
                let opening = try truth.opening(of: row)
            else { continue }
            try check(try folder.openDirectory(row.id.description), of: row, opening, root, truth)
        }
    }

    private func check(
        _ folder: borrowing Directory, of row: Index.SessionRow, _ opening: SessionOpening,
        _ root: borrowing Directory, _ truth: Index
    ) throws {
        let counted = try truth.counted(in: row.id)
        for (slot, id) in counted {
            guard let stream = opening.streams.first(where: { $0.name.description == slot.stream }) else { continue }
            let name = FolderView.chunkName(stream, slot.index)
            let shown = (name.folder.map { $0 + "/" } ?? "") + name.file
            if try !leads(name, in: folder, to: id, root) {
                add(
                    .misshown, "sessions/\(FolderView.component(row.mission))/\(row.id)/\(shown)",
                    "it is not chunk \(id)")
            }
        }
        guard let bytes = try DataDirectory.contents(of: "manifest.json", in: folder, limit: .max) else { return }
        let manifest = try? JSONCoding.decode(ManifestChunks.self, from: bytes)
        let ids = Set(try truth.ids(of: row.id))
        if manifest?.chunks.allSatisfy({ ids.contains($0.sha256) }) != true {
            add(
                .wrongManifest, "sessions/\(FolderView.component(row.mission))/\(row.id)/manifest.json",
                manifest == nil ? "it is damaged" : "it names chunks that the log does not have")
        }
    }

    private func leads(
        _ name: (folder: String?, file: String), in top: borrowing Directory, to id: ChunkID,
        _ root: borrowing Directory
    ) throws -> Bool {
        let chunks = try root.openDirectory("chunks")
        let prefix = String(id.description.prefix(2))
        // What is wrong with the chunk itself was said.
        guard try chunks.kind(of: prefix) == .directory,
            try chunks.openDirectory(prefix).kind(of: id.description) == .file
        else { return true }
        guard let sub = name.folder else {
            return try isChunk(name.file, in: top, id, try chunks.openDirectory(prefix))
        }
        guard try top.kind(of: sub) == .directory else { return false }
        return try isChunk(name.file, in: try top.openDirectory(sub), id, try chunks.openDirectory(prefix))
    }

    private func isChunk(
        _ name: String, in folder: borrowing Directory, _ id: ChunkID, _ chunks: borrowing Directory
    ) throws -> Bool {
        guard try folder.kind(of: name) == .file else { return false }
        if try folder.isSameFile(name, as: id.description, in: chunks) { return true }
        return try ChunkDigester.digest(of: try folder.openFile(name, .read)) == id
    }
}

/// What of a manifest is compared.
private struct ManifestChunks: Decodable {
    struct Chunk: Decodable { let sha256: ChunkID }
    let chunks: [Chunk]
}
