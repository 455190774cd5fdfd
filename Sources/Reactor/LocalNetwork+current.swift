internal import Glibc
package import Model

extension LocalNetwork {
    /// Reads the kernel's list; nil where it gives none, which is no network without interfaces.
    package static func current() -> LocalNetwork? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var found: [Int32: Interface] = [:]
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            let index = Int32(bitPattern: if_nametoindex(entry.ifa_name))
            guard index > 0 else { continue }
            var addresses = found[index]?.addresses ?? []
            if let bytes = bytes(entry.ifa_addr) { addresses.insert(bytes) }
            let running = UInt32(IFF_UP) | UInt32(IFF_RUNNING)
            found[index] = Interface(
                index: index, name: String(cString: entry.ifa_name),
                isLoopback: entry.ifa_flags & UInt32(IFF_LOOPBACK) != 0,
                hasCarrier: entry.ifa_flags & running == running, addresses: addresses)
        }
        return LocalNetwork(Array(found.values))
    }

    private static func bytes(_ socketAddress: UnsafeMutablePointer<sockaddr>?) -> [UInt8]? {
        guard let socketAddress else { return nil }
        switch Int32(socketAddress.pointee.sa_family) {
        case AF_INET:
            return socketAddress.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) }
            }
        case AF_INET6:
            return socketAddress.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) }
            }
        default: return nil
        }
    }
}
