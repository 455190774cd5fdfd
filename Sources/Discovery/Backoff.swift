/// Doubling delays between two bounds.
struct Backoff: Sendable {
    private let shortest: Duration
    private let longest: Duration
    private var current: Duration

    init(from shortest: Duration, to longest: Duration) {
        self.shortest = shortest
        self.longest = longest
        current = shortest
    }

    mutating func next() -> Duration {
        defer { current = min(current * 2, longest) }
        return current
    }

    mutating func reset() { current = shortest }
}
