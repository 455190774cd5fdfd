internal import Model

/// What a change of this host's network means for a link.
enum NetworkEffect: Hashable, Sendable {
    case none
    /// It may go another way now.
    case doubt
    /// It has lost this host's end.
    case gone(reason: String)
}

extension LocalNetwork {
    /// For a link with this end of it here; nil where that is not known.
    func effect(since before: LocalNetwork, on end: LocalEnd?) -> NetworkEffect {
        guard let end else { return self == before ? .none : .doubt }
        // Within the host it goes over the loopback, whatever its address is.
        guard !end.staysInHost else { return .none }
        let found =
            end.interface.flatMap { interfaces[$0] }
            ?? interfaces.values.first { interface in
                end.interface == nil && interface.addresses.contains(end.address)
            }
        guard let found, found.addresses.contains(end.address) else {
            return .gone(reason: "its address is no longer this host's")
        }
        if found.isLoopback { return .none }
        guard found.hasCarrier else { return .gone(reason: "no carrier on \(found.name)") }
        // A link-local address is bound to its interface; any other goes where the routes say.
        let isMoved = paths(of: end) != before.paths(of: end)
        return isMoved ? .doubt : .none
    }

    /// What routes for such an address may hang on.
    private func paths(of end: LocalEnd) -> [Int32: Set<[UInt8]>] {
        var paths: [Int32: Set<[UInt8]>] = [:]
        for interface in interfaces.values where !interface.isLoopback && interface.hasCarrier {
            guard end.interface == nil || end.interface == interface.index else { continue }
            let addresses = interface.addresses.filter { $0.count == end.address.count }
            if !addresses.isEmpty { paths[interface.index] = addresses }
        }
        return paths
    }
}
