internal import Model
internal import Reactor

extension NodeConfiguration {
    /// Runs a node until it is told to end; the exit code.
    func runNode() -> Int32 {
        // They end with the process: the store is closed by then, and mDNS may be stuck in a call to a daemon that
        // hangs.
        let threads = NodeRuntime.Threads()
        let log = Log(source: "qnode", level: logLevel)
        do { try raiseDescriptorLimit() } catch {
            log.warning("the limit of open files stays as it is", ("reason", error.reason))
        }
        return finishing {
            try threads.loop.runBlocking {
                let signals = Signals(on: threads.loop)
                await signals.listen()
                let runtime = try await NodeRuntime.open(self, on: threads, log: log)
                defer { withExtendedLifetime(runtime) {} }
                try await runtime.run { for await _ in signals.arrivals { return } }
                await signals.close()
                return 0
            }
        }
    }
}

/// Runs a verb's work; an error is one sentence on standard error and exit code 1.
func finishing(_ body: () throws -> Int32) -> Int32 {
    do {
        return try body()
    } catch {
        complain("qnode: \(NodeError(error))\n")
        return 1
    }
}

/// Runs a verb on a loop of its own, ended by SIGINT and SIGTERM.
func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Int32) -> Int32 {
    let loop = EventLoop()
    defer { loop.stop() }
    return finishing {
        try loop.runBlocking {
            let signals = Signals(on: loop)
            await signals.listen()
            let code = try await untilInterrupted(signals) { try await body(loop) }
            await signals.close()
            return code
        }
    }
}

/// 130, as shells have it, where a signal came first.
private func untilInterrupted(
    _ signals: Signals, _ body: @escaping @Sendable () async throws -> Int32
) async throws -> Int32 {
    try await withThrowingTaskGroup(of: Int32.self) { group in
        group.addTask { try await body() }
        group.addTask {
            for await _ in signals.arrivals { return 130 }
            return 130
        }
        defer { group.cancelAll() }
        guard let code = try await group.next() else { return 1 }
        return code
    }
}
