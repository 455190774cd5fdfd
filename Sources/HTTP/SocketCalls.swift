internal import CLibevent
internal import Glibc
internal import Model
internal import Reactor

/// The socket calls that server and client share, with their errors typed.
enum SocketCalls {
    /// A socket that does not block and does not outlive an exec.
    static func open(family: Int32) throws(SyscallError) -> Descriptor {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let raw = socket(family, type, 0)
        guard raw >= 0 else { throw SyscallError("socket", code: errno) }
        return Descriptor(adopting: raw)
    }

    static func set(_ descriptor: Int32, level: Int32, _ option: Int32, to value: Int32) throws(SyscallError) {
        var value = value
        guard setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw SyscallError("setsockopt", code: errno)
        }
    }

    /// TCP_NODELAY: a small answer must not wait for the acknowledgement of the one before it.
    static func setNoDelay(_ descriptor: Int32) throws(SyscallError) {
        try set(descriptor, level: Int32(IPPROTO_TCP), TCP_NODELAY, to: 1)
    }

    /// Bytes that the kernel takes and has not sent, at most: more would only be old by the time they go. nil: as many
    /// as it likes.
    static func setUnsentLimit(_ descriptor: Int32, to bytes: Int?) throws(SyscallError) {
        try set(descriptor, level: Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, to: Int32(bytes ?? 0))
    }

    /// A peer that is gone without a word, its cable pulled or its power cut, is noticed within `sendStallTime`: by
    /// what it does not acknowledge, or where nothing is sent, by probes. Without this the kernel tries for a quarter
    /// of an hour, or never.
    static func noticeGonePeers(_ descriptor: Int32) throws(SyscallError) {
        let tcp = Int32(IPPROTO_TCP)
        try set(descriptor, level: SOL_SOCKET, SO_KEEPALIVE, to: 1)
        try set(descriptor, level: tcp, TCP_KEEPIDLE, to: Int32(Limits.keepAliveIdle.components.seconds))
        try set(descriptor, level: tcp, TCP_KEEPINTVL, to: Int32(Limits.keepAliveInterval.components.seconds))
        try set(
            descriptor, level: tcp, TCP_USER_TIMEOUT, to: Int32(Limits.sendStallTime.nanoseconds / 1_000_000))
    }

    /// SO_RCVBUF, so that a window of about `bytes` can be offered: the kernel doubles it, for its own bookkeeping.
    /// Root may exceed the machine's limit. A buffer that stays as it was costs speed or smoothness, and nothing else.
    static func setReceiveBuffer(_ descriptor: Int32, to bytes: Int64) {
        let value = Int32(clamping: bytes)
        do throws(SyscallError) { try set(descriptor, level: SOL_SOCKET, SO_RCVBUFFORCE, to: value) } catch {
            do throws(SyscallError) { try set(descriptor, level: SOL_SOCKET, SO_RCVBUF, to: value) } catch {}
        }
    }

    /// A connection that was accepted, and where it comes from.
    struct Accepted: ~Copyable {
        let descriptor: Descriptor
        let address: SocketAddress

        consuming func takeDescriptor() -> Descriptor { descriptor }
    }

    /// accept(2): nil where nobody waits any more.
    static func accept(_ listener: Int32) throws(SyscallError) -> Accepted? {
        while true {
            var accepted: Int32 = -1
            let address = SocketAddress { pointer, length in
                accepted = Glibc.accept(listener, pointer, length)
                return accepted >= 0 ? 0 : -1
            }
            if let address {
                // A socket that cannot be made so would stall the loop; it has only just come and may as well go.
                let descriptor = Descriptor(adopting: accepted)
                guard evutil_make_socket_nonblocking(accepted) == 0, evutil_make_socket_closeonexec(accepted) == 0
                else { continue }
                return Accepted(descriptor: descriptor, address: address)
            }
            switch errno {
            case EAGAIN: return nil
            // The peer has gone between its connect and our accept (accept(2) lists the network's errors too).
            case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
                ENETUNREACH:
                continue
            default: throw SyscallError("accept", code: errno)
            }
        }
    }
}
