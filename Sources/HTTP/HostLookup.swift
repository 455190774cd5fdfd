internal import Glibc
internal import Model
internal import Reactor

/// One name on its way to addresses. The resolver may block for minutes, so it has a thread of its own, which is left
/// alone when time is up.
actor HostLookup {
    private enum State {
        case idle
        case waiting(CheckedContinuation<[SocketAddress], any Error>, LoopTimer)
        case ended(Result<[SocketAddress], any Error>)
    }

    private static let running = Locked(0)
    /// What a resolver said lately: one that is slower than its caller's patience is not asked in vain, the next caller
    /// has it.
    private static let recent = Locked<[Endpoint: (addresses: [SocketAddress], at: MonotonicTime)]>([:])

    private let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private let host: String
    private let port: UInt16
    private var state = State.idle

    private init(host: String, port: UInt16, on loop: EventLoop) {
        self.host = host
        self.port = port
        self.loop = loop
    }

    isolated deinit {}

    /// The addresses of `endpoint`; a literal needs no resolver.
    static func addresses(
        of endpoint: Endpoint, on loop: EventLoop, by deadline: MonotonicTime
    ) async throws(HTTPClientError) -> [SocketAddress] {
        if let address = SocketAddress(numeric: endpoint.host, port: endpoint.port) { return [address] }
        // No name: an IPv6 address whose scope is no interface of this host, at least not now.
        guard !endpoint.host.contains(":") else {
            throw .unresolved(host: endpoint.host, reason: "no such interface, or no address")
        }
        if let found = recent.withLock({ $0[endpoint] }),
            found.at.duration(to: SystemClock.monotonic()) < Limits.lookupKept
        {
            return found.addresses
        }
        let lookup = HostLookup(host: endpoint.host, port: endpoint.port, on: loop)
        do {
            return try await withTaskCancellationHandler {
                try await lookup.run(by: deadline)
            } onCancel: {
                loop.spawn { await lookup.end(.failure(HTTPClientError.cancelled)) }
            }
        } catch let error as HTTPClientError {
            throw error
        } catch {
            preconditionFailure("a lookup throws the client's errors only")
        }
    }

    private static func takePlace() -> Bool {
        running.withLock { running in
            guard running < Limits.lookups else { return false }
            running += 1
            return true
        }
    }

    private func run(by deadline: MonotonicTime) async throws -> [SocketAddress] {
        if case .ended(let result) = state { return try result.get() }
        guard Self.takePlace() else { throw HTTPClientError.tooManyLookups }
        startThread()
        return try await withCheckedThrowingContinuation { continuation in
            // The thread may have been quicker than the way here.
            if case .ended(let result) = state { return continuation.resume(with: result) }
            let timer = LoopTimer(on: loop) { [unowned self] in
                assumeIsolated { $0.end(.failure(HTTPClientError.connectTimeout)) }
            }
            timer.set(after: SystemClock.monotonic().duration(to: deadline))
            state = .waiting(continuation, timer)
        }
    }

    /// The first result counts.
    private func end(_ result: Result<[SocketAddress], any Error>) {
        switch state {
        case .idle: state = .ended(result)
        case .waiting(let continuation, let timer):
            state = .ended(result)
            timer.cancel()
            continuation.resume(with: result)
        case .ended: break
        }
    }

    private nonisolated func look() {
        let found = SocketAddress.lookUp(host: host, port: port, numericOnly: false)
        Self.running.withLock { $0 -= 1 }
        if found.failure == nil {
            Self.recent.withLock { recent in
                if recent.count >= Limits.peers { recent.removeAll() }
                recent[Endpoint(host: host, port: port)] = (found.addresses, SystemClock.monotonic())
            }
        }
        let result: Result<[SocketAddress], any Error> =
            if let reason = found.failure {
                .failure(HTTPClientError.unresolved(host: host, reason: reason))
            } else {
                .success(found.addresses)
            }
        loop.spawn { await self.end(result) }
    }

    private nonisolated func startThread() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let failure = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<HostLookup>.fromOpaque(context).takeRetainedValue().look()
                return nil
            }, context)
        precondition(failure == 0, "the system refuses another thread")
        pthread_detach(thread)
    }
}
