import CTap
import Glibc
import Model
import Reactor
import TestSupport

/// IPv4 sockets of this process in a lab's namespaces. Throws with the call's name.
enum LabSocket {
    static func open(_ lab: Lab, _ side: String, _ type: __socket_type) throws -> Descriptor {
        Descriptor(adopting: try openRaw(lab, side, type))
    }

    /// Whose owner closes it.
    static func openRaw(_ lab: Lab, _ side: String, _ type: __socket_type) throws -> Int32 {
        let raw = tap_socket("/run/netns/\(lab.space(side))", Int32(type.rawValue))
        try check(raw, "socket")
        // More than any test has on its way: what is missing was lost by the tether.
        var bytes: Int32 = 32 << 20
        for option in [SO_RCVBUFFORCE, SO_SNDBUFFORCE] {
            try check(setsockopt(raw, SOL_SOCKET, option, &bytes, 4), "setsockopt")
        }
        return raw
    }

    /// Binds it to a free port of its host, and gives that.
    static func bind(_ socket: Int32) throws -> in_port_t {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(socket, $0, length) == 0 ? getsockname(socket, $0, &length) : -1
            }
        }
        try check(code, "bind")
        return address.sin_port
    }

    /// To `10.77.0.<host>`; a stream's connection may still be under way.
    static func connect(_ socket: Int32, host: UInt32, port: in_port_t) throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port
        address.sin_addr.s_addr = in_addr_t(0x0a4d_0000 | host).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if code != 0, errno == EINPROGRESS { return }
        try check(code, "connect")
    }

    static func check(_ code: Int32, _ call: String) throws {
        guard code < 0 else { return }
        throw ChildError(description: "\(call): \(String(cString: strerror(errno)))")
    }
}
