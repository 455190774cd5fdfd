internal import CLibevent
internal import Glibc
internal import Model
internal import Reactor

/// A numeric address of a socket, IP or Unix, in the kernel's form.
struct SocketAddress: Sendable {
    private var storage: sockaddr_storage
    private(set) var length: socklen_t

    private init(storage: sockaddr_storage, length: socklen_t) {
        self.storage = storage
        self.length = length
    }

    /// Filled by a call such as accept(2) or getsockname(2); nil where the call failed, with its errno.
    init?(filledBy call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, &length) }
        }
        guard result == 0 else { return nil }
        self.init(storage: storage, length: length)
    }

    /// Numeric hosts only, IPv6 with its scope: never asks a resolver.
    init?(numeric host: String, port: UInt16) {
        guard let first = Self.lookUp(host: host, port: port, numericOnly: true).addresses.first else { return nil }
        self = first
    }

    /// A path of at most 107 bytes.
    init?(unixPath path: String) {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0) else {
            return nil
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { target in
            withUnsafeBytes(of: &address) { target.copyMemory(from: $0) }
        }
        self.init(storage: storage, length: socklen_t(MemoryLayout<sockaddr_un>.size))
    }

    /// getaddrinfo(3): may block for as long as the resolver likes, unless `numericOnly`.
    static func lookUp(
        host: String, port: UInt16, numericOnly: Bool
    ) -> (addresses: [SocketAddress], failure: String?) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV | (numericOnly ? AI_NUMERICHOST : 0)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { return ([], String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ai_next
            guard entry.ai_family == AF_INET || entry.ai_family == AF_INET6, let raw = entry.ai_addr else { continue }
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: raw, count: Int(entry.ai_addrlen)))
            }
            addresses.append(SocketAddress(storage: storage, length: entry.ai_addrlen))
        }
        return (addresses, addresses.isEmpty ? "no address" : nil)
    }

    var family: Int32 { Int32(storage.ss_family) }

    func withSockaddr<Result>(_ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var copy = storage
        return withUnsafeMutablePointer(to: &copy) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// The address as an origin; a mapped IPv4 address is IPv4.
    var origin: PeerOrigin {
        guard family != AF_UNIX, let endpoint else { return .unixSocket }
        let mapped = endpoint.host.hasPrefix("::ffff:") && endpoint.host.contains(".")
        let host = mapped ? String(endpoint.host.dropFirst(7)) : endpoint.host
        let isLoopback = host == "::1" || host.hasPrefix("127.") && !host.contains(":")
        return PeerOrigin(transport: isLoopback ? .loopback : .network, address: host, port: endpoint.port)
    }

    /// Host and port as text; nil for a Unix socket.
    var endpoint: Endpoint? {
        guard family == AF_INET || family == AF_INET6 else { return nil }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: 32)
        let code = withSockaddr { address, length in
            getnameinfo(
                address, length, &host, socklen_t(host.count), &service, socklen_t(service.count),
                NI_NUMERICHOST | NI_NUMERICSERV)
        }
        guard code == 0, let port = UInt16(Self.text(service)) else { return nil }
        return Endpoint(host: Self.text(host), port: port)
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
