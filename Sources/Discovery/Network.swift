internal import Glibc

/// The interfaces of this host with their addresses, at one moment.
package struct Network: Hashable, Sendable {
    package struct Interface: Hashable, Sendable {
        package let index: Int32
        package let name: String
        package let isLoopback: Bool
        package let addresses: Set<IPAddress>

        package init(index: Int32, name: String, isLoopback: Bool, addresses: Set<IPAddress>) {
            self.index = index
            self.name = name
            self.isLoopback = isLoopback
            self.addresses = addresses
        }
    }

    package let interfaces: [Int32: Interface]

    package init(_ interfaces: [Interface]) {
        self.interfaces = Dictionary(interfaces.map { ($0.index, $0) }) { first, _ in first }
    }

    /// Those that `choice` takes part in.
    package func chosen(by choice: InterfaceChoice) -> [Interface] {
        interfaces.values.filter(choice.includes).sorted { $0.index < $1.index }
    }
}

/// Where a node announces itself and listens.
package struct InterfaceChoice: Hashable, Sendable {
    /// Empty: every network, but not the loopback.
    package let names: Set<String>

    package init(names: some Sequence<String>) { self.names = Set(names) }

    package func includes(_ interface: Network.Interface) -> Bool {
        names.isEmpty ? !interface.isLoopback : names.contains(interface.name)
    }

    /// Whether the loopback alone was asked for, by name, since interfaces may not be there yet.
    package var isLoopbackOnly: Bool { names == ["lo"] }
    package var namesLoopback: Bool { names.contains("lo") }
}

extension Network {
    /// Reads the kernel's list.
    static func current() -> Network {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return Network([]) }
        defer { freeifaddrs(list) }
        var found: [Int32: Interface] = [:]
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            let index = Int32(bitPattern: if_nametoindex(entry.ifa_name))
            guard index > 0 else { continue }
            let before = found[index]
            var addresses = before?.addresses ?? []
            if let address = address(entry.ifa_addr) { addresses.insert(address) }
            found[index] = Interface(
                index: index, name: String(cString: entry.ifa_name),
                isLoopback: entry.ifa_flags & UInt32(IFF_LOOPBACK) != 0, addresses: addresses)
        }
        return Network(Array(found.values))
    }

    private static func address(_ socketAddress: UnsafeMutablePointer<sockaddr>?) -> IPAddress? {
        guard let socketAddress else { return nil }
        switch Int32(socketAddress.pointee.sa_family) {
        case AF_INET:
            return socketAddress.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin_addr) { IPAddress(Array($0)) }
            }
        case AF_INET6:
            return socketAddress.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { IPAddress(Array($0)) }
            }
        default: return nil
        }
    }
}
