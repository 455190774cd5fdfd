internal import Model

/// How much may move now under a cap: rises steadily, at most a slice ahead of time, and sinks with what moves. Below
/// zero nothing new begins. A pause is not made up for.
struct PaceLevel: Hashable, Sendable {
    /// What is aimed at, somewhat below the cap, so that what arrives a little early or is counted a little late keeps
    /// any window of time below it.
    let bytesPerSecond: Double
    private(set) var bytes = 0.0
    private var risenAt: MonotonicTime
    /// The longest debt in seconds: what is older counts in no window by which the cap is measured.
    private let memory: Double

    init(cap: Int64, at now: MonotonicTime) {
        bytesPerSecond = max(1, Double(cap) * Limits.capAim)
        risenAt = now
        memory = cap < Limits.slowCap ? 10 : 1
    }

    /// The most that may be ahead: what a tick or two brings, and never less than one segment.
    var slice: Double { max(bytesPerSecond * 2 * Limits.paceTick.inSeconds, Double(Limits.segmentBytes)) }

    mutating func rise(to now: MonotonicTime) {
        guard now > risenAt else { return }
        bytes += bytesPerSecond * risenAt.duration(to: now).inSeconds
        risenAt = now
    }

    /// Takes away what is too far ahead, and forgets debts that are too old. After what has moved meanwhile was spent.
    mutating func settle() { bytes = min(slice, max(-bytesPerSecond * memory, bytes)) }

    mutating func spend(_ amount: Double) { bytes -= amount }

    /// What one grant is: a tick's worth, at least a segment.
    var grant: Int {
        let tick = max(bytesPerSecond * Limits.paceTick.inSeconds, Double(Limits.segmentBytes))
        return Int(max(Double(Limits.segmentBytes), min(tick, bytes, Double(Channel.pieceBytes))))
    }

    /// Until it is above `bound`; zero where it is.
    func time(until bound: Double) -> Duration {
        bytes > bound ? .zero : .nanoseconds(Int64((bound - bytes) / bytesPerSecond * 1e9) + 1)
    }
}
