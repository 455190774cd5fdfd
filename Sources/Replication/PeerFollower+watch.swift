internal import Model
internal import Reactor

extension PeerFollower {
    private enum Turn: Sendable {
        /// Time to look at the link.
        case clock
        /// A reason to look at it before.
        case bell
        /// The search for a second link is over.
        case sought(Candidate?)
    }

    /// How a watch ends.
    private enum Outcome {
        case over
        case stalled(Parting)
        case replaced(Candidate, silence: Duration)
    }

    /// Looks after the link: tries a second one while it is suspect, gives that where it took over, throws where the
    /// link stands still. In any case the link is closed then, and every call that is under way ends.
    func watch(_ connection: Connection) async throws -> Candidate? {
        let outcome = await look(after: connection)
        isSeeking = false
        switch outcome {
        case .over: await connection.link.close()
        case .stalled(let parting):
            cause = parting
            await connection.link.close()
            throw parting
        case .replaced(let successor, let silence):
            // One that was in doubt because the network has changed is no fault of the peer.
            cause = Parting(
                fault: silence < Limits.suspicionFloor ? nil : .silent,
                reason: "nothing heard for \(silence), and another connection took over")
            log.info("another connection took over", ("endpoint", successor.endpoint), ("silence", silence))
            await connection.link.close()
            return successor
        }
        throw CancellationError()
    }

    private func look(after connection: Connection) async -> Outcome {
        let rings = watchBell.listen()
        return await withTaskGroup(of: Turn.self) { group in
            var outcome: Outcome?
            group.addTask { .clock }
            group.addTask { await Self.ring(rings) }
            while let turn = await group.next() {
                if Task.isCancelled, outcome == nil { outcome = .over }
                if case .sought(let found) = turn {
                    isSeeking = false
                    // The first may have spoken meanwhile; then nobody wants the second.
                    if let found, outcome == nil, let silence = await silence(of: connection) {
                        outcome = .replaced(found, silence: silence)
                    } else {
                        await found?.link.close()
                    }
                }
                guard outcome == nil else {
                    endSearch()
                    group.cancelAll()
                    continue
                }
                let verdict = await assess(connection)
                var pause = Limits.dialInterval
                switch verdict {
                case .stalled(let call):
                    outcome = .stalled(
                        Parting(fault: .silent, reason: "nothing moved for \(Limits.stallTime) (\(call))"))
                case .trusted(let again):
                    endSearch()
                    pause = venue.now().duration(to: again)
                case .suspect(let silence, let again):
                    pause = venue.now().duration(to: again)
                    guard !isSeeking else { break }
                    isSeeking = true
                    log.info(
                        "a link is suspect", ("peer", connection.greeting.name), ("endpoint", connection.endpoint),
                        ("silence", silence))
                    group.addTask { .sought(await self.dialUntilGreeted(connection.greeting.id)) }
                }
                switch turn {
                case .clock: group.addTask { await self.pause(pause) }
                case .bell: group.addTask { await Self.ring(rings) }
                case .sought: break
                }
            }
            return outcome ?? .over
        }
    }

    static func ring<Turn>(_ rings: AsyncStream<Void>, _ turn: Turn) async -> Turn {
        for await _ in rings { return turn }
        return turn
    }

    private static func ring(_ rings: AsyncStream<Void>) async -> Turn { await ring(rings, .bell) }

    private func pause(_ time: Duration) async -> Turn {
        // Cancelled, it is a turn all the same: whoever counts it sees that the watch is over.
        do { try await venue.sleep(max(.milliseconds(1), time)) } catch { return .clock }
        return .clock
    }

    private func endSearch() {
        guard isSeeking else { return }
        isSeeking = false
        dialBell.ring()
    }

    /// Nil where the link is trusted.
    private func silence(of connection: Connection) async -> Duration? {
        switch await assess(connection) {
        case .trusted: nil
        case .suspect(let silence, _): silence
        case .stalled: Limits.stallTime
        }
    }

    private func assess(_ connection: Connection) async -> LinkSuspicion.Verdict {
        var pulse = await connection.link.pulse()
        let now = venue.now()
        if let late = deadlines.values.first(where: { $0.at < now }) { return .stalled(on: late.call.rawValue) }
        if pulse.lastHeard == nil { pulse.lastHeard = lastContact }
        return suspicion.assess(pulse, awaiting: awaited, now: now)
    }

    private var awaited: LinkSuspicion.Awaited? {
        guard let first = deadlines.values.min(by: { $0.since < $1.since }) else { return nil }
        let question = deadlines.values.filter { $0.call != .events }.min { $0.since < $1.since }
        return LinkSuspicion.Awaited(
            since: first.since, question: question.map { .init(name: $0.call.rawValue, since: $0.since) })
    }
}
