/// Bytes a second over the last four seconds, in quarters of a second.
package struct RateMeter: Hashable, Sendable {
    private static let bucket: Int64 = 250_000_000
    private static let buckets = 16

    private var counts = [Int64](repeating: 0, count: Self.buckets)
    private var newest: Int64 = .min

    package init() {}

    package mutating func add(_ bytes: Int64, now: MonotonicTime) {
        turn(to: now)
        counts[Int(newest % Int64(Self.buckets))] += bytes
    }

    package func bytesPerSecond(now: MonotonicTime) -> Int64 {
        var copy = self
        copy.turn(to: now)
        return copy.counts.reduce(0, +) * 1_000_000_000 / (Self.bucket * Int64(Self.buckets))
    }

    private mutating func turn(to now: MonotonicTime) {
        let number = max(0, now.nanoseconds / Self.bucket)
        guard number > newest else { return }
        let first = max(newest, number - Int64(Self.buckets)) + 1
        for passed in max(0, first)...number { counts[Int(passed % Int64(Self.buckets))] = 0 }
        newest = number
    }
}
