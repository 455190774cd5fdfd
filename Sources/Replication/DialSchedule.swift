package import Model

/// Decides where to dial a peer next, and when: all its addresses in turn, the one that last answered first, for ever.
package struct DialSchedule: Sendable {
    private var endpoints: [Endpoint] = []
    private var lastGood: Endpoint?
    private var turn = 0
    private var notBefore: MonotonicTime?
    private var lastDial: MonotonicTime?
    /// Addresses that are new, before all others: a peer that moved is at one of them.
    private var fresh: [Endpoint] = []
    private var refusals: [Endpoint: Refusal] = [:]

    private struct Refusal {
        var count: Int
        var notBefore: MonotonicTime
    }

    package enum Decision: Hashable, Sendable {
        case dial(Endpoint)
        case wait(until: MonotonicTime)
        /// No address is known.
        case idle
    }

    package init() {}

    package var isIdle: Bool { endpoints.isEmpty }

    /// Every address refused, and none is due again.
    package func isRefused(now: MonotonicTime) -> Bool {
        !endpoints.isEmpty && endpoints.allSatisfy { refusals[$0].map { now < $0.notBefore } ?? false }
    }

    /// All addresses, in order of trust.
    package mutating func setEndpoints(_ new: [Endpoint]) {
        guard new != endpoints else { return }
        fresh = new.filter { fresh.contains($0) || !endpoints.contains($0) }
        if !fresh.isEmpty { hurry() }
        endpoints = new
        refusals = refusals.filter { new.contains($0.key) }
        if let lastGood, !new.contains(lastGood) { self.lastGood = nil }
        turn = 0
    }

    /// A decision to dial counts as made.
    package mutating func next(now: MonotonicTime) -> Decision {
        guard !endpoints.isEmpty else { return .idle }
        if let notBefore, now < notBefore { return .wait(until: notBefore) }
        if let endpoint = fresh.first(where: { isFree($0, now: now) }) {
            fresh.removeAll { $0 == endpoint }
            return dial(endpoint, now: now)
        }
        let order = lastGood.map { good in [good] + endpoints.filter { $0 != good } } ?? endpoints
        for step in 0..<order.count {
            let endpoint = order[(turn + step) % order.count]
            guard isFree(endpoint, now: now) else { continue }
            turn = (turn + step + 1) % order.count
            return dial(endpoint, now: now)
        }
        return .wait(until: refusals.values.map(\.notBefore).min() ?? now.advanced(by: Limits.dialInterval))
    }

    private mutating func dial(_ endpoint: Endpoint, now: MonotonicTime) -> Decision {
        lastDial = now
        notBefore = now.advanced(by: Limits.dialInterval)
        return .dial(endpoint)
    }

    private func isFree(_ endpoint: Endpoint, now: MonotonicTime) -> Bool {
        refusals[endpoint].map { $0.notBefore <= now } ?? true
    }

    /// As far as the pace tells.
    package func isDue(now: MonotonicTime) -> Bool { !isIdle && notBefore.map { $0 <= now } ?? true }

    /// Until the next look at the schedule is worth while.
    package func pause(now: MonotonicTime) -> Duration {
        guard let notBefore, now < notBefore else { return Limits.dialInterval }
        return now.duration(to: notBefore)
    }

    /// The peer itself answered there.
    package mutating func connected(to endpoint: Endpoint) {
        refusals[endpoint] = nil
        lastGood = endpoint
        fresh = []
        turn = 0
    }

    /// Somebody answered there, and refused.
    package mutating func refused(by endpoint: Endpoint, now: MonotonicTime) {
        let count = (refusals[endpoint]?.count ?? 0) + 1
        let delay = min(Limits.refusalCeiling, Limits.dialInterval * (1 << min(count, 8)))
        refusals[endpoint] = Refusal(count: count, notBefore: now.advanced(by: delay))
    }

    /// Something has changed: the next dial is due now, or soon after the last one.
    package mutating func hurry() {
        let soonest = lastDial?.advanced(by: Limits.hurriedDialInterval)
        if let pace = notBefore, let soonest { notBefore = min(pace, soonest) }
    }

    /// Somebody wishes that the peer be tried now, whatever it said before.
    package mutating func forgive() {
        refusals = [:]
        hurry()
    }
}
