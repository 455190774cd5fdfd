internal import Model
internal import Reactor

/// Writes this process's facts and names them: 1, 2, 3… within its incarnation.
final class FactMint: Sendable {
    let node: NodeID
    let incarnation: Incarnation
    let now: @Sendable () -> ClockReading
    /// The number of the newest.
    private let count = Locked<Int64>(0)

    init(node: NodeID, incarnation: Incarnation, now: @escaping @Sendable () -> ClockReading) {
        self.node = node
        self.incarnation = incarnation
        self.now = now
    }

    func mint(_ body: Fact.Body, in session: SessionID?) -> RecordedFact {
        let n = count.withLock { count in
            count += 1
            return count
        }
        let name = FactName(author: node, incarnation: incarnation, n: n)
        return RecordedFact(encoding: Fact(name: name, session: session, at: now(), body: body))
    }
}

/// A fact that is to be written again under the name that it had the first time.
struct UnrecordedFact: Hashable, Sendable {
    let body: Fact.Body
    let session: SessionID?
}
