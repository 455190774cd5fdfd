internal import CLinux
internal import Glibc

/// An open directory; names are single components, relative to it. Symbolic links are not followed.
package struct Directory: ~Copyable, Sendable {
    private let descriptor: Descriptor
    /// For messages only.
    package let path: String

    private init(descriptor: consuming Descriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    package static func open(_ path: String) throws(SyscallError) -> Directory {
        let raw = try retrying("open") { qn_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
        return Directory(descriptor: Descriptor(adopting: raw), path: path)
    }

    package enum Access: Sendable {
        case read
        case readWrite
        /// Created where missing, positioned at the end by each write.
        case append
        /// Created; an error where the name exists.
        case createNew
        /// Created where missing, read and written anywhere.
        case createOrOpen

        var flags: Int32 {
            switch self {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .append: O_RDWR | O_CREAT | O_APPEND
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            case .createOrOpen: O_RDWR | O_CREAT
            }
        }
    }

    package borrowing func openFile(
        _ name: String, _ access: Access, mode: UInt32 = 0o640
    ) throws(SyscallError) -> Descriptor {
        let directory = descriptor.raw
        let flags = access.flags | O_CLOEXEC | O_NOFOLLOW
        return Descriptor(adopting: try retrying("openat") { qn_openat(directory, name, flags, mode_t(mode)) })
    }

    package borrowing func openDirectory(_ name: String) throws(SyscallError) -> Directory {
        let directory = descriptor.raw
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
        let raw = try retrying("openat") { qn_openat(directory, name, flags, 0) }
        return Directory(descriptor: Descriptor(adopting: raw), path: "\(path)/\(name)")
    }

    /// Opens a sub-directory, made where missing; what was made is durable in its parent when this returns.
    package borrowing func makeDirectory(_ name: String, mode: UInt32 = 0o750) throws(SyscallError) -> Directory {
        // As a rule it is there.
        do { return try openDirectory(name) } catch { guard error.isNotFound else { throw error } }
        let directory = descriptor.raw
        do {
            _ = try retrying("mkdirat") { Glibc.mkdirat(directory, name, mode_t(mode)) }
            try synchronize()
        } catch {
            guard error.alreadyExists else { throw error }
        }
        return try openDirectory(name)
    }

    package enum Kind: Sendable { case file, directory, other }

    package borrowing func kind(of name: String) throws(SyscallError) -> Kind? {
        guard let status = try status(of: name) else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .directory
        default: .other
        }
    }

    /// The length of a regular file, or nil where there is none of that name.
    package borrowing func length(of name: String) throws(SyscallError) -> Int64? {
        guard let status = try status(of: name), status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int64(status.st_size)
    }

    /// Whether the name leads to this very file, and that has so many bytes.
    package borrowing func leads(
        _ name: String, to descriptor: borrowing Descriptor, length: Int64
    ) throws(SyscallError) -> Bool {
        guard let found = try status(of: name) else { throw SyscallError("fstatat", code: ENOENT) }
        let raw = descriptor.raw
        var own = Glibc.stat()
        _ = try retrying("fstat") { Glibc.fstat(raw, &own) }
        return found.st_dev == own.st_dev && found.st_ino == own.st_ino && Int64(own.st_size) == length
    }

    /// Whether two names lead to one file.
    package borrowing func isSameFile(
        _ name: String, as otherName: String, in other: borrowing Directory
    ) throws(SyscallError) -> Bool {
        guard let first = try status(of: name), let second = try other.status(of: otherName) else { return false }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    private borrowing func status(of name: String) throws(SyscallError) -> stat? {
        let directory = descriptor.raw
        var status = Glibc.stat()
        do {
            _ = try retrying("fstatat") { Glibc.fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) }
            return status
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }

    /// Moves a name, replacing what the target had. Durable once both directories are synchronized.
    package borrowing func rename(
        _ name: String, to other: borrowing Directory, as newName: String
    ) throws(SyscallError) {
        let (from, to) = (descriptor.raw, other.descriptor.raw)
        _ = try retrying("renameat") { Glibc.renameat(from, name, to, newName) }
    }

    /// Moves a name; false, and nothing done, where the target exists. Durable once both directories are synchronized.
    package borrowing func renameNew(
        _ name: String, to other: borrowing Directory, as newName: String
    ) throws(SyscallError) -> Bool {
        let (from, to) = (descriptor.raw, other.descriptor.raw)
        do {
            _ = try retrying("renameat2") { qn_rename_noreplace(from, name, to, newName) }
            return true
        } catch {
            if error.alreadyExists { return false }
            throw error
        }
    }

    /// A second name for the same file.
    package borrowing func link(
        _ name: String, to other: borrowing Directory, as newName: String
    ) throws(SyscallError) {
        let (from, to) = (descriptor.raw, other.descriptor.raw)
        _ = try retrying("linkat") { Glibc.linkat(from, name, to, newName, 0) }
    }

    /// Removes a file's name; nothing happens where there is none.
    package borrowing func remove(_ name: String) throws(SyscallError) {
        let directory = descriptor.raw
        do {
            _ = try retrying("unlinkat") { Glibc.unlinkat(directory, name, 0) }
        } catch {
            guard error.isNotFound else { throw error }
        }
    }

    /// Removes an empty directory; false where it is not empty.
    package borrowing func removeDirectory(_ name: String) throws(SyscallError) -> Bool {
        let directory = descriptor.raw
        do {
            _ = try retrying("unlinkat") { Glibc.unlinkat(directory, name, AT_REMOVEDIR) }
            return true
        } catch {
            if error.isNotFound { return true }
            if error.code == ENOTEMPTY { return false }
            throw error
        }
    }

    /// rename(2) and creation are durable only after this: a power cut could forget the name and keep the bytes.
    package borrowing func synchronize() throws(SyscallError) {
        try descriptor.synchronize()
    }

    /// The same after a sync of the whole file system: whether that missed this directory.
    package borrowing func checkWriteback() throws(SyscallError) { try descriptor.checkWriteback() }

    /// Whether `synchronizeFileSystem` means what it says here: before Linux 5.17 syncfs(2) passes over what the file
    /// system itself says of its journal, and not every file system syncs all of itself in it.
    package borrowing func canSynchronizeFileSystem() throws(SyscallError) -> Bool {
        guard KernelRelease.current >= KernelRelease(major: 5, minor: 17) else { return false }
        let directory = descriptor.raw
        return try retrying("fstatfs") { qn_file_system_syncs_whole(directory) } == 1
    }

    /// syncfs(2): everything written to this directory's file system. An error is any file's on that file system since
    /// somebody was told of one last; who succeeds asks each file for itself.
    package borrowing func synchronizeFileSystem() throws(SyscallError) {
        let directory = descriptor.raw
        _ = try retrying("syncfs") { qn_syncfs(directory) }
    }

    /// The names within, sorted, without `.` and `..`.
    package borrowing func names() throws(SyscallError) -> [String] {
        let directory = descriptor.raw
        let raw = try retrying("openat") { qn_openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
        guard let stream = fdopendir(raw) else {
            let code = errno
            close(raw)
            throw SyscallError("fdopendir", code: code)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw SyscallError("readdir", code: errno) }
                return names.sorted()
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// Bytes of the file system that an ordinary user may still take, and its size.
    package borrowing func space() throws(SyscallError) -> (free: Int64, total: Int64) {
        let directory = descriptor.raw
        var status = Glibc.statvfs()
        _ = try retrying("fstatvfs") { Glibc.fstatvfs(directory, &status) }
        let unit = Int64(status.f_frsize)
        return (Int64(status.f_bavail) * unit, Int64(status.f_blocks) * unit)
    }
}

/// Makes `to` a reflink of `from`: false where the file system has none.
package func reflink(from: borrowing Descriptor, to: borrowing Descriptor) -> Bool {
    qn_clone(from.raw, to.raw) == 0
}

/// Makes a directory and its missing parents (0750), each durable in its parent.
package func makeDirectories(_ path: String) throws(SyscallError) {
    guard !path.isEmpty, path != "/" else { return }
    let trimmed = path.hasSuffix("/") ? String(path.dropLast()) : path
    let parent: String
    if let slash = trimmed.lastIndex(of: "/") {
        parent = slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    } else {
        parent = "."
    }
    if Glibc.access(trimmed, F_OK) == 0 { return }
    if parent != "." { try makeDirectories(parent) }
    let directory = try Directory.open(parent)
    let name = trimmed.split(separator: "/").last.map(String.init) ?? trimmed
    _ = try directory.makeDirectory(name)
}
