internal import Model
internal import Reactor

/// Decides whose turn it is to dial, where more want to than may at once: whoever was met before goes first, then who
/// has the fewest dials under way, then who waits for longest.
struct DialRota: Sendable {
    private let places: Int
    private(set) var taken = 0
    private var underWay: [PeerDirectory.Token: Int] = [:]
    private var waiting: [PeerDirectory.Token: Wish] = [:]
    private var wishCount = 0

    private struct Wish {
        let isKnown: Bool
        let number: Int
    }

    init(places: Int) { self.places = places }

    /// Whether this peer may dial now; otherwise it waits for its turn.
    mutating func take(_ peer: PeerDirectory.Token, isKnown: Bool) -> Bool {
        wishCount += 1
        let wish = Wish(isKnown: isKnown, number: waiting[peer]?.number ?? wishCount)
        let before = waiting.filter { $0.key != peer && comes($0, before: (peer, wish)) }.count
        guard taken + before < places else {
            waiting[peer] = wish
            return false
        }
        waiting[peer] = nil
        underWay[peer, default: 0] += 1
        taken += 1
        return true
    }

    /// A dial has ended; whose turn it is now.
    mutating func give(_ peer: PeerDirectory.Token) -> PeerDirectory.Token? {
        taken -= 1
        underWay[peer, default: 1] -= 1
        if underWay[peer] == 0 { underWay[peer] = nil }
        return next
    }

    /// It does not wait any more; whose turn it is then.
    mutating func leave(_ peer: PeerDirectory.Token) -> PeerDirectory.Token? {
        guard waiting.removeValue(forKey: peer) != nil else { return nil }
        return next
    }

    private var next: PeerDirectory.Token? {
        guard taken < places else { return nil }
        return waiting.min { comes($0, before: $1) }?.key
    }

    private func comes(
        _ one: (key: PeerDirectory.Token, value: Wish), before other: (key: PeerDirectory.Token, value: Wish)
    ) -> Bool {
        func rank(_ wish: (key: PeerDirectory.Token, value: Wish)) -> (Int, Int, Int) {
            (wish.value.isKnown ? 0 : 1, underWay[wish.key] ?? 0, wish.value.number)
        }
        return rank(one) < rank(other)
    }
}

/// The places for dials of all followers; rings whose turn it is.
final class DialDesk: Sendable {
    private struct State {
        var rota = DialRota(places: Limits.dialsInAll)
        var bells: [PeerDirectory.Token: ChangeBell] = [:]
    }

    private let state = Locked(State())

    func take(_ peer: PeerDirectory.Token, isKnown: Bool, bell: ChangeBell) -> Bool {
        state.withLock { state in
            let isTaken = state.rota.take(peer, isKnown: isKnown)
            state.bells[peer] = isTaken ? nil : bell
            return isTaken
        }
    }

    func give(_ peer: PeerDirectory.Token) { ring { $0.give(peer) } }

    /// This follower dials no more for now.
    func leave(_ peer: PeerDirectory.Token) {
        ring { $0.leave(peer) }
        state.withLock { $0.bells[peer] = nil }
    }

    private func ring(_ change: (inout DialRota) -> PeerDirectory.Token?) {
        let bell = state.withLock { state in change(&state.rota).flatMap { state.bells[$0] } }
        bell?.ring()
    }
}
