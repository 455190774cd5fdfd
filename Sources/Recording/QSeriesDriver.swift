internal import Model
package import Reactor

/// Owns the serial line of a Q-Series sensor: opens it again for ever, feeds the driver's state machine and does what
/// that says.
package actor QSeriesDriver: InstrumentSource {
    package enum Port: Hashable, Sendable {
        /// The likeliest adapter that is plugged in.
        case auto
        case path(String)
        case none
    }

    package struct Options: Sendable {
        package var port: Port
        /// nil finds it out.
        package var baud: Int?
        /// What rows are to carry, whatever the sensor is called.
        package var sensorID: String?
        /// Sets the sensor up, and reads its dump, when it is first connected; nil leaves it as it is.
        package var setup: QSeriesSettings?
        package var pollInterval: Duration?
        package var timings = QSeriesTimings()
        /// Where devices are listed; tests have their own.
        package var devices = "/dev"

        package init(port: Port, baud: Int? = nil, sensorID: String? = nil, setup: QSeriesSettings? = nil) {
            self.port = port
            self.baud = baud
            self.sensorID = sensorID
            self.setup = setup
        }
    }

    private enum Lifecycle {
        case idle
        case running(LoopTimer)
    }

    private let loop: EventLoop
    private let log: Log
    private let options: Options
    private var port: Port
    private var machine: QSeriesMachine
    private var lifecycle = Lifecycle.idle
    private var line: SerialLine?
    private var openPort: SerialPort?
    private var queue = InstrumentEventQueue()
    private var identity: InstrumentIdentity?
    private var hasRows = false
    private var trouble: String?
    private var waiting: CheckedContinuation<Result<QSeriesConfiguration, QSeriesError>, Never>?

    package nonisolated let bell: AsyncStream<Void>
    private let ring: AsyncStream<Void>.Continuation
    /// Rings when the line is to be looked after: it was lost, or another one is wanted.
    private let lineBell: AsyncStream<Void>
    private let ringLine: AsyncStream<Void>.Continuation

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package init(_ options: Options, on loop: EventLoop, log: Log) {
        self.loop = loop
        self.log = log
        self.options = options
        port = options.port
        machine = QSeriesMachine(
            timings: options.timings, baud: options.baud, setup: options.setup, pollInterval: options.pollInterval)
        (bell, ring) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        (lineBell, ringLine) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    isolated deinit {}

    // MARK: Running

    package func run() async {
        guard case .idle = lifecycle else { return }
        lifecycle = .running(LoopTimer(on: loop) { [weak self] in self?.assumeIsolated { $0.tick() } })
        await keepOpen()
        close("the driver stopped")
        lifecycle = .idle
        ring.finish()
    }

    /// The path of a lost adapter is opened again within half a second of its return, for as long as the node runs.
    private func keepOpen() async {
        var bells = lineBell.makeAsyncIterator()
        while !Task.isCancelled {
            if line == nil, port != .none {
                do throws(SerialLineError) {
                    try open()
                } catch {
                    report(error)
                    do { try await loop.sleep(for: options.timings.reopen) } catch { return }
                    continue
                }
            }
            guard await bells.next(isolation: self) != nil else { return }
            // What was just lost is rarely there at once.
            if line == nil, port != .none { do { try await loop.sleep(for: options.timings.reopen) } catch { return } }
        }
    }

    private func report(_ error: SerialLineError) {
        let text = "\(error)"
        // Tried twice a second: said once.
        if trouble != text { log.warning("no sensor: \(text)") }
        trouble = text
    }

    private func open() throws(SerialLineError) {
        let candidates: [SerialPort]
        switch port {
        case .none: return
        case .path(let path): candidates = [SerialPort.named(path, devices: options.devices)]
        case .auto: candidates = SerialPort.available(devices: options.devices)
        }
        var failure = SerialLineError.absent(path: "serial adapter under \(options.devices)")
        for candidate in candidates {
            do throws(SerialLineError) {
                return try open(candidate)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private func open(_ port: SerialPort) throws(SerialLineError) {
        let opened = try SerialLine.open(port.path, baud: machine.baud, on: loop) { [weak self] event in
            self?.assumeIsolated { $0.received(event) }
        }
        let isQuick = SerialPort.lowerLatency(of: port.path)
        (line, openPort, trouble) = (opened, port, nil)
        log.notice("sensor's line open", ("port", port.path), ("baud", machine.baud), ("low_latency", isQuick))
        identify()
        perform(machine.opened(port: port.path, at: SystemClock.reading(), now: SystemClock.monotonic()))
    }

    private func received(_ event: SerialLine.Event) {
        switch event {
        case .received(let bytes, let at):
            perform(machine.received(bytes, at: at, now: SystemClock.monotonic()))
        case .hungUp(let error):
            report(error)
            close("\(error)")
            ringLine.yield()
        }
    }

    private func close(_ reason: String) {
        guard let line else { return }
        line.close()
        self.line = nil
        perform(machine.closed(reason: reason, at: SystemClock.reading()))
    }

    private func tick() {
        perform(machine.tick(at: SystemClock.reading(), now: SystemClock.monotonic()))
    }

    // MARK: Doing what the machine says

    private func perform(_ actions: [QSeriesMachine.Action]) {
        var newBaud: Int?
        for action in actions {
            switch action {
            case .emit(let event): emit(event)
            case .send(let bytes): send(bytes)
            case .finish(let result):
                waiting?.resume(returning: result)
                waiting = nil
            case .reopen(let baud): newBaud = baud
            }
        }
        if let newBaud, line != nil {
            log.info("no sensor at this rate, trying another", ("baud", newBaud))
            close("trying \(newBaud) baud")
            ringLine.yield()
        }
        setTimer()
    }

    private func setTimer() {
        guard case .running(let timer) = lifecycle else { return }
        if let deadline = machine.deadline {
            timer.set(after: SystemClock.monotonic().duration(to: deadline))
        } else {
            timer.cancel()
        }
    }

    private func send(_ bytes: [UInt8]) {
        do throws(SerialLineError) {
            try line?.send(bytes)
        } catch {
            // The line is gone, which its reader hears of, or takes nothing, which the machine's time-outs are for.
            log.warning("nothing could be sent to the sensor: \(error)")
        }
    }

    private func emit(_ event: InstrumentEvent) {
        switch event {
        case .configuration: identify()
        case .line(let line): hasRows = hasRows || line.isRow
        case .sensorReset: log.warning("the sensor was reset", ("port", openPort?.path ?? ""))
        case .gapBegan(let reason, _): log.warning("the sensor's samples are interrupted", ("reason", reason))
        case .gapEnded(let reason, _, _): log.notice("the sensor's samples go on", ("reason", reason))
        default: break
        }
        queue.append(event)
        ring.yield()
    }

    /// The sensor's id: as told, else the port's by-id name, else the serial number it told of itself. It stays once
    /// rows carry it.
    private func identify() {
        var details = machine.configuration.members
        details["model"] = .string("Q-Series")
        let name =
            options.sensorID ?? openPort?.idName ?? machine.configuration.serial
            ?? openPort.map { String($0.path.split(separator: "/").last ?? "q-series") } ?? "q-series"
        let found = InstrumentIdentity(
            sensorID: hasRows ? identity?.sensorID ?? name : name, kind: "q-series", port: openPort?.path,
            details: details)
        guard found != identity else { return }
        identity = found
        queue.append(.identified(found))
        ring.yield()
    }

    // MARK: What others ask

    package func take() -> [InstrumentEvent] { queue.take() }

    package func status() -> InstrumentStatus {
        var status = machine.counters
        status.state = line == nil && port != .none ? .disconnected : machine.state
        status.identity = identity
        status.port = openPort?.path
        status.baud = line == nil ? nil : machine.baud
        status.model = identity == nil ? nil : "Q-Series"
        status.firmware = machine.configuration.firmware
        status.trouble = trouble
        return status
    }

    package func configuration() -> QSeriesConfiguration { machine.configuration }

    /// Sets the sensor up by its menu and reads its dump, which resets it: ten seconds and more without data. With
    /// `QSeriesSettings.unchanged`, it is only read.
    package func configure(_ settings: QSeriesSettings) async throws(QSeriesError) -> QSeriesConfiguration {
        guard waiting == nil else { throw .busy }
        let actions = machine.request(settings, now: SystemClock.monotonic())
        let result = await withCheckedContinuation { continuation in
            waiting = continuation
            perform(actions)
        }
        return try result.get()
    }

    /// Uses this port from now on, and opens it at once; where that fails, it is tried on as always.
    package func connect(_ port: Port) throws(SerialLineError) {
        if self.port == port, line != nil { return }
        close("another port was chosen")
        self.port = port
        defer { ringLine.yield() }
        try open()
    }

    /// Lets go of the line until `connect`.
    package func disconnect() {
        port = .none
        close("disconnected on request")
    }
}
