package import Model

/// Who a peer is.
package struct PeerGreeting: Hashable, Sendable {
    package let id: NodeID
    package let name: String
    package let role: Role
    package let version: String
    /// The peer's process: what its log positions are counted in.
    package let epoch: Incarnation
    package let head: Int64
    package let capabilities: Set<String>

    package init(
        id: NodeID, name: String, role: Role, version: String, epoch: Incarnation, head: Int64,
        capabilities: Set<String> = []
    ) {
        self.id = id
        self.name = name
        self.role = role
        self.version = version
        self.epoch = epoch
        self.head = head
        self.capabilities = capabilities
    }
}

/// What a peer holds, and the log position for which that is true.
package struct HaveAnswer: Hashable, Sendable {
    package let head: Int64
    /// Nil from a peer that does not say; then the epoch of its greeting counts.
    package let epoch: Incarnation?
    package let holdings: Holdings

    package init(head: Int64, epoch: Incarnation?, holdings: Holdings) {
        self.head = head
        self.epoch = epoch
        self.holdings = holdings
    }
}

/// What a node says it holds: the acknowledgement. A state, so that losing, repeating or reordering it does no harm.
package struct HoldingsStatement: Hashable, Sendable {
    /// The speaker's process.
    package let epoch: Incarnation
    /// The speaker's log position for which this is true.
    package let head: Int64
    /// All that is held. Where false: only incarnations that changed, each with all that is held of it; none of them
    /// became empty.
    package let isWhole: Bool
    package let holdings: Holdings

    package init(epoch: Incarnation, head: Int64, isWhole: Bool, holdings: Holdings) {
        self.epoch = epoch
        self.head = head
        self.isWhole = isWhole
        self.holdings = holdings
    }
}

/// Facts that were asked for, each with its exact bytes.
package struct FactsAnswer: Hashable, Sendable {
    package let facts: [[UInt8]]
    /// There are more in the ranges that were asked for.
    package let hasMore: Bool

    package init(facts: [[UInt8]], hasMore: Bool) {
        self.facts = facts
        self.hasMore = hasMore
    }
}

/// One entry of a peer's event stream.
package enum PeerEvent: Hashable, Sendable {
    /// First on every stream.
    case hello(epoch: Incarnation, head: Int64)
    /// A fact that entered the peer's log at `seq`.
    case fact(seq: Int64, epoch: Incarnation, kind: String, bytes: [UInt8])
    /// JSON for people; unnumbered.
    case status([UInt8])
    /// Rows of this open chunk became durable; no bytes here.
    /// `author` is the session's; nil from a peer that does not say.
    case tail(author: NodeID?, session: SessionID, stream: StreamName, index: Int64, length: Int64)
    /// A comment, or an event of a later release.
    case heartbeat
}
