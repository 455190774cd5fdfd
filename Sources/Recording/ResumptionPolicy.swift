package import Model
package import Storage

/// What becomes of the sessions that an earlier process left open.
package struct ResumptionPolicy: Hashable, Sendable {
    package enum Decision: Hashable, Sendable {
        /// The session goes on, with a gap since its last commit.
        case resume(OpenSession, gap: Gap)
        case end(SessionID, reason: String)
        /// A new session with the same purpose takes over from `after`; at once, or with the first row.
        case replace(after: OpenSession, atOnce: Bool)
    }

    /// A pause up to this is one recording with a gap; beyond it people look for two.
    package static let longestPause = Duration.seconds(600)

    /// A session that should have ended already (it was stopped, or gave way to a later one) ends as it should have.
    package static func decide(
        _ open: [OpenSession], wish: RecordingWish?, now: ClockReading
    ) -> [Decision] {
        let sessions = open.sorted { ($0.startedAt.realtime, $0.id) < ($1.startedAt.realtime, $1.id) }
        guard let newest = sessions.last else { return [] }
        var decisions = sessions.dropLast().map { Decision.end($0.id, reason: SessionEnd.Reason.superseded) }
        guard let wish else { return decisions + [.end(newest.id, reason: SessionEnd.Reason.stopped)] }
        let pause = Duration.nanoseconds(now.boottime - newest.lastActivity.boottime)
        if newest.lastActivity.bootID == now.bootID, pause < longestPause {
            let gap = Gap(
                reason: Gap.Reason.restart, from: ClockPair(newest.lastActivity), to: ClockPair(now))
            decisions.append(.resume(newest, gap: gap))
        } else {
            let reason = newest.stoppedOrderly ? SessionEnd.Reason.interrupted : SessionEnd.Reason.powerLost
            decisions += [.end(newest.id, reason: reason), .replace(after: newest, atOnce: wish.explicit)]
        }
        return decisions
    }
}
