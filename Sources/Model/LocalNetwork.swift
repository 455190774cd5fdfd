/// This host's interfaces at one moment.
package struct LocalNetwork: Hashable, Sendable {
    package struct Interface: Hashable, Sendable {
        package let index: Int32
        package let name: String
        package let isLoopback: Bool
        /// It is up, and something is at the other end of its cable.
        package let hasCarrier: Bool
        /// Each of 4 or 16 bytes.
        package let addresses: Set<[UInt8]>

        package init(index: Int32, name: String, isLoopback: Bool, hasCarrier: Bool, addresses: Set<[UInt8]>) {
            self.index = index
            self.name = name
            self.isLoopback = isLoopback
            self.hasCarrier = hasCarrier
            self.addresses = addresses
        }
    }

    package let interfaces: [Int32: Interface]

    package init(_ interfaces: [Interface]) {
        self.interfaces = Dictionary(interfaces.map { ($0.index, $0) }) { first, _ in first }
    }
}

/// This host's end of a connection.
package struct LocalEnd: Hashable, Sendable {
    /// 4 or 16 bytes.
    package let address: [UInt8]
    /// The interface of an IPv6 link-local address; others name none.
    package let interface: Int32?
    /// The other end is on this host too.
    package let staysInHost: Bool

    package init(address: [UInt8], interface: Int32?, staysInHost: Bool) {
        self.address = address
        self.interface = interface
        self.staysInHost = staysInHost
    }
}
