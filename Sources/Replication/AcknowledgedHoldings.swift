package import Model

/// What a peer said it holds: the newest statement of its process counts, for each author's process on its own.
/// Statements may be lost, repeated or overtake each other; what is believed depends only on which of them arrived, and
/// is never more than was said.
package struct AcknowledgedHoldings: Hashable, Sendable {
    package private(set) var epoch: Incarnation?
    /// The newest position that any statement spoke of.
    package private(set) var head: Int64 = 0
    package private(set) var holdings = Holdings()

    /// Position of the newest whole statement: it speaks of everything, of what it does not list too.
    private var wholeHead: Int64?
    /// Positions of the statements behind those incarnations that a newer one spoke of than the whole one.
    private var heads: [NodeID: [Incarnation: Int64]] = [:]
    /// Earlier processes of the peer, the newest last. An epoch is random and never comes back: a statement of one of
    /// these was delayed.
    private var retired: [Incarnation] = []

    package enum Outcome: Hashable, Sendable {
        case taken
        /// Taken, but what it builds on never arrived: the speaker should state everything once more.
        case needsWhole
        /// Nothing in it that is not known from a newer one.
        case stale
    }

    package init() {}

    package mutating func take(_ statement: HoldingsStatement) -> Outcome {
        if statement.epoch != epoch {
            guard !retired.contains(statement.epoch) else { return .stale }
            begin(statement.epoch)
        }
        let isNews = statement.isWhole ? takeWhole(statement) : takeChanges(statement)
        head = max(head, statement.head)
        guard wholeHead != nil else { return .needsWhole }
        return isNews ? .taken : .stale
    }

    private mutating func begin(_ new: Incarnation) {
        if let epoch { retired = retired.suffix(Limits.retiredEpochs - 1) + [epoch] }
        self = Self(epoch: new, retired: retired)
    }

    private init(epoch: Incarnation, retired: [Incarnation]) {
        self.epoch = epoch
        self.retired = retired
    }

    private mutating func takeWhole(_ statement: HoldingsStatement) -> Bool {
        if let wholeHead, statement.head < wholeHead { return false }
        var merged = statement.holdings
        var newer: [NodeID: [Incarnation: Int64]] = [:]
        for (author, incarnations) in heads {
            for (incarnation, head) in incarnations where head > statement.head {
                merged[author, incarnation] = holdings[author, incarnation]
                newer[author, default: [:]][incarnation] = head
            }
        }
        holdings = merged
        heads = newer
        wholeHead = statement.head
        return true
    }

    private mutating func takeChanges(_ statement: HoldingsStatement) -> Bool {
        var isNews = false
        for (author, incarnations) in statement.holdings.authors {
            for (incarnation, ranges) in incarnations {
                if let known = heads[author]?[incarnation] ?? wholeHead, statement.head < known { continue }
                holdings[author, incarnation] = ranges
                heads[author, default: [:]][incarnation] = statement.head
                isNews = true
            }
        }
        return isNews
    }
}
