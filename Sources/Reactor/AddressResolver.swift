internal import Glibc
package import Model

/// Looks host names up on a thread that may block: getaddrinfo(3) waits for name servers.
package actor AddressResolver {
    private let lane: DiskLane

    package nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    package init(on lane: DiskLane) { self.lane = lane }

    /// The endpoint with its first address as a literal; one that is a literal already comes back as it is.
    package func resolve(_ endpoint: Endpoint) throws(SyscallError) -> Endpoint {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(endpoint.host, String(endpoint.port), &hints, &list) == 0, let first = list else {
            throw SyscallError("getaddrinfo", code: EADDRNOTAVAIL)
        }
        defer { freeaddrinfo(list) }
        var host = [CChar](repeating: 0, count: 256)
        let failure = getnameinfo(
            first.pointee.ai_addr, first.pointee.ai_addrlen, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
        guard failure == 0 else { throw SyscallError("getnameinfo", code: EADDRNOTAVAIL) }
        let text = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return Endpoint(host: text, port: endpoint.port)
    }
}
