internal import Model
internal import Reactor

extension PeerFollower {
    private enum Attempt: Sendable {
        /// Time to look at the schedule.
        case clock
        /// A reason to look at it before.
        case bell
        /// What was in the way when it rang is over.
        case afterBell
        case greeted(Candidate)
        case failed(Endpoint, PeerLinkError, wasLinked: Bool)
        /// Another node answers there than was expected.
        case stranger(Endpoint, NodeID)
    }

    /// Dials by the schedule until a peer has said who it is, each time on a fresh socket, not waiting for the attempts
    /// before: on a bad link the first packet of one may be lost. With `expected`, no other node counts, and the search
    /// is over as soon as it is not wanted. Nil where there is nobody to follow any more.
    func dialUntilGreeted(_ expected: NodeID? = nil) async -> Candidate? {
        let rings = dialBell.listen()
        let found = await withTaskGroup(of: Attempt.self) { group in
            var winner: Candidate?
            var outstanding = 0
            group.addTask { .clock }
            group.addTask { await Self.ring(rings, .bell) }
            while let attempt = await group.next() {
                switch attempt {
                case .clock, .bell, .afterBell: break
                case .greeted(let candidate):
                    outstanding -= 1
                    if winner == nil, isDialling(expected) {
                        winner = candidate
                    } else {
                        await candidate.link.close()
                    }
                case .failed(let endpoint, let error, let wasLinked):
                    outstanding -= 1
                    if winner == nil, isDialling(expected) {
                        noteFailedDial(endpoint, error, wasLinked: wasLinked, isSecond: expected != nil)
                    }
                case .stranger(let endpoint, let node):
                    outstanding -= 1
                    schedule.refused(by: endpoint, now: venue.now())
                    note(.wrongIdentity, "\(node.short) answers at \(endpoint)")
                }
                guard winner == nil, isDialling(expected) else {
                    group.cancelAll()
                    continue
                }
                switch attempt {
                case .clock, .bell, .afterBell:
                    if outstanding < Limits.dialsOutstanding, let endpoint = nextDial() {
                        outstanding += 1
                        group.addTask { await self.dial(endpoint, expected) }
                    } else if case .bell = attempt {
                        group.addTask { await self.nextTurn(.afterBell) }
                    }
                case .greeted, .failed, .stranger: break
                }
                switch attempt {
                case .clock: group.addTask { await self.nextTurn(.clock) }
                case .bell: group.addTask { await Self.ring(rings, .bell) }
                case .afterBell, .greeted, .failed, .stranger: break
                }
            }
            return winner
        }
        surroundings.dials.leave(token)
        return found
    }

    private func isDialling(_ expected: NodeID?) -> Bool {
        !isRetired && !Task.isCancelled && (expected == nil || isSeeking)
    }

    private func nextDial() -> Endpoint? {
        guard schedule.isDue(now: venue.now()),
            surroundings.dials.take(token, isKnown: greeting != nil, bell: dialBell)
        else { return nil }
        if case .dial(let endpoint) = schedule.next(now: venue.now()) { return endpoint }
        surroundings.dials.give(token)
        return nil
    }

    private func nextTurn(_ turn: Attempt) async -> Attempt {
        // Cancelled, it is a turn all the same: whoever counts it sees that the race is over.
        do { try await venue.sleep(schedule.pause(now: venue.now())) } catch { return turn }
        return turn
    }

    // MARK: One attempt

    private func dial(_ endpoint: Endpoint, _ expected: NodeID?) async -> Attempt {
        let attempt = await greet(endpoint, expected)
        surroundings.dials.give(token)
        return attempt
    }

    /// Connects, and asks who is there, each within its time: what connects and then says nothing is no link.
    private func greet(_ endpoint: Endpoint, _ expected: NodeID?) async -> Attempt {
        let dialing = surroundings.dialing
        let link: any PeerLink
        do {
            link = try await within(Limits.dialTime) {
                try await dialing.dial(endpoint)
            } tooLate: {
                await $0.close()
            }
        } catch {
            return .failed(endpoint, error, wasLinked: false)
        }
        greetingCount += 1
        defer { greetingCount -= 1 }
        do {
            let greeting = try await within(Limits.stallTime) {
                try await link.greeting()
            } tooLate: { _ in
            }
            guard expected == nil || greeting.id == expected else {
                await link.close()
                return .stranger(endpoint, greeting.id)
            }
            return .greeted(Candidate(link: link, endpoint: endpoint, greeting: greeting))
        } catch {
            await link.close()
            return .failed(endpoint, error, wasLinked: true)
        }
    }

    /// What `body` gives within the time. What came about although it was too late is nobody's.
    private func within<Answer: Sendable>(
        _ time: Duration, _ body: @escaping @Sendable () async throws -> Answer,
        tooLate: @Sendable (Answer) async -> Void
    ) async throws(PeerLinkError) -> Answer {
        let venue = self.venue
        let result: Result<Answer, PeerLinkError> = await withTaskGroup(of: Result<Answer, PeerLinkError>?.self) {
            group in
            group.addTask {
                do {
                    return .success(try await body())
                } catch let error as PeerLinkError {
                    return .failure(error)
                } catch {
                    return .failure(.unreachable(reason: "\(error)"))
                }
            }
            group.addTask {
                do { try await venue.sleep(time) } catch { return nil }
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            for await late in group { if case .success(let answer)? = late { await tooLate(answer) } }
            return first ?? .failure(.timedOut)
        }
        return try result.get()
    }

    private func noteFailedDial(_ endpoint: Endpoint, _ error: PeerLinkError, wasLinked: Bool, isSecond: Bool) {
        let fault: PeerFault
        switch error {
        // Who answers what no node answers will do so again.
        case .refused, .malformed:
            schedule.refused(by: endpoint, now: venue.now())
            note(PeerFault(error), error.description)
            log.info("a peer does not let itself be followed", ("endpoint", endpoint), ("reason", error))
            return
        default: fault = wasLinked ? PeerFault(error) : .unreachable
        }
        // While the first link lives it may yet speak.
        guard !isSecond else { return }
        if noteUnreachable(fault, error.description) {
            log.info("cannot reach a peer", ("endpoint", endpoint), ("reason", error))
        }
    }
}
