internal import CLinux
internal import Glibc
internal import Reactor

/// A Unix socket's place in the file system. A path too long for the kernel's 108 bytes is reached through its open
/// directory.
final class SocketFile {
    let address: SocketAddress
    private let path: String
    private let directory: Descriptor
    private var identity: (device: dev_t, inode: ino_t)?

    init(_ path: String) throws(SyscallError) {
        let slash = path.lastIndex(of: "/")
        let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        let raw = qn_openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard raw >= 0 else { throw SyscallError("open", code: errno) }
        directory = Descriptor(adopting: raw)
        guard let address = SocketAddress(unixPath: path) ?? SocketAddress(unixPath: "/proc/self/fd/\(raw)/\(name)")
        else {
            throw SyscallError("bind", code: ENAMETOOLONG)
        }
        self.address = address
        self.path = path
    }

    private var status: stat? {
        var status = Glibc.stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    var isSocket: Bool { status.map { $0.st_mode & S_IFMT == S_IFSOCK } ?? false }

    /// Whether a process listens there.
    func isAlive() throws(SyscallError) -> Bool {
        let probe = try SocketCalls.open(family: AF_UNIX)
        let raw = probe.raw
        if address.withSockaddr({ Glibc.connect(raw, $0, $1) }) == 0 { return true }
        switch errno {
        case ECONNREFUSED, ENOENT: return false
        // Its queue is full: somebody has made it.
        case EAGAIN: return true
        default: throw SyscallError("connect", code: errno)
        }
    }

    func unlink() { _ = Glibc.unlink(path) }

    /// Notes which file was made, so that only that one is removed.
    func remember() { identity = status.map { ($0.st_dev, $0.st_ino) } }

    func remove() {
        guard let identity, let status, identity == (status.st_dev, status.st_ino) else { return }
        unlink()
    }
}
