package import Model

extension EventLoop {
    /// Waits on a timer of the loop; `Task.sleep` would start three threads of its own. Throws where the task is
    /// cancelled.
    package func sleep(for duration: Duration) async throws(CancellationError) {
        let sleeper = Sleeper(loop: self)
        await withTaskCancellationHandler {
            await sleeper.wait(for: duration)
        } onCancel: {
            self.spawn { await sleeper.wake() }
        }
        if Task.isCancelled { throw CancellationError() }
    }

    package func sleep(until deadline: MonotonicTime) async throws(CancellationError) {
        try await sleep(for: SystemClock.monotonic().duration(to: deadline))
    }
}

/// One wait; ends by its timer or by being woken, whichever comes first.
private actor Sleeper {
    private enum State {
        case idle
        case waiting(LoopTimer, CheckedContinuation<Void, Never>)
        case woken
    }

    private let loop: EventLoop
    private var state = State.idle

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(loop: EventLoop) { self.loop = loop }

    func wait(for duration: Duration) async {
        await withCheckedContinuation { continuation in
            // Looked at here and not before: a task that does not prefer the loop is enqueued once more on its way
            // here.
            guard case .idle = state else { return continuation.resume() }
            let timer = LoopTimer(on: loop) { self.assumeIsolated { $0.wake() } }
            state = .waiting(timer, continuation)
            timer.set(after: duration)
        }
    }

    func wake() {
        let before = state
        state = .woken
        if case .waiting(let timer, let continuation) = before {
            timer.cancel()
            continuation.resume()
        }
    }
}
