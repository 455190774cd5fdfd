internal import CLinux
internal import Glibc

/// The master side of a pseudo-terminal: a serial device made of software. Its other side is a tty that any program may
/// open.
///
/// Like a wire, it loses what is sent while nobody listens. Made, used and freed on the loop.
package final class PseudoTerminal {
    /// The tty's path, `/dev/pts/N`.
    package let path: String
    /// A stable name for it, where one was asked for.
    package let link: String?
    private let loop: EventLoop
    private let receive: ([UInt8]) -> Void
    private var master: Master?
    private var watch: DescriptorWatch?
    private var listening: LoopTimer?
    package private(set) var hasListener = false

    private final class Master {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    /// How often a terminal that nobody has open looks for a listener: poll(2) on it reports a hang-up for ever.
    private static let listenerInterval = Duration.milliseconds(5)

    /// Call on the loop; `receive` gets what the tty's user writes. An earlier symbolic link at `link` is replaced.
    package init(
        link: String? = nil, on loop: EventLoop, receive: @escaping ([UInt8]) -> Void
    ) throws(SyscallError) {
        loop.checkIsolated()
        let descriptor = Descriptor(adopting: try retrying("posix_openpt") { qn_pty_open() })
        let raw = descriptor.raw
        var name = [CChar](repeating: 0, count: 64)
        let failure = qn_pty_name(raw, &name, name.count)
        guard failure == 0 else { throw SyscallError("ptsname", code: failure) }
        let path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // On the master this sets the tty's own modes: no echo even for a user who sets none.
        _ = try retrying("tcsetattr") { qn_tty_raw(raw, 9600) }
        // A tty that was never open hides that nobody listens.
        let flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC
        _ = Descriptor(adopting: try retrying("open") { qn_openat(AT_FDCWD, path, flags, 0) })
        if let link { try Self.makeLink(link, to: path) }
        self.path = path
        self.link = link
        self.loop = loop
        self.receive = receive
        master = Master(descriptor)
        watch = DescriptorWatch(on: loop, descriptor: raw, for: .read) { [unowned self] in readable() }
        listening = LoopTimer(on: loop) { [unowned self] in lookForListener() }
        lookForListener()
    }

    deinit {
        loop.checkIsolated()
        release()
    }

    private static func makeLink(_ link: String, to path: String) throws(SyscallError) {
        let temporary = "\(link).\(getpid())"
        unlink(temporary)
        _ = try retrying("symlink") { symlink(path, temporary) }
        do throws(SyscallError) {
            var status = Glibc.stat()
            if lstat(link, &status) == 0, status.st_mode & S_IFMT != S_IFLNK {
                throw SyscallError("symlink", code: EEXIST)
            }
            _ = try retrying("rename") { rename(temporary, link) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// How many of the bytes reached the tty: none without a listener, fewer than all where it does not read.
    package func send(_ bytes: [UInt8]) -> Int {
        loop.checkIsolated()
        guard hasListener, let master, !bytes.isEmpty else { return 0 }
        // A wire reports no errors: what it did not take is lost.
        return (try? master.descriptor.writeAvailable(bytes[...])) ?? 0
    }

    /// What pulling out an adapter does: every open descriptor of the tty is hung up, its path and its link go.
    package func unplug() {
        loop.checkIsolated()
        if master != nil { hangUp() }
        release()
    }

    private func hangUp() {
        let flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC
        let tty = qn_openat(AT_FDCWD, path, flags, 0)
        guard tty >= 0 else { return }
        // Needs a privilege; without it, closing the master does the same to whoever reads.
        _ = qn_tty_hangup(tty)
        Glibc.close(tty)
    }

    private func release() {
        (watch, listening, master) = (nil, nil, nil)
        hasListener = false
        guard let link else { return }
        var target = [CChar](repeating: 0, count: 256)
        let count = readlink(link, &target, target.count)
        guard count > 0 else { return }
        // Only our own: another one may have taken the name since.
        let text = String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text == path { unlink(link) }
    }

    private func lookForListener() {
        guard let master else { return }
        do {
            let bytes = try master.descriptor.readAvailable(atMost: 4096)
            hasListener = true
            watch?.resume()
            if let bytes, !bytes.isEmpty { receive(bytes) }
        } catch {
            listening?.set(after: Self.listenerInterval)
        }
    }

    private func readable() {
        guard let master else { return }
        do {
            if let bytes = try master.descriptor.readAvailable(atMost: 4096), !bytes.isEmpty { receive(bytes) }
        } catch {
            // EIO: the last user closed the tty.
            hasListener = false
            watch?.pause()
            listening?.set(after: Self.listenerInterval)
        }
    }
}
