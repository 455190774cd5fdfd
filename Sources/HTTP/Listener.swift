internal import CLinux
internal import Glibc
internal import Model
package import Reactor

/// Why an address cannot be listened on; each says what to do.
package enum ListenError: Error, Hashable, Sendable, CustomStringConvertible {
    case portTaken(port: UInt16)
    case notPermitted(String)
    case addressNotAvailable(String)
    case notAnAddress(String)
    case socketInUse(path: String)
    case notASocket(path: String)
    case system(String, SyscallError)

    package var description: String {
        switch self {
        case .portTaken(let port):
            "port \(port) is in use by another program; stop it or choose another with --listen"
        case .notPermitted(let address):
            "listening on \(address) is not permitted to this user; choose a port above 1023 or run as root"
        case .addressNotAvailable(let address):
            "\(address) is not an address of this machine; choose one that `ip address` shows with --listen"
        case .notAnAddress(let text):
            "“\(text)” is not an address to listen on; give an IP address and a port, such as [::]:9150"
        case .socketInUse(let path):
            "another node is running here: it listens on \(path); stop it first or use another data directory"
        case .notASocket(let path):
            "\(path) is in the way and is not a socket; move it aside"
        case .system(let address, let error):
            "cannot listen on \(address): \(error.reason)"
        }
    }
}

/// One listening socket: what it is bound to, and the file it leaves behind where it is a Unix socket's.
final class Listener {
    let descriptor: Descriptor
    /// The address with the port as bound; nil for a Unix socket.
    let endpoint: Endpoint?
    private let file: SocketFile?

    private init(_ descriptor: consuming Descriptor, endpoint: Endpoint?, file: SocketFile?) {
        self.descriptor = descriptor
        self.endpoint = endpoint
        self.file = file
    }

    deinit { file?.remove() }
}

// MARK: - TCP

extension Listener {
    /// `[::]` takes IPv4 as well, and where IPv6 is off, means `0.0.0.0`.
    static func tcp(_ endpoint: Endpoint) throws(ListenError) -> Listener {
        guard let address = SocketAddress(numeric: endpoint.host, port: endpoint.port) else {
            throw .notAnAddress(endpoint.description)
        }
        let isAny = endpoint.host == "::"
        do throws(SyscallError) {
            return try bindTCP(address)
        } catch {
            let noIPv6 = error.code == EAFNOSUPPORT || error.code == EADDRNOTAVAIL
            guard isAny, noIPv6, let any = SocketAddress(numeric: "0.0.0.0", port: endpoint.port) else {
                throw explain(error, endpoint)
            }
            do throws(SyscallError) { return try bindTCP(any) } catch { throw explain(error, endpoint) }
        }
    }

    private static func bindTCP(_ address: SocketAddress) throws(SyscallError) -> Listener {
        let descriptor = try SocketCalls.open(family: address.family)
        try SocketCalls.set(descriptor.raw, level: SOL_SOCKET, SO_REUSEADDR, to: 1)
        if address.family == AF_INET6 {
            try SocketCalls.set(descriptor.raw, level: Int32(IPPROTO_IPV6), IPV6_V6ONLY, to: 0)
        }
        // Inherited by what is accepted: before its first byte.
        try SocketCalls.setNoDelay(descriptor.raw)
        try SocketCalls.noticeGonePeers(descriptor.raw)
        let raw = descriptor.raw
        guard address.withSockaddr({ Glibc.bind(raw, $0, $1) }) == 0 else { throw SyscallError("bind", code: errno) }
        guard Glibc.listen(raw, Int32(Limits.listenBacklog)) == 0 else { throw SyscallError("listen", code: errno) }
        guard let bound = SocketAddress(filledBy: { getsockname(raw, $0, $1) }) else {
            throw SyscallError("getsockname", code: errno)
        }
        return Listener(descriptor, endpoint: bound.endpoint, file: nil)
    }

    private static func explain(_ error: SyscallError, _ endpoint: Endpoint) -> ListenError {
        switch error.code {
        case EADDRINUSE: .portTaken(port: endpoint.port)
        case EACCES, EPERM: .notPermitted(endpoint.description)
        case EADDRNOTAVAIL, EAFNOSUPPORT: .addressNotAvailable(endpoint.host)
        default: .system(endpoint.description, error)
        }
    }
}

// MARK: - Unix sockets

extension Listener {
    /// A socket at `path`, 0600 from its first moment. What a dead process has left there is replaced; a live one is an
    /// error.
    static func unix(_ path: String) throws(ListenError) -> Listener {
        do throws(SyscallError) {
            let file = try SocketFile(path)
            let descriptor = try SocketCalls.open(family: AF_UNIX)
            // The mode of the socket is that of its file, less the umask: so there is no moment at which others could
            // connect.
            try descriptor.changeMode(0o600)
            let raw = descriptor.raw
            if file.address.withSockaddr({ Glibc.bind(raw, $0, $1) }) != 0 {
                guard errno == EADDRINUSE else { throw SyscallError("bind", code: errno) }
                guard file.isSocket else { throw SyscallError("bind", code: ENOTSOCK) }
                guard try !file.isAlive() else { throw SyscallError("bind", code: EADDRINUSE) }
                file.unlink()
                guard file.address.withSockaddr({ Glibc.bind(raw, $0, $1) }) == 0 else {
                    throw SyscallError("bind", code: errno)
                }
            }
            guard Glibc.listen(raw, Int32(Limits.listenBacklog)) == 0 else { throw SyscallError("listen", code: errno) }
            file.remember()
            return Listener(descriptor, endpoint: nil, file: file)
        } catch {
            switch error.code {
            case EADDRINUSE: throw .socketInUse(path: path)
            case ENOTSOCK: throw .notASocket(path: path)
            case EACCES, EPERM, EROFS: throw .notPermitted(path)
            default: throw .system(path, error)
            }
        }
    }
}
