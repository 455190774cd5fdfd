internal import Model
internal import Reactor

extension PeerFollower {
    private enum Attempt: Sendable {
        /// Time to look at the schedule.
        case turn
        case linked(any PeerLink, Endpoint)
        case failed(Endpoint, PeerLinkError)
    }

    /// Dials by the schedule until a link stands, each time on a fresh socket, not waiting for the attempts before: on
    /// a bad link the first packet of one may be lost. Nil where the follower's time is over.
    func dialUntilLinked() async -> (any PeerLink, Endpoint)? {
        await withTaskGroup(of: Attempt.self) { group in
            var winner: (any PeerLink, Endpoint)?
            var outstanding = 0
            group.addTask { .turn }
            while let attempt = await group.next() {
                switch attempt {
                case .turn:
                    guard winner == nil, !isRetired, !Task.isCancelled else { continue }
                    if outstanding < Limits.dialsOutstanding, case .dial(let endpoint) = schedule.next(now: venue.now())
                    {
                        outstanding += 1
                        group.addTask { await self.dial(endpoint) }
                    }
                    group.addTask { await self.nextTurn() }
                case .linked(let link, let endpoint):
                    outstanding -= 1
                    if winner == nil, !isRetired {
                        winner = (link, endpoint)
                        group.cancelAll()
                    } else {
                        await link.close()
                    }
                case .failed(let endpoint, let error):
                    outstanding -= 1
                    if winner == nil { noteFailedDial(endpoint, error) }
                }
            }
            return winner
        }
    }

    private func nextTurn() async -> Attempt {
        // Cancelled, it is a turn all the same: whoever counts it sees that the race is over.
        do { try await venue.sleep(Limits.dialInterval) } catch { return .turn }
        return .turn
    }

    /// One attempt, within its time.
    private func dial(_ endpoint: Endpoint) async -> Attempt {
        await withTaskGroup(of: Attempt?.self) { group in
            let dialing = surroundings.dialing
            let venue = self.venue
            group.addTask {
                do {
                    return .linked(try await dialing.dial(endpoint), endpoint)
                } catch let error as PeerLinkError {
                    return .failed(endpoint, error)
                } catch {
                    return .failed(endpoint, .unreachable(reason: "\(error)"))
                }
            }
            group.addTask {
                do { try await venue.sleep(Limits.dialTime) } catch { return nil }
                return nil
            }
            var outcome = Attempt.failed(endpoint, .timedOut)
            if let first = await group.next(), let attempt = first { outcome = attempt }
            group.cancelAll()
            // A link that came about while its time ran out is nobody's.
            for await late in group { if case .linked(let link, _)? = late { await link.close() } }
            return outcome
        }
    }

    private func noteFailedDial(_ endpoint: Endpoint, _ error: PeerLinkError) {
        if case .refused = error { schedule.refused(by: endpoint, now: venue.now()) }
        let fault: PeerFault = if case .refused = error { .refused } else { .unreachable }
        if noteUnreachable(fault, error.description) {
            log.info("cannot reach a peer", ("endpoint", endpoint), ("reason", error))
        }
    }
}
