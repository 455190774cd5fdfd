internal import Model
internal import Reactor

extension Channel {
    /// Begins to watch an exchange, before the task that serves it starts.
    func beginExchange() {
        watch = failure == nil ? .running : .ended(.gone)
        resumeReading()
        if inputEnded { restartGrace() }
    }

    /// Waits until the exchange is over, or its peer has gone, or it is to be broken off.
    func exchangeEnd() async -> ExchangeEnd {
        await withCheckedContinuation { continuation in
            if case .ended(let end) = watch { continuation.resume(returning: end) } else { watcher = continuation }
        }
    }

    /// Ends the exchange; the first reason counts.
    func endExchange(_ end: ExchangeEnd) {
        guard case .running = watch else { return }
        watch = .ended(end)
        if timersUsed { graceTimer.cancel() }
        guard let watcher else { return }
        self.watcher = nil
        watcher.resume(returning: end)
    }

    func restartGrace() {
        guard case .running = watch else { return }
        timersUsed = true
        graceTimer.set(after: halfClosedTime)
    }

    func graceEnded() {
        // While the peer still takes what is queued, the stall time rules.
        if queued > 0 { restartGrace() } else { endExchange(.gone) }
    }
}
