internal import Model
internal import Replication

/// What a role comes to: whom a node follows. Its other defaults are in the table of settings, and the services are the
/// same.
extension Role {
    /// A topside follows everybody. A vehicle follows whom a person named, takes back what it lost from topsides, and
    /// everybody where it is told to pull.
    func followPolicy(pull: PullChoice) -> FollowPolicy {
        switch self {
        case .topside: .everyone
        case .vehicle: pull == .none ? .named : .everyone
        }
    }
}

extension PullChoice {
    var policy: PullPolicy {
        switch self {
        case .all: .all
        case .none: .none
        case .mission(let name): .mission(name)
        }
    }
}
