internal import Glibc
package import Model
package import Reactor

/// An HTTP/1.1 server on one event loop: listens, keeps the limits, and serves each connection as a child of `run()`.
package actor HTTPServer {
    package typealias Handler = @Sendable (HTTPRequest) async -> HTTPResponse

    /// The server's limits; every default is in `Limits`, with its reason.
    package struct Settings: Sendable {
        package var connections = Limits.connections
        package var connectionsPerAddress = Limits.connectionsPerAddress
        package var headTime = Limits.headTime
        package var idleTime = Limits.idleTime
        package var bodyTime = Limits.requestBodyTime
        package var bodyBytes = Limits.requestBodyBytes
        /// Of all requests that are being read or answered.
        package var bodiesBytes = Limits.requestBodiesBytes
        package var sendQueueBytes = Limits.sendQueueBytes
        package var sendStallTime = Limits.sendStallTime
        package var halfClosedTime = Limits.halfClosedTime

        package init() {}
    }

    /// How the server has fared since its start.
    package struct Counts: Hashable, Sendable {
        package var open = 0
        package var accepted: Int64 = 0
        /// Answered with a 503, or closed without a word, because of the limits.
        package var refused: Int64 = 0
        /// Times that no connection was accepted because the process had no descriptors left.
        package var acceptPauses: Int64 = 0
    }

    private enum State {
        case idle, running
        /// No more is accepted; what still runs at the deadline is cut.
        case stopping(deadline: MonotonicTime)
        case stopped
    }

    private struct Accepted {
        let number: Int64
        let connection: ServerConnection
        let origin: PeerOrigin
        let isRefused: Bool
    }

    private struct Port {
        let listener: Listener
        let watch: DescriptorWatch
    }

    private let loop: EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let settings: Settings
    private let log: Log
    private let handler: Handler
    private let budget: ByteBudget
    private var state = State.idle
    private var ports: [Port] = []
    private var accepted: [Accepted] = []
    private var connections: [Int64: Accepted] = [:]
    private var perAddress: [String: Int] = [:]
    private var refusing = 0
    private var counted = Counts()
    private var bell: CheckedContinuation<Void, Never>?
    private var hasRung = false
    private var timer: LoopTimer?

    package init(
        on loop: EventLoop, settings: Settings = Settings(), log: Log = .silent, handler: @escaping Handler
    ) {
        self.loop = loop
        self.settings = settings
        self.log = log
        self.handler = handler
        budget = ByteBudget(settings.bodiesBytes)
    }

    isolated deinit {}

    package var counts: Counts { counted }
}

// MARK: - Listening

extension HTTPServer {
    /// Listens on a TCP address; connections wait until `run()`. Returns it with the port as bound.
    @discardableResult
    package func listen(on endpoint: Endpoint) throws(ListenError) -> Endpoint {
        let listener = try Listener.tcp(endpoint)
        add(listener)
        return listener.endpoint ?? endpoint
    }

    /// Listens on a Unix socket of mode 0600.
    package func listen(onUnixSocket path: String) throws(ListenError) {
        add(try Listener.unix(path))
    }

    private func add(_ listener: Listener) {
        let raw = listener.descriptor.raw
        let watch = DescriptorWatch(on: loop, descriptor: raw, for: .read) { [unowned self] in
            assumeIsolated { $0.accept(from: raw) }
        }
        ports.append(Port(listener: listener, watch: watch))
        if case .running = state { watch.resume() }
    }

    /// Takes what waits, a few at a time, so that a flood leaves the loop to others.
    private func accept(from raw: Int32) {
        for _ in 0..<16 {
            do throws(SyscallError) {
                guard let socket = try SocketCalls.accept(raw) else { return }
                admit(socket)
            } catch {
                pauseAccepting(error)
                return
            }
        }
    }

    private func admit(_ socket: consuming SocketCalls.Accepted) {
        let origin = socket.address.origin
        // The person at this machine gets in whatever the network does; its socket file lets only its user in.
        let isLocal = origin.transport == .unixSocket
        let isRefused =
            counted.open >= settings.connections + (isLocal ? Limits.localConnections : 0)
            || perAddress[origin.address, default: 0] >= settings.connectionsPerAddress
        if isRefused {
            counted.refused += 1
            guard refusing < Limits.refusals else { return }
            refusing += 1
        } else {
            counted.open += 1
            perAddress[origin.address, default: 0] += 1
        }
        counted.accepted += 1
        let timing = Channel.Timing(stall: settings.sendStallTime, halfClosed: settings.halfClosedTime)
        let channel = Channel.adopt(socket.takeDescriptor(), on: loop, timing: timing)
        let connection = ServerConnection(
            channel, from: origin, on: loop, settings: settings, budget: budget, log: log, handler: handler)
        accepted.append(
            Accepted(number: counted.accepted, connection: connection, origin: origin, isRefused: isRefused))
        ring()
    }

    /// Out of descriptors or memory: the connection stays in the queue and its event would come again at once, for
    /// ever.
    private func pauseAccepting(_ error: SyscallError) {
        counted.acceptPauses += 1
        log.warning("no connection can be accepted for a moment", ("reason", error.reason))
        for port in ports { port.watch.pause() }
        let timer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.resumeAccepting() } }
        timer.set(after: Limits.acceptPause)
        self.timer = timer
    }

    private func resumeAccepting() {
        guard case .running = state else { return }
        for port in ports { port.watch.resume() }
    }
}

// MARK: - Running

extension HTTPServer {
    /// Serves until `stop(within:)` or cancellation; when it returns, every connection has ended.
    package func run() async {
        switch state {
        case .idle: state = .running
        // Stopped before it began.
        case .stopped: return
        case .running, .stopping: preconditionFailure("a server runs once")
        }
        resumeAccepting()
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                while let next = await nextAccepted() {
                    connections[next.number] = next
                    group.addTask { await self.serve(next) }
                }
                await allEnded()
                group.cancelAll()
            }
        } onCancel: {
            loop.spawn { await self.stop(within: .zero) }
        }
        state = .stopped
    }

    /// Stops accepting, lets running responses finish within `time`, and then cuts them; `run()` returns when that is
    /// done.
    package func stop(within time: Duration) async {
        let deadline = SystemClock.monotonic().advanced(by: time)
        switch state {
        case .idle: state = .stopped
        case .running: state = .stopping(deadline: deadline)
        case .stopping(let earlier): state = .stopping(deadline: min(earlier, deadline))
        case .stopped: return
        }
        for port in ports { port.watch.pause() }
        ports = []
        for connection in connections.values { await connection.connection.drain() }
        ring()
    }

    private func serve(_ next: Accepted) async {
        if next.isRefused { await next.connection.refuse() } else { await next.connection.run() }
        connections[next.number] = nil
        if next.isRefused {
            refusing -= 1
        } else {
            counted.open -= 1
            perAddress[next.origin.address, default: 1] -= 1
            if perAddress[next.origin.address] == 0 { perAddress[next.origin.address] = nil }
        }
        if case .stopping = state { ring() }
    }

    private func nextAccepted() async -> Accepted? {
        while case .running = state {
            if !accepted.isEmpty { return accepted.removeFirst() }
            await rung()
        }
        for left in accepted { await left.connection.channel.close() }
        accepted = []
        return nil
    }

    /// Waits until the last connection has ended or the deadline has come.
    private func allEnded() async {
        while case .stopping(let deadline) = state, !connections.isEmpty {
            let now = SystemClock.monotonic()
            guard now < deadline else { return }
            let timer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.ring() } }
            timer.set(after: now.duration(to: deadline))
            self.timer = timer
            await rung()
        }
    }

    /// Waits for a ring; one that came while nobody waited counts.
    private func rung() async {
        await withCheckedContinuation { continuation in
            if hasRung { continuation.resume() } else { bell = continuation }
        }
        hasRung = false
    }

    private func ring() {
        hasRung = true
        guard let bell else { return }
        self.bell = nil
        bell.resume()
    }
}
