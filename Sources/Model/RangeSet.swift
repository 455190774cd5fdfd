/// A set of positive integers kept as sorted, disjoint, non-adjacent closed ranges; printed `1-40,43`. What a node
/// holds is a handful.
package struct RangeSet64: Hashable, Sendable, CustomStringConvertible {
    package private(set) var ranges: [ClosedRange<Int64>] = []

    package init() {}
    package init(_ range: ClosedRange<Int64>) { ranges = [range] }

    /// Parses `1-40,43`: ascending, disjoint, within 1…2^53, at most `limit` ranges. The empty text is the empty set.
    package init?(_ text: some StringProtocol, limit: Int = Limits.rangesPerStatement) {
        guard !text.isEmpty else { return }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= limit else { return nil }
        for part in parts {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
            guard (1...2).contains(ends.count), let low = Self.number(ends[0]),
                let high = Self.number(ends[ends.count - 1]),
                low <= high, low > (ranges.last?.upperBound ?? 0)
            else { return nil }
            insert(low...high)
        }
    }

    private static func number(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let value = Int64(text), (1...(1 << 53)).contains(value)
        else { return nil }
        return value
    }

    package var isEmpty: Bool { ranges.isEmpty }
    package var count: Int64 { ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound + 1) } }
    package var description: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }

    package func contains(_ n: Int64) -> Bool {
        let position = firstRange(endingAtOrAfter: n)
        return position < ranges.count && ranges[position].contains(n)
    }

    package mutating func insert(_ n: Int64) { insert(n...n) }

    package mutating func insert(_ new: ClosedRange<Int64>) {
        let first = firstRange(endingAtOrAfter: new.lowerBound - 1)
        var last = first
        var merged = new
        while last < ranges.count, ranges[last].lowerBound <= new.upperBound + 1 {
            merged = min(merged.lowerBound, ranges[last].lowerBound)...max(merged.upperBound, ranges[last].upperBound)
            last += 1
        }
        ranges.replaceSubrange(first..<last, with: [merged])
    }

    package mutating func remove(_ n: Int64) { subtract(RangeSet64(n...n)) }

    package mutating func formUnion(_ other: Self) { for range in other.ranges { insert(range) } }

    package mutating func subtract(_ other: Self) { self = subtracting(other) }

    package func subtracting(_ other: Self) -> Self {
        var rest: [ClosedRange<Int64>] = []
        var position = 0
        for range in ranges {
            var low = range.lowerBound
            while position < other.ranges.count, other.ranges[position].upperBound < low { position += 1 }
            var at = position
            while at < other.ranges.count, other.ranges[at].lowerBound <= range.upperBound, low <= range.upperBound {
                let hole = other.ranges[at]
                if hole.lowerBound > low { rest.append(low...(hole.lowerBound - 1)) }
                low = max(low, hole.upperBound + 1)
                at += 1
            }
            if low <= range.upperBound { rest.append(low...range.upperBound) }
        }
        var result = Self()
        result.ranges = rest
        return result
    }

    package func intersection(_ other: Self) -> Self { subtracting(subtracting(other)) }

    private func firstRange(endingAtOrAfter n: Int64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < n { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
