internal import Model
internal import Reactor

/// The folders of a data directory, open, and its lock, held. What is where: `Docs/Storage.md`, "The data directory".
final class DataDirectory: Sendable {
    static let format = "qnode data directory, format 1\n"

    let path: String
    let root: Directory
    let chunks: Directory
    let log: Directory
    let wal: Directory
    let open: Directory
    let incoming: Directory
    let quarantine: Directory
    /// One sync of the whole file system makes a group of files and folders durable.
    let hasWholeSync: Bool
    private let lock: Descriptor

    /// Makes what is missing and takes the lock.
    init(_ path: String) throws(StoreError) {
        self.path = path
        do {
            try makeDirectories(path)
            root = try Directory.open(path)
            let lock = try root.openFile("lock", .createOrOpen)
            guard try lock.lockExclusively() else { throw StoreError.inUse(path: path) }
            let found = String(decoding: try lock.read(count: 256, at: 0), as: UTF8.self)
            if found.isEmpty {
                try lock.write(Array(Self.format.utf8), at: 0)
                try lock.synchronize()
                try root.synchronize()
            } else if found != Self.format {
                throw StoreError.newerFormat(path: path, found: Self.formatName(found))
            }
            self.lock = lock
            chunks = try root.makeDirectory("chunks")
            log = try root.makeDirectory("log")
            wal = try root.makeDirectory("wal")
            open = try root.makeDirectory("open")
            incoming = try root.makeDirectory("incoming")
            quarantine = try root.makeDirectory("quarantine")
            hasWholeSync = try root.canSynchronizeFileSystem()
        } catch let error as SyscallError {
            throw Self.explain(error, path: path)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("a directory fails with a system call: \(error)")
        }
    }

    /// Another process, or another store of this one, may have the directory: nothing more is written here.
    func unlock() { lock.unlock() }

    private static func formatName(_ text: String) -> String {
        guard let range = text.firstRange(of: "format ") else { return "unknown" }
        return String(text[range.upperBound...].prefix { $0 != "\n" }.prefix(16))
    }

    static func explain(_ error: SyscallError, path: String) -> StoreError {
        if error.isNoSpace { return .outOfSpace(path: path) }
        if error.isNotPermitted || error.isReadOnly { return .notWritable(path: path, reason: error.reason) }
        return .system(error, path: path)
    }

    /// `chunks/ab` for a chunk `ab…`, made where missing.
    func chunkFolder(_ id: ChunkID) throws(SyscallError) -> Directory {
        try chunks.makeDirectory(String(id.description.prefix(2)))
    }

    /// The same for reading: nil where it was never made.
    func existingChunkFolder(_ id: ChunkID) throws(SyscallError) -> Directory? {
        do {
            return try chunks.openDirectory(String(id.description.prefix(2)))
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }

    /// `open/<author>/<session>`, made where missing.
    func openFolder(author: NodeID, session: SessionID) throws(SyscallError) -> Directory {
        try open.makeDirectory(author.description).makeDirectory(session.description)
    }

    /// Replaces a small file whole: after this the name has the old bytes or the new ones, whatever happens.
    static func replace(_ name: String, in folder: borrowing Directory, with bytes: [UInt8]) throws(SyscallError) {
        let temporary = ".\(name).new"
        try folder.remove(temporary)
        do {
            let file = try folder.openFile(temporary, .createNew)
            try file.write(bytes)
            try file.synchronize()
        }
        try folder.rename(temporary, to: folder, as: name)
        try folder.synchronize()
    }

    static func contents(of name: String, in folder: borrowing Directory, limit: Int) throws(SyscallError) -> [UInt8]? {
        do {
            let file = try folder.openFile(name, .read)
            return try file.read(count: min(limit, Int(clamping: try file.length())), at: 0)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }
}
