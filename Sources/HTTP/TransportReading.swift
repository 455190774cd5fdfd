internal import CLibevent
internal import Glibc
package import Model

/// What the kernel knows of a TCP connection (TCP_INFO), whether its bytes were read by us or not.
package struct TransportReading: Hashable, Sendable {
    /// Since the peer's last byte, or since the connection came about.
    package let silence: Duration
    /// Smoothed.
    package let roundTrip: Duration

    /// Nil for a Unix socket.
    init?(descriptor: Int32) {
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 else { return nil }
        silence = .milliseconds(Int64(info.tcpi_last_data_recv))
        roundTrip = .microseconds(Int64(info.tcpi_rtt))
    }
}

extension Channel {
    /// Nil where the connection has ended.
    var transport: TransportReading? { event == nil ? nil : TransportReading(descriptor: raw) }

    /// Nil where the connection has ended, and for a Unix socket.
    var localEnd: LocalEnd? {
        guard event != nil, let own = SocketAddress(filledBy: { getsockname(raw, $0, $1) })?.ip,
            let other = SocketAddress(filledBy: { getpeername(raw, $0, $1) })?.ip
        else { return nil }
        return LocalEnd(
            address: own.bytes, interface: own.scope == 0 ? nil : Int32(bitPattern: own.scope),
            // The kernel connects to an address of its own from that address.
            staysInHost: own.bytes == other.bytes)
    }
}

extension HTTPConnection {
    /// Nil where the connection has ended.
    package var transport: TransportReading? { channel.assumeIsolated { $0.transport } }
    /// Nil where the connection has ended.
    package var localEnd: LocalEnd? { channel.assumeIsolated { $0.localEnd } }
}

extension SocketAddress {
    /// The address in 4 or 16 bytes, and the scope of an IPv6 one; a mapped IPv4 address is IPv4.
    fileprivate var ip: (bytes: [UInt8], scope: UInt32)? {
        withSockaddr { pointer, _ in
            switch Int32(pointer.pointee.sa_family) {
            case AF_INET:
                return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                    (withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) }, 0)
                }
            case AF_INET6:
                return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                    let bytes = withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) }
                    let isMapped = bytes.starts(with: [UInt8](repeating: 0, count: 10) + [0xff, 0xff])
                    return isMapped ? (Array(bytes.suffix(4)), 0) : (bytes, pointer.pointee.sin6_scope_id)
                }
            default: return nil
            }
        }
    }
}
