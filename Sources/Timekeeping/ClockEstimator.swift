package import Model

/// Estimates how a peer's clocks stand to this node's. Every exchange confines the offset of the two raw clocks to an
/// interval, that widens with age by the most they can drift apart; the narrowest at the moment counts. Realtime
/// follows by the maps of the newest exchange, so that a step of either realtime clock is in force with the exchange
/// that shows it, and no exchange before it is wrongly remembered.
///
/// The bound holds while the raw clocks' rates differ by at most `rateError` and both sides tell what they read. It is
/// as of the last exchange; how realtime is slewed or set after that is seen by the next.
package struct ClockEstimator: Sendable {
    /// Parts per million by which the rates of two raw clocks may differ: crystals are within 50 each.
    package static let rateError: Int64 = 100
    /// Parts per million by which NTP may slew realtime against raw.
    private static let slewRate: Int64 = 500

    private let ownBoot: BootID
    private var kept: [Confinement] = []
    private var latest: ClockExchange?
    private var ownSteps = StepDetector()
    private var peerSteps = StepDetector()

    /// What one exchange says: at `raw` the offset was within `halfWidth` of `offset`.
    private struct Confinement: Hashable, Sendable {
        let raw: Int64
        let offset: Int64
        let halfWidth: Int64
        let delay: Int64

        func width(at raw: Int64) -> Int64 { halfWidth + share(ClockEstimator.rateError, of: abs(raw - self.raw)) }
    }

    /// What an accepted exchange changed besides the estimate.
    package struct Change: Hashable, Sendable {
        package var steps: [SeenStep] = []
        /// Earlier exchanges count no more.
        package var restart: Restart?
    }

    package enum Restart: String, Hashable, Sendable {
        case rebooted
        /// The exchanges contradict each other: a machine slept, or a raw clock is not what it should be.
        case contradiction
    }

    package init(ownBoot: BootID) { self.ownBoot = ownBoot }

    package var peerBoot: BootID? { latest?.answer.bootID }

    package mutating func accept(_ exchange: ClockExchange) throws(ClockRefusal) -> Change {
        let confinement = try Self.confinement(by: exchange)
        var change = Change()
        if let latest, latest.answer.bootID != exchange.answer.bootID {
            kept = []
            peerSteps = StepDetector()
            change.restart = .rebooted
        } else if kept.contains(where: { Self.contradict($0, confinement) }) {
            kept = []
            change.restart = .contradiction
        }
        let at = ClockReading(
            realtime: exchange.received.realtime, boottime: exchange.received.boottime, bootID: ownBoot)
        for sample in [exchange.sent, exchange.received] {
            if let size = ownSteps.take(sample) { change.steps.append(SeenStep(side: .own, size: size, at: at)) }
        }
        for sample in [exchange.answer.received, exchange.answer.sent] {
            if let size = peerSteps.take(sample) { change.steps.append(SeenStep(side: .peer, size: size, at: at)) }
        }
        latest = exchange
        keep(confinement)
        return change
    }

    /// As of the last exchange.
    package var estimate: ClockEstimate? { latest.flatMap { estimate(at: $0.received.raw) } }

    /// At this node's `raw`, no earlier than the last exchange; the bound grows with the time between.
    package func estimate(at raw: Int64) -> ClockEstimate? {
        guard let latest, let best = kept.min(by: { $0.width(at: raw) < $1.width(at: raw) }) else { return nil }
        let (own, peer) = (latest.received, latest.answer.sent)
        let mapping = (peer.realtime - peer.raw) - (own.realtime - own.raw)
        let mappingBound =
            own.uncertainty + peer.uncertainty + share(Self.slewRate, of: own.raw - latest.sent.raw)
        let width = best.width(at: raw)
        return ClockEstimate(
            raw: raw, offset: best.offset + mapping, bound: width + mappingBound, rawOffset: best.offset,
            rawBound: width, delay: best.delay)
    }

    // MARK: One exchange

    private static func confinement(by exchange: ClockExchange) throws(ClockRefusal) -> Confinement {
        let (sent, received, answer) = (exchange.sent, exchange.received, exchange.answer)
        guard [sent, received, answer.received, answer.sent].allSatisfy(\.isSane) else { throw .absurd }
        let whole = received.raw - sent.raw
        let work = answer.sent.raw - answer.received.raw
        guard whole >= 0, work >= 0 else { throw .backwards }
        guard whole <= Limits.clockExchangeTime.nanoseconds else { throw .tooSlow }
        // While the peer worked, and while the packets ran, the clocks may have drifted apart.
        let drift = share(rateError, of: 2 * whole)
        let delay = whole - work
        guard delay >= -drift else { throw .impossibleDelay }
        let offset = ((answer.received.raw - sent.raw) + (answer.sent.raw - received.raw)) / 2
        return Confinement(
            raw: received.raw, offset: offset, halfWidth: max(0, delay) / 2 + 2 + drift, delay: max(0, delay))
    }

    private static func contradict(_ old: Confinement, _ new: Confinement) -> Bool {
        abs(old.offset - new.offset) > old.width(at: new.raw) + new.halfWidth
    }

    /// Drops the widest where there are too many: it will never again be the narrowest.
    private mutating func keep(_ new: Confinement) {
        kept.append(new)
        guard kept.count > Limits.clockExchangesKept else { return }
        let widest = kept.indices.max { kept[$0].width(at: new.raw) < kept[$1].width(at: new.raw) }
        if let widest { kept.remove(at: widest) }
    }
}

/// So many parts per million of a time, rounded up.
private func share(_ partsPerMillion: Int64, of nanoseconds: Int64) -> Int64 {
    nanoseconds / 1_000_000 * partsPerMillion + partsPerMillion
}
