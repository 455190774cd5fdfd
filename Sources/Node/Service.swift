package import Reactor

/// Something that runs for as long as the node does. `run()` returning means finished, which ends the node;
/// cancellation asks it to finish.
package protocol Service: Sendable {
    var name: String { get }
    func run() async throws
}

/// A service from a closure.
package struct NamedService: Service {
    package let name: String
    private let body: @Sendable () async throws -> Void

    package init(_ name: String, _ body: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.body = body
    }

    package func run() async throws { try await body() }
}

/// A service on a loop of its own that may be stuck in a library's call when it is told to finish: its end is waited
/// for only so long.
package struct PatientService: Service {
    package let name: String
    private let own: EventLoop
    private let waiting: EventLoop
    private let patience: Duration
    private let body: @Sendable () async -> Void

    /// `own` is the loop that may be stuck, `waiting` one that is not.
    package init(
        _ name: String, on own: EventLoop, waiting: EventLoop, patience: Duration,
        _ body: @escaping @Sendable () async -> Void
    ) {
        self.name = name
        self.own = own
        self.waiting = waiting
        self.patience = patience
        self.body = body
    }

    package func run() async throws {
        let (ended, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let (over, overNow) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let running = own.spawn {
            await body()
            end.finish()
            overNow.finish()
        }
        for await _ in ended {}
        guard Task.isCancelled else { return }
        running.cancel()
        let (waiting, patience) = (waiting, patience)
        let limit = waiting.spawn {
            try await waiting.sleep(for: patience)
            overNow.finish()
        }
        // In a task of its own: this one is cancelled and would wait for nothing.
        _ = await waiting.spawn { for await _ in over {} }.result
        limit.cancel()
    }
}

/// Why a node ended by itself.
package struct ServiceFailure: Error, CustomStringConvertible {
    package let service: String
    package let cause: (any Error)?

    package var description: String {
        cause.map { "\(service) failed: \($0)" } ?? "\(service) ended by itself"
    }
}

/// Services that run together: started in the order of the list, stopped in the reverse, each only when those after it
/// have finished. The first that ends by itself ends all.
package struct ServiceGroup: Sendable {
    private let services: [any Service]

    package init(_ services: [any Service]) { self.services = services }

    private enum Ended { case service, inner }

    /// Runs until `stop` returns or a service ends.
    package func run(until stop: @escaping @Sendable () async -> Void) async throws {
        try await Self.run(services[...], until: stop)
    }

    /// The list's rest runs inside its first: what is innermost, the wait for the stop, ends first.
    private static func run(
        _ services: ArraySlice<any Service>, until stop: @escaping @Sendable () async -> Void
    ) async throws {
        guard let service = services.first else { return await stop() }
        try await withThrowingTaskGroup(of: Ended.self) { group in
            group.addTask {
                do {
                    try await service.run()
                } catch is CancellationError where Task.isCancelled {
                    // It was asked to finish, and has.
                } catch {
                    throw ServiceFailure(service: service.name, cause: error)
                }
                return .service
            }
            group.addTask {
                try await run(services.dropFirst(), until: stop)
                return .inner
            }
            guard let first = try await group.next() else { return }
            group.cancelAll()
            if first == .service, !Task.isCancelled { throw ServiceFailure(service: service.name, cause: nil) }
            while let _ = try await group.next() {}
        }
    }
}
