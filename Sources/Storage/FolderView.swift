internal import Model
internal import Reactor

/// `sessions/<mission>/<session>/`: the chunks under names for people. Derived; what goes wrong here harms nothing and
/// is only logged.
struct FolderView {
    let directory: DataDirectory
    let mode: ViewMode
    /// Whether the file system may have reflinks: asked once, since each attempt makes and removes a file.
    private let mayReflink = Locked(true)

    init(directory: DataDirectory, mode: ViewMode) {
        self.directory = directory
        self.mode = mode
    }

    /// Mission and other names from outside as one path component: all but letters, digits, `-`, `_`, `.` and space are
    /// escaped as `%XX`.
    static func component(_ name: String) -> String {
        var text = ""
        for (position, byte) in name.utf8.enumerated() {
            let letter = (65...90).contains(byte) || (97...122).contains(byte)
            let plain = letter || (48...57).contains(byte) || byte == 45 || byte == 95
            let inside = (byte == 46 || byte == 32) && position > 0
            text += plain || inside ? String(UnicodeScalar(byte)) : "%" + Hex.string([byte]).uppercased()
        }
        guard text.utf8.count > 120 else { return text.isEmpty ? "_" : text }
        return text.prefix(110) + "~" + Hex.string(UInt64(Checksum(Array(name.utf8)).value), count: 8)
    }

    /// `chunk_00000.csv`; for a stream other than `data`, `raw/raw_00000.jsonl`.
    static func chunkName(_ stream: StreamDescription, _ index: Int64) -> (folder: String?, file: String) {
        let digits = String(index)
        let number = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        let isData = stream.name == .data
        return (
            isData ? nil : stream.name.description,
            "\(isData ? "chunk" : stream.name.description)_\(number).\(stream.format.rawValue)"
        )
    }

    static func partialName(_ stream: StreamDescription, _ index: Int64) -> (folder: String?, file: String) {
        let name = chunkName(stream, index)
        let dot = name.file.lastIndex(of: ".") ?? name.file.endIndex
        return (name.folder, "\(name.file[..<dot]).partial\(name.file[dot...])")
    }

    func path(mission: String, session: SessionID) -> String {
        "\(directory.path)/sessions/\(Self.component(mission))/\(session)"
    }

    private func folder(mission: String, session: SessionID) throws(SyscallError) -> Directory {
        try directory.root.makeDirectory("sessions").makeDirectory(Self.component(mission))
            .makeDirectory(session.description)
    }

    func exists(mission: String, session: SessionID) throws(SyscallError) -> Bool {
        guard try directory.root.kind(of: "sessions") == .directory else { return false }
        let sessions = try directory.root.openDirectory("sessions")
        guard try sessions.kind(of: Self.component(mission)) == .directory else { return false }
        return try sessions.openDirectory(Self.component(mission)).kind(of: session.description) == .directory
    }

    /// Gives a chunk its name, in place of what had it, and takes away the partial copy of the same slot.
    func show(
        _ id: ChunkID, of opening: SessionOpening, session: SessionID, stream: StreamDescription, index: Int64
    ) throws(SyscallError) {
        guard mode != .off else { return }
        let name = Self.chunkName(stream, index)
        let top = try folder(mission: opening.mission, session: session)
        if let sub = name.folder {
            try place(id, in: try top.makeDirectory(sub), as: name.file)
            try top.makeDirectory(sub).remove(Self.partialName(stream, index).file)
        } else {
            try place(id, in: top, as: name.file)
            try top.remove(Self.partialName(stream, index).file)
        }
    }

    /// Whether a slot's name leads to this chunk: the same file, or one with the same bytes.
    func shows(
        _ id: ChunkID, of opening: SessionOpening, session: SessionID, stream: StreamDescription, index: Int64
    ) throws(SyscallError) -> Bool {
        let name = Self.chunkName(stream, index)
        let top = try folder(mission: opening.mission, session: session)
        guard let sub = name.folder else { return try shows(id, in: top, as: name.file) }
        return try shows(id, in: try top.makeDirectory(sub), as: name.file)
    }

    private func shows(
        _ id: ChunkID, in folder: borrowing Directory, as name: String
    ) throws(SyscallError) -> Bool {
        guard try folder.kind(of: name) == .file, let chunks = try directory.existingChunkFolder(id) else {
            return false
        }
        if try folder.isSameFile(name, as: id.description, in: chunks) { return true }
        return try ChunkDigester.digest(of: try folder.openFile(name, .read)) == id
    }

    /// Takes a slot's name away: nothing is held that could stand there.
    func hide(
        of opening: SessionOpening, session: SessionID, stream: StreamDescription, index: Int64
    ) throws(SyscallError) {
        guard mode != .off, try exists(mission: opening.mission, session: session) else { return }
        let name = Self.chunkName(stream, index)
        let top = try folder(mission: opening.mission, session: session)
        if let sub = name.folder {
            try top.makeDirectory(sub).remove(name.file)
        } else {
            try top.remove(name.file)
        }
    }

    private func place(_ id: ChunkID, in folder: borrowing Directory, as name: String) throws(SyscallError) {
        guard let chunks = try directory.existingChunkFolder(id) else { return try folder.remove(name) }
        // As a rule nothing has the name yet.
        if mode == .link, !mayReflink.withLock({ $0 }), hardLink(id, from: chunks, to: folder, as: name) { return }
        try folder.remove(name)
        if mode == .link {
            if try placeReflink(id, from: chunks, to: folder, as: name) { return }
            // Another file system, or one without links: a copy serves as well.
            if hardLink(id, from: chunks, to: folder, as: name) { return }
        }
        try copy(try chunks.openFile(id.description, .read), to: folder, as: name, length: nil)
    }

    private func placeReflink(
        _ id: ChunkID, from chunks: borrowing Directory, to folder: borrowing Directory, as name: String
    ) throws(SyscallError) -> Bool {
        guard mayReflink.withLock({ $0 }) else { return false }
        let temporary = ".\(name).new"
        try folder.remove(temporary)
        let source = try chunks.openFile(id.description, .read)
        let target = try folder.openFile(temporary, .createNew)
        guard reflink(from: source, to: target) else {
            mayReflink.withLock { $0 = false }
            try folder.remove(temporary)
            return false
        }
        try folder.rename(temporary, to: folder, as: name)
        return true
    }

    private func hardLink(
        _ id: ChunkID, from chunks: borrowing Directory, to folder: borrowing Directory, as name: String
    ) -> Bool {
        do {
            try chunks.link(id.description, to: folder, as: name)
            return true
        } catch {
            return false
        }
    }

    private func copy(
        _ source: borrowing Descriptor, to folder: borrowing Directory, as name: String, length: Int64?
    ) throws(SyscallError) {
        let temporary = ".\(name).new"
        try folder.remove(temporary)
        let target = try folder.openFile(temporary, .createNew)
        let total: Int64
        if let length { total = length } else { total = try source.length() }
        var done: Int64 = 0
        while done < total {
            let piece = try source.read(count: Int(min(1 << 20, total - done)), at: done)
            if piece.isEmpty { break }
            try target.write(piece)
            done += Int64(piece.count)
        }
        try folder.rename(temporary, to: folder, as: name)
    }

    /// A copy of an open chunk up to its last commit; never a link, since the file goes on growing.
    func showPartial(
        _ file: SharedFile, length: Int64, of opening: SessionOpening, slot: ChunkSlot
    ) throws(SyscallError) {
        guard mode != .off, let stream = opening.streams.first(where: { $0.name == slot.stream }) else { return }
        let name = Self.partialName(stream, slot.index)
        let top = try folder(mission: opening.mission, session: slot.session)
        if let sub = name.folder {
            try copy(file.descriptor, to: try top.makeDirectory(sub), as: name.file, length: length)
        } else {
            try copy(file.descriptor, to: top, as: name.file, length: length)
        }
    }

    /// Takes a partial copy away whose open chunk is here no more.
    func hidePartial(of opening: SessionOpening, slot: ChunkSlot) throws(SyscallError) {
        guard mode != .off, let stream = opening.streams.first(where: { $0.name == slot.stream }),
            try exists(mission: opening.mission, session: slot.session)
        else { return }
        let name = Self.partialName(stream, slot.index)
        let top = try folder(mission: opening.mission, session: slot.session)
        if let sub = name.folder {
            try top.makeDirectory(sub).remove(name.file)
        } else {
            try top.remove(name.file)
        }
    }

    /// Takes all partial copies away but these, which are named by session.
    func removePartials(except kept: [SessionID: Set<String>]) throws(SyscallError) {
        guard mode != .off, try directory.root.kind(of: "sessions") == .directory else { return }
        let sessions = try directory.root.openDirectory("sessions")
        for mission in try sessions.names() where try sessions.kind(of: mission) == .directory {
            let folder = try sessions.openDirectory(mission)
            for name in try folder.names() where try folder.kind(of: name) == .directory {
                guard let session = SessionID(name) else { continue }
                let top = try folder.openDirectory(name)
                try removePartials(in: top, except: kept[session] ?? [])
                for sub in try top.names() where try top.kind(of: sub) == .directory {
                    try removePartials(in: try top.openDirectory(sub), except: kept[session] ?? [])
                }
            }
        }
    }

    private func removePartials(in folder: borrowing Directory, except kept: Set<String>) throws(SyscallError) {
        for file in try folder.names() where file.contains(".partial.") && !kept.contains(file) {
            try folder.remove(file)
        }
    }

    /// `manifest.json`: what the folder holds and whether it is all.
    func writeManifest(_ manifest: Manifest, of opening: SessionOpening, session: SessionID) throws(SyscallError) {
        guard mode != .off else { return }
        let top = try folder(mission: opening.mission, session: session)
        let bytes = JSONCoding.encode(manifest)
        // Most are looked at again only because their chunks were read.
        guard try DataDirectory.contents(of: "manifest.json", in: top, limit: bytes.count + 1) != bytes else { return }
        try DataDirectory.replace("manifest.json", in: top, with: bytes)
    }
}

/// `manifest.json`.
struct Manifest: Encodable {
    struct Chunk: Encodable {
        let name: String
        let stream: StreamName
        let index: Int64
        let sha256: ChunkID
        let bytes: Int64
        let rows: Int64
        let firstRow: Int64
        let first: String
        let last: String
        let variants: [ChunkID]

        enum CodingKeys: String, CodingKey {
            case name, stream, index, sha256, bytes, rows, first, last, variants
            case firstRow = "first_row"
        }
    }

    let session: SessionID
    let author: NodeID
    let mission: String
    let startedAt: String
    let endedAt: String?
    let endReason: String?
    /// The session has ended and every chunk of it is here.
    let complete: Bool
    let chunks: [Chunk]

    enum CodingKeys: String, CodingKey {
        case session, author, mission, complete, chunks
        case startedAt = "started_at"
        case endedAt = "ended_at"
        case endReason = "end_reason"
    }
}
