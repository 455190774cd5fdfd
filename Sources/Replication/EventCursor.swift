package import Model

/// Where in a peer's log the event stream has come to; decides of each event whether it joins what came before.
package struct EventCursor: Sendable {
    private let epoch: Incarnation
    private var position: Int64
    /// Every position is sent; not so where the peer leaves out other authors.
    private let isGapless: Bool
    private var isGreeted = false

    package enum Decision: Hashable, Sendable {
        case take([UInt8])
        case pass
        /// The stream does not continue what was compared.
        case startOver(isGap: Bool)
        case malformed(String)
    }

    /// `position`: the peer's head for which the comparison was true.
    package init(epoch: Incarnation, position: Int64, isGapless: Bool) {
        self.epoch = epoch
        self.position = position
        self.isGapless = isGapless
    }

    package mutating func take(_ event: PeerEvent) -> Decision {
        switch event {
        case .heartbeat, .status, .tail: return .pass
        case .hello(let epoch, let head):
            isGreeted = true
            return epoch == self.epoch && head >= position ? .pass : .startOver(isGap: false)
        case .fact(let seq, let epoch, _, let bytes):
            guard isGreeted else { return .malformed("events without a hello") }
            guard epoch == self.epoch else { return .startOver(isGap: false) }
            // Said before: a repetition does no harm.
            guard seq > position else { return .pass }
            if isGapless, seq != position + 1 { return .startOver(isGap: true) }
            position = seq
            return .take(bytes)
        }
    }
}
