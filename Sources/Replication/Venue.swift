package import Model
package import Reactor

/// Where this module's actors run and how time passes there: the event loop, or a simulator with a clock of its own.
package struct Venue: Sendable {
    package let executor: any SerialExecutor & TaskExecutor
    package let now: @Sendable () -> MonotonicTime
    /// This node's wall clock, for reports only.
    package let realtime: @Sendable () -> Int64
    /// Throws where the task is cancelled, at once.
    package let sleep: @Sendable (Duration) async throws -> Void
    /// A fraction below 1, each time another.
    package let random: @Sendable () -> Double

    package init(
        executor: any SerialExecutor & TaskExecutor, now: @escaping @Sendable () -> MonotonicTime,
        realtime: @escaping @Sendable () -> Int64, sleep: @escaping @Sendable (Duration) async throws -> Void,
        random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }
    ) {
        self.executor = executor
        self.now = now
        self.realtime = realtime
        self.sleep = sleep
        self.random = random
    }

    package init(_ loop: EventLoop) {
        self.init(
            executor: loop, now: { SystemClock.monotonic() }, realtime: { SystemClock.reading().realtime },
            sleep: { try await loop.sleep(for: $0) })
    }
}
