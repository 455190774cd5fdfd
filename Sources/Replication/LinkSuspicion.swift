package import Model

/// Signs of life of a link, as the kernel took them, whether they were read or not.
package struct LinkPulse: Hashable, Sendable {
    /// The last byte on any of its connections; nil where the link cannot tell.
    package var lastHeard: MonotonicTime?
    /// The last byte on a connection that carries answers and chunks, and no endless stream; nil where there was none.
    package var lastMoved: MonotonicTime?
    /// Until when a question waited for its turn under a cap of ours: it was not asked before.
    package var heldUntil: MonotonicTime?
    /// Smoothed; the longest of its connections.
    package var roundTrip = Duration.zero

    package init() {}
}

/// Decides of a link whether it is trusted, suspect (a second one is to be tried while this one lives), or stands still
/// and has to end.
package struct LinkSuspicion: Sendable {
    /// What is awaited from the peer, and since when.
    package struct Awaited: Hashable, Sendable {
        /// The call that waits for longest.
        package var since: MonotonicTime
        /// The one among them that is no event stream.
        package var question: Question?

        package struct Question: Hashable, Sendable {
            package let name: String
            package let since: MonotonicTime

            package init(name: String, since: MonotonicTime) {
                self.name = name
                self.since = since
            }
        }

        package init(since: MonotonicTime, question: Question? = nil) {
            self.since = since
            self.question = question
        }
    }

    package enum Verdict: Hashable, Sendable {
        case trusted(lookAgain: MonotonicTime)
        case suspect(silence: Duration, lookAgain: MonotonicTime)
        /// Nothing has moved for too long; what was waited for.
        case stalled(on: String)
    }

    /// The peer says something at the pace it was asked for, or an answer is due at once: silence means something.
    package var expectsBeats = false
    /// When the way to the peer may have changed; nil once something was heard since.
    private var doubtedAt: MonotonicTime?

    package init() {}

    /// The way to the peer may be another one now: only what is heard from now on counts.
    package mutating func doubt(now: MonotonicTime) { doubtedAt = now }

    package mutating func assess(_ pulse: LinkPulse, awaiting awaited: Awaited?, now: MonotonicTime) -> Verdict {
        let again = now.advanced(by: Limits.suspicionFloor)
        if let doubt = doubtedAt, let heard = pulse.lastHeard, doubt < heard { doubtedAt = nil }
        // Where nothing is awaited nothing is read, and the peer may have fallen silent for that.
        guard let awaited else { return .trusted(lookAgain: again) }
        if let question = awaited.question {
            let moved = [pulse.lastMoved, pulse.heldUntil].compactMap { $0 }.reduce(question.since, max)
            if moved.advanced(by: Limits.stallTime) <= now { return .stalled(on: question.name) }
        }
        var heard = max(awaited.since, pulse.lastHeard ?? awaited.since)
        if awaited.question?.since == awaited.since { heard = max(heard, pulse.heldUntil ?? heard) }
        let silence = heard.duration(to: now)
        if expectsBeats, silence >= Limits.stallTime { return .stalled(on: awaited.question?.name ?? "heartbeat") }
        let limit = max(Limits.suspicionFloor, pulse.roundTrip * 4 + Limits.suspicionMargin)
        let isSuspect = expectsBeats && silence >= limit || doubtedAt != nil
        if isSuspect { return .suspect(silence: silence, lookAgain: now.advanced(by: Limits.hurriedDialInterval)) }
        return .trusted(lookAgain: expectsBeats ? heard.advanced(by: limit) : again)
    }
}
