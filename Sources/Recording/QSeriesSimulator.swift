internal import Model
package import Reactor

/// A Q-Series sensor on a pseudo-terminal: what `qnode simulate q-series` runs, and what tests open instead of
/// hardware.
package actor QSeriesSimulator {
    package struct Options: Sendable {
        package var device = QSeriesDevice.Setup()
        /// How many times faster than a real sensor.
        package var speed = 1.0
        /// A symbolic link that leads to the tty, also after a fault pulled it out; nil has no stable name.
        package var link: String?
        package var faults = QSeriesFaults.none

        package init() {}
    }

    private let loop: EventLoop
    private let options: Options
    private let startedAt: MonotonicTime
    private var device: QSeriesDevice
    private var terminal: PseudoTerminal?
    private var timer: LoopTimer?
    private var pluggedAgainAt: MonotonicTime?
    private var random: SeededGenerator
    private var hadListener = false
    package private(set) var wire = QSeriesWireLog()
    /// How often each fault has come.
    package private(set) var faultCounts: [QSeriesFaults.Kind: Int] = [:]
    private var faults: QSeriesFaults
    private var ordered: [QSeriesFaults.Kind] = []

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package init(_ options: Options, on loop: EventLoop) {
        self.loop = loop
        self.options = options
        faults = options.faults
        startedAt = SystemClock.monotonic()
        var setup = options.device
        setup.refusesAveraging = setup.refusesAveraging || options.faults.kinds.contains(.badAveraging)
        setup.isConfused = setup.isConfused || options.faults.kinds.contains(.confused)
        setup.isDeaf = setup.isDeaf || options.faults.kinds.contains(.neverAnswers)
        device = QSeriesDevice(setup, at: 0)
        random = SeededGenerator(seed: options.faults.seed)
    }

    isolated deinit {}

    /// Switches the sensor on; the path to open, the link's where there is one.
    package func open() throws(SyscallError) -> String {
        if timer == nil { timer = LoopTimer(on: loop) { [weak self] in self?.assumeIsolated { $0.step() } } }
        let terminal = try plugIn()
        step()
        return terminal.link ?? terminal.path
    }

    /// Runs until cancelled.
    package func run() async throws {
        if terminal == nil { _ = try open() }
        defer { close() }
        while true { try await loop.sleep(for: .seconds(3600)) }
    }

    package func close() {
        timer?.cancel()
        (timer, terminal, pluggedAgainAt) = (nil, nil, nil)
    }

    private func plugIn() throws(SyscallError) -> PseudoTerminal {
        let opened = try PseudoTerminal(link: options.link, on: loop) { [weak self] bytes in
            self?.assumeIsolated { $0.heard(bytes) }
        }
        terminal = opened
        hadListener = false
        return opened
    }

    // MARK: Time

    private func deviceTime(_ now: MonotonicTime) -> Int64 {
        Int64(Double(startedAt.duration(to: now).nanoseconds) * options.speed)
    }

    private func step() {
        let now = SystemClock.monotonic()
        if let due = pluggedAgainAt, now >= due {
            pluggedAgainAt = nil
            // Without a terminal left in the system there is nothing to simulate on: it is tried again.
            do { _ = try plugIn() } catch { pluggedAgainAt = now.advanced(by: .seconds(1)) }
        }
        for output in device.advance(to: deviceTime(now)) { emit(output, at: now) }
        setTimer(now)
    }

    private func setTimer(_ now: MonotonicTime) {
        var delays: [Duration] = []
        if let next = device.nextEvent {
            delays.append(.nanoseconds(Int64(Double(next - deviceTime(now)) / options.speed)))
        }
        if let pluggedAgainAt { delays.append(now.duration(to: pluggedAgainAt)) }
        if let delay = delays.min() { timer?.set(after: max(.zero, delay)) } else { timer?.cancel() }
    }

    private func heard(_ bytes: [UInt8]) {
        let now = SystemClock.monotonic()
        device.receive(bytes, at: deviceTime(now))
        setTimer(now)
    }

    // MARK: Sending

    private func emit(_ output: QSeriesDevice.Output, at now: MonotonicTime) {
        switch output {
        case .text(let bytes): send(bytes, kind: .text, at: now)
        case .sample(let line):
            guard let fault = nextFault() else { return send(line, kind: .sample, at: now) }
            faultCounts[fault, default: 0] += 1
            fail(fault, line, at: now)
        }
    }

    private func nextFault() -> QSeriesFaults.Kind? {
        if !ordered.isEmpty { return ordered.removeFirst() }
        guard let fault = faults.passing.randomElement(using: &random),
            Double.random(in: 0..<1, using: &random) < faults.probability
        else { return nil }
        return fault
    }

    private func fail(_ fault: QSeriesFaults.Kind, _ line: [UInt8], at now: MonotonicTime) {
        switch fault {
        case .reset:
            send(Array(line.prefix(line.count / 2)), kind: .damaged, at: now)
            device.reboot(at: deviceTime(now))
        case .hang: device.hang()
        case .silence: device.fallSilent()
        case .unplug: unplug(for: faults.unplugged / options.speed)
        default:
            let damaged = QSeriesFaults.damage(line, by: fault, using: &random)
            send(damaged.bytes, kind: .damaged, at: now)
        }
    }

    private func send(_ bytes: [UInt8], kind: QSeriesWireLog.Entry.Kind, at now: MonotonicTime) {
        let listens = terminal?.hasListener ?? false
        if listens != hadListener {
            hadListener = listens
            wire.attached()
        }
        guard listens, let terminal else { return }
        let count = terminal.send(bytes)
        wire.sent(Array(bytes.prefix(count)), kind: kind, at: now)
        if count < bytes.count { wire.lost() }
    }

    // MARK: What tests do by hand

    /// Pulls the adapter out, and puts it back after this long.
    package func unplug(for duration: Duration) {
        let now = SystemClock.monotonic()
        wire.unplugged(at: now)
        terminal?.unplug()
        terminal = nil
        hadListener = false
        pluggedAgainAt = now.advanced(by: duration)
        setTimer(now)
    }

    package func reset() {
        device.reboot(at: deviceTime(SystemClock.monotonic()))
        step()
    }

    package func hang() {
        device.hang()
        step()
    }

    package func fallSilent() {
        device.fallSilent()
        step()
    }

    /// No more faults come at random.
    package func stopFaults() { faults = .none }

    /// The next sample meets with this fault, one of those that come at random otherwise.
    package func strike(_ fault: QSeriesFaults.Kind) { ordered.append(fault) }

    package func setup() -> QSeriesDevice.Setup { device.setup }
}
