package import Model
package import Storage

/// What is taken of a peer's facts.
package enum FollowScope: Hashable, Sendable, Comparable {
    case nothing
    /// Only what this node wrote itself and has no more: how a node heals.
    case ownFacts
    case everything
}

/// Whom a node follows. A role only chooses one of these.
package struct FollowPolicy: Hashable, Sendable {
    /// Peers that were named by a person (`--peer`), whatever their role.
    package var configured: FollowScope
    package var vehicles: FollowScope
    package var topsides: FollowScope

    package init(configured: FollowScope, vehicles: FollowScope, topsides: FollowScope) {
        self.configured = configured
        self.vehicles = vehicles
        self.topsides = topsides
    }

    /// Every vehicle and every topside.
    package static let everyone = Self(configured: .everything, vehicles: .everything, topsides: .everything)
    /// Whom a person named; from topsides beside them, what was lost here.
    package static let named = Self(configured: .everything, vehicles: .nothing, topsides: .ownFacts)

    package func scope(of role: Role, isConfigured: Bool) -> FollowScope {
        let byRole =
            switch role {
            case .vehicle: vehicles
            case .topside: topsides
            }
        return isConfigured ? max(configured, byRole) : byRole
    }

    /// Whether a peer is worth a dial before it said who it is.
    package func mayFollow(claimedRole: Role?, isConfigured: Bool) -> Bool {
        let roles = claimedRole.map { [$0] } ?? Role.allCases
        return roles.contains { scope(of: $0, isConfigured: isConfigured) != .nothing }
    }
}

/// Which bytes a node pulls of what it heard of. What it wrote itself and lost, it pulls whatever this says.
package enum PullPolicy: Hashable, Sendable {
    case all, none
    case mission(String)

    package func wants(_ chunk: WantedChunk, for node: NodeID) -> Bool {
        if chunk.name.author == node { return true }
        switch self {
        case .all: return true
        case .none: return false
        case .mission(let mission): return chunk.mission == mission
        }
    }
}
