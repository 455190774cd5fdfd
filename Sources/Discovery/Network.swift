internal import Model
internal import Reactor

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
    /// As the kernel has them now; nil where it does not say.
    static func current() -> Network? {
        guard let local = LocalNetwork.current() else { return nil }
        return Network(
            local.interfaces.values.map { interface in
                Interface(
                    index: interface.index, name: interface.name, isLoopback: interface.isLoopback,
                    addresses: Set(interface.addresses.compactMap { IPAddress($0) }))
            })
    }
}
