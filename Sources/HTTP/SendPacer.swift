internal import Model
package import Reactor

/// Keeps what bodies of chunks send to all clients together to one cap: each is given a slice in turn, first come,
/// first served. Lives on the loop.
package actor SendPacer {
    private struct Waiter {
        let number: Int
        let wanted: Int
        let continuation: CheckedContinuation<Int, Never>
    }

    private let loop: EventLoop
    private let shared: Locked<Int64?>
    private var level: PaceLevel?
    private var waiters: [Waiter] = []
    private var count = 0
    private lazy var timer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.serve() } }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    package init(on loop: EventLoop, cap: Int64?) {
        self.loop = loop
        shared = Locked(cap)
        level = cap.map { PaceLevel(cap: $0, at: SystemClock.monotonic()) }
    }

    isolated deinit {}

    /// Ethernet bytes a second; nil: none.
    package nonisolated var cap: Int64? { shared.withLock { $0 } }

    /// Holds from now on, for answers that are under way too.
    package func setCap(_ cap: Int64?) {
        shared.withLock { $0 = cap }
        level = cap.map { PaceLevel(cap: $0, at: SystemClock.monotonic()) }
        serve()
    }

    /// How many of `wanted` bytes may be sent, when their turn has come; at once where there is no cap.
    package nonisolated func take(_ wanted: Int) async throws -> Int {
        guard cap != nil, wanted > 0 else { return wanted }
        return try await turn(wanted)
    }

    private func turn(_ wanted: Int) async throws -> Int {
        count += 1
        let number = count
        let granted = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiters.append(Waiter(number: number, wanted: wanted, continuation: continuation))
                serve()
            }
        } onCancel: {
            loop.spawn { await self.withdraw(number) }
        }
        // Its client has gone.
        try Task.checkCancellation()
        return granted
    }

    private func withdraw(_ number: Int) {
        guard let position = waiters.firstIndex(where: { $0.number == number }) else { return }
        waiters.remove(at: position).continuation.resume(returning: 0)
    }

    private func serve() {
        level?.rise(to: SystemClock.monotonic())
        level?.settle()
        while let waiter = waiters.first {
            var granted = waiter.wanted
            if let now = level {
                guard now.bytes > 0 else { break }
                granted = min(granted, now.grant)
                level?.spend(Double(granted) * Limits.wireShare)
            }
            waiters.removeFirst()
            waiter.continuation.resume(returning: granted)
        }
        guard !waiters.isEmpty, let level else { return }
        timer.set(after: max(Limits.paceTick, level.time(until: 0)))
    }
}
