package import Model

/// Decides what to tell a peer about what is held here, and when: everything first, then what changed, at most once an
/// interval.
package struct StatementSchedule: Sendable {
    /// What the peer is known to have been told; nil where the next statement has to be whole.
    private var told: Holdings?
    private var notBefore: MonotonicTime?

    package enum Decision: Hashable, Sendable {
        case post(HoldingsStatement)
        case wait(until: MonotonicTime)
        /// The peer knows.
        case nothing
    }

    package init() {}

    package func next(epoch: Incarnation, head: Int64, holdings: Holdings, now: MonotonicTime) -> Decision {
        guard told != holdings else { return .nothing }
        if let notBefore, now < notBefore { return .wait(until: notBefore) }
        guard let told, let changes = Self.changes(from: told, to: holdings) else {
            return .post(HoldingsStatement(epoch: epoch, head: head, isWhole: true, holdings: holdings))
        }
        return .post(HoldingsStatement(epoch: epoch, head: head, isWhole: false, holdings: changes))
    }

    /// The peer took a statement that was true for these holdings.
    package mutating func arrived(_ holdings: Holdings, now: MonotonicTime) {
        told = holdings
        notBefore = now.advanced(by: Limits.statementInterval)
    }

    /// The peer may or may not have taken it: the next one is whole.
    package mutating func refused(now: MonotonicTime) {
        told = nil
        notBefore = now.advanced(by: Limits.refusedStatementInterval)
    }

    /// The incarnations whose ranges differ; nil where one is gone, which only a whole statement can say.
    private static func changes(from old: Holdings, to new: Holdings) -> Holdings? {
        var changes = Holdings()
        for (author, incarnations) in new.authors {
            for (incarnation, ranges) in incarnations where ranges != old[author, incarnation] {
                changes[author, incarnation] = ranges
            }
        }
        for (author, incarnations) in old.authors {
            for incarnation in incarnations.keys where new[author, incarnation].isEmpty { return nil }
        }
        return changes
    }
}
