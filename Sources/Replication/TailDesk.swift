internal import Model
internal import Reactor
internal import Storage

/// What the tails of all peers know together: whose own tail stands, who else has copies of whose chunks, and what is
/// wanted. So a chunk comes from one peer at a time: from its author, and while that is away from one that has a copy.
final class TailDesk: Sendable {
    private struct Relay {
        var lengths: [ChunkSlot: Int64] = [:]
        var grown: MonotonicTime
        var total: Int64 { lengths.values.reduce(0, +) }
    }

    private struct State {
        var policy: PullPolicy
        /// Authors whose own tail is open, and how often: a link that is replaced overlaps its successor.
        var live: [NodeID: Int] = [:]
        /// By author and then by peer: copies that the peer's events told of.
        var relays: [NodeID: [NodeID: Relay]] = [:]
        /// Which peer an author's copies are taken from.
        var chosen: [NodeID: NodeID] = [:]
        var reports: [NodeID: TailReport] = [:]
        var tailCount = 0
    }

    private let node: NodeID
    private let state: Locked<State>
    private let bell = ChangeBell()

    init(node: NodeID, policy: PullPolicy) {
        self.node = node
        state = Locked(State(policy: policy))
    }

    /// Rings when somebody may have another task than before.
    func changes() -> AsyncStream<Void> { bell.listen() }

    /// Each tail has a number of its own.
    func number() -> Int {
        state.withLock { state in
            state.tailCount += 1
            return state.tailCount
        }
    }

    // MARK: What is wanted

    func setPolicy(_ policy: PullPolicy) {
        state.withLock { $0.policy = policy }
        bell.ring()
    }

    /// What a tail of these authors asks for; nil where nothing is wanted.
    func request(of authors: Set<NodeID>) -> TailRequest? {
        guard !authors.isEmpty else { return nil }
        return switch state.withLock({ $0.policy }) {
        case .none: nil
        case .all: TailRequest(authors: authors)
        case .mission(let mission): TailRequest(authors: authors, mission: mission)
        }
    }

    // MARK: Who is there

    func began(_ author: NodeID) {
        state.withLock { $0.live[author, default: 0] += 1 }
        bell.ring()
    }

    func ended(_ author: NodeID, now: MonotonicTime) {
        state.withLock { state in
            let count = state.live[author, default: 0] - 1
            state.live[author] = count > 0 ? count : nil
            guard count <= 0 else { return }
            guard var report = state.reports[author] else { return }
            report.isLive = false
            report.isJoined = false
            report.openChunks = 0
            // Since the last word nobody knows.
            report.behindSince = report.behindSince ?? report.heardAt ?? now
            state.reports[author] = report
        }
        bell.ring()
    }

    /// A peer's bell: it has so much of this author's open chunk.
    func heard(_ slot: ChunkSlot, length: Int64, from peer: NodeID, now: MonotonicTime) {
        guard slot.author != node, slot.author != peer else { return }
        let isChange = state.withLock { state in
            guard state.relays[slot.author] != nil || state.relays.count < Limits.tailAuthors else { return false }
            var relay = state.relays[slot.author]?[peer] ?? Relay(grown: now)
            if relay.lengths.count >= Limits.tailPositions { relay.lengths = [:] }
            if length > relay.lengths[slot] ?? 0 { relay.grown = now }
            relay.lengths[slot] = length
            state.relays[slot.author, default: [:]][peer] = relay
            return Self.choose(slot.author, &state, now: now)
        }
        if isChange { bell.ring() }
    }

    /// The peer's link is over.
    func left(_ peer: NodeID, now: MonotonicTime) {
        state.withLock { state in
            for author in Array(state.relays.keys) {
                state.relays[author]?[peer] = nil
                if state.relays[author]?.isEmpty == true { state.relays[author] = nil }
                _ = Self.choose(author, &state, now: now)
            }
        }
        bell.ring()
    }

    /// Who has most. One that was chosen stays so while it grows: others that follow the same author are now before it,
    /// now behind.
    private static func choose(_ author: NodeID, _ state: inout State, now: MonotonicTime) -> Bool {
        let before = state.chosen[author]
        let relays = state.relays[author] ?? [:]
        let best = relays.max { ($0.value.total, $1.key) < ($1.value.total, $0.key) }
        if let before, let current = relays[before], let best,
            best.value.total <= current.total
                || now < current.grown.advanced(by: Limits.tailBellInterval * 3)
        {
            return false
        }
        state.chosen[author] = best?.key
        return best?.key != before
    }

    /// Authors whose copies are to be taken from this peer.
    func relayed(by peer: NodeID) -> Set<NodeID> {
        state.withLock { state in
            Set(state.chosen.filter { $0.value == peer && state.live[$0.key] == nil }.keys)
        }
    }

    // MARK: Reports

    func report(_ author: NodeID, _ change: (inout TailReport) -> Void) {
        state.withLock { state in
            if state.reports[author] == nil, state.reports.count >= Limits.peers {
                state.reports = state.reports.filter { state.live[$0.key] != nil }
            }
            change(&state.reports[author, default: TailReport()])
        }
    }

    /// It has no tail any more that could say more.
    func forget(_ author: NodeID) { state.withLock { $0.reports[author] = nil } }

    var reports: [NodeID: TailReport] { state.withLock { $0.reports } }
}
