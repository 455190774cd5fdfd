package import Model
package import Reactor

/// Any instrument that prints lines, on a tty, a TCP connection that is dialled, or a UDP port: NMEA and the like. It
/// never writes.
package actor LineSource: InstrumentSource {
    package enum Place: Hashable, Sendable, CustomStringConvertible {
        case serial(path: String, baud: Int)
        case tcp(Endpoint)
        /// Listens here; datagrams of anybody are taken.
        case udp(Endpoint)

        package var description: String {
            switch self {
            case .serial(let path, _): path
            case .tcp(let endpoint): "tcp://\(endpoint)"
            case .udp(let endpoint): "udp://\(endpoint)"
            }
        }
    }

    private enum Line {
        case serial(SerialLine)
        case socket(LineSocket)
    }

    private enum Lifecycle {
        case idle
        case running(LoopTimer)
    }

    private let loop: EventLoop
    private let log: Log
    private let place: Place
    private let timings: LineStream.Timings
    private let resolver: DiskLane?
    private let identity: InstrumentIdentity
    private var stream: LineStream
    private var lifecycle = Lifecycle.idle
    private var line: Line?
    private var queue = InstrumentEventQueue()
    private var trouble: String?

    package nonisolated let bell: AsyncStream<Void>
    private let ring: AsyncStream<Void>.Continuation
    private let lostBell: AsyncStream<Void>
    private let ringLost: AsyncStream<Void>.Continuation

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// `resolver` is where host names are looked up; without one, only literal addresses are dialled.
    package init(
        _ place: Place, sourceID: String? = nil, timings: LineStream.Timings = LineStream.Timings(),
        resolver: DiskLane? = nil, on loop: EventLoop, log: Log
    ) {
        self.loop = loop
        self.log = log
        self.place = place
        self.timings = timings
        self.resolver = resolver
        let isDatagram = if case .udp = place { true } else { false }
        stream = LineStream(isDatagram: isDatagram, timings: timings)
        var name = sourceID
        if name == nil, case .serial(let path, _) = place { name = SerialPort.named(path).idName }
        identity = InstrumentIdentity(sensorID: name ?? "\(place)", kind: "lines", port: "\(place)")
        (bell, ring) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        (lostBell, ringLost) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    isolated deinit {}

    // MARK: Running

    package func run() async {
        guard case .idle = lifecycle else { return }
        lifecycle = .running(LoopTimer(on: loop) { [weak self] in self?.assumeIsolated { $0.tick() } })
        give([.identified(identity)])
        var lost = lostBell.makeAsyncIterator()
        while !Task.isCancelled {
            if await open() { guard await lost.next(isolation: self) != nil else { break } }
            do { try await loop.sleep(for: timings.reopen) } catch { break }
        }
        close("the source stopped")
        lifecycle = .idle
        ring.finish()
    }

    private func open() async -> Bool {
        do {
            switch place {
            case .serial(let path, let baud):
                line = .serial(
                    try SerialLine.open(path, baud: baud, on: loop) { [weak self] event in
                        self?.assumeIsolated { $0.received(event) }
                    })
                _ = SerialPort.lowerLatency(of: path)
                opened(joinsMidway: true)
            case .tcp(let endpoint):
                let address = try await resolver.map { AddressResolver(on: $0) }?.resolve(endpoint) ?? endpoint
                line = .socket(
                    try LineSocket.dial(address, on: loop) { [weak self] event in
                        self?.assumeIsolated { $0.received(event) }
                    })
            case .udp(let endpoint):
                line = .socket(
                    try LineSocket.listen(endpoint, on: loop) { [weak self] event in
                        self?.assumeIsolated { $0.received(event) }
                    })
                opened(joinsMidway: false)
            }
            return true
        } catch {
            report("\(error)")
            return false
        }
    }

    private func opened(joinsMidway: Bool) {
        trouble = nil
        log.notice("source open", ("place", place))
        give(
            stream.opened(
                port: "\(place)", joinsMidway: joinsMidway, at: SystemClock.reading(), now: SystemClock.monotonic()))
    }

    private func report(_ text: String) {
        // Tried twice a second: said once.
        if trouble != text { log.warning("no lines from \(place): \(text)") }
        trouble = text
    }

    private func received(_ event: SerialLine.Event) {
        switch event {
        case .received(let bytes, let at): take(bytes, at: at)
        case .hungUp(let error): lose("\(error)")
        }
    }

    private func received(_ event: LineSocket.Event) {
        switch event {
        case .connected: opened(joinsMidway: false)
        case .received(let bytes, let at): take(bytes, at: at)
        case .ended(let error): lose(error.map { "\($0)" } ?? "the other end closed the connection")
        }
    }

    private func take(_ bytes: [UInt8], at clock: ClockReading) {
        give(stream.received(bytes, at: clock, now: SystemClock.monotonic()))
    }

    private func lose(_ reason: String) {
        report(reason)
        close(reason)
        ringLost.yield()
    }

    private func close(_ reason: String) {
        switch line {
        case .serial(let line): line.close()
        case .socket(let socket): socket.close()
        case nil: return
        }
        line = nil
        give(stream.closed(reason: reason, at: SystemClock.reading()))
    }

    private func tick() {
        give(stream.tick(at: SystemClock.reading(), now: SystemClock.monotonic()))
    }

    private func give(_ events: [InstrumentEvent]) {
        for event in events { queue.append(event) }
        if !events.isEmpty { ring.yield() }
        guard case .running(let timer) = lifecycle else { return }
        if let deadline = stream.deadline {
            timer.set(after: SystemClock.monotonic().duration(to: deadline))
        } else {
            timer.cancel()
        }
    }

    // MARK: What others ask

    package func take() -> [InstrumentEvent] { queue.take() }

    package func status() -> InstrumentStatus {
        var status = stream.counters
        status.state = stream.state
        status.identity = identity
        status.port = "\(place)"
        if case .serial(_, let baud) = place { status.baud = baud }
        status.trouble = trouble
        return status
    }

    /// The port that a UDP source has, for those who asked for any.
    package func boundPort() -> UInt16? { if case .socket(let socket) = line { socket.port } else { nil } }
}
