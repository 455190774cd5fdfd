import Model

@testable import Recording

/// The driver's machine and the sensor's firmware, wired to each other, in a time of their own: an hour takes
/// milliseconds.
struct VirtualBench {
    var machine: QSeriesMachine
    var device: QSeriesDevice
    var now: Int64 = 0
    var events: [InstrumentEvent] = []
    var results: [Result<QSeriesConfiguration, QSeriesError>] = []
    /// What the driver wrote, each send by itself.
    var sent: [String] = []
    var wire = QSeriesWireLog()
    var faults = QSeriesFaults.none
    var faultCounts: [QSeriesFaults.Kind: Int] = [:]
    /// Bytes arrive in pieces of random sizes.
    var isSplitting = false
    /// The rate of the sensor's line; at another one, bytes arrive as rubbish.
    var lineBaud = 9600
    var random = SeededGenerator(seed: 1)
    private var isOpen = false
    private var pluggedAgainAt: Int64?
    private var reopenAt: Int64?

    init(
        _ setup: QSeriesDevice.Setup = VirtualBench.ramp, driver: QSeriesSettings? = nil, baud: Int? = 9600,
        pollInterval: Duration? = nil
    ) {
        device = QSeriesDevice(setup, at: 0)
        machine = QSeriesMachine(baud: baud, setup: driver, pollInterval: pollInterval)
    }

    static var ramp: QSeriesDevice.Setup {
        var setup = QSeriesDevice.Setup()
        setup.signal = .ramp
        return setup
    }

    var clock: ClockReading {
        ClockReading(
            realtime: 1_790_000_000_000_000_000 + now, boottime: 5_000_000_000 + now, bootID: BootID(high: 1, low: 2))
    }
    var time: MonotonicTime { MonotonicTime(nanoseconds: now) }

    var rows: [QSeriesSample] {
        events.compactMap {
            if case .line(let line) = $0, case .sample(let sample) = line.content { sample } else { nil }
        }
    }
    var rowTexts: [String] {
        events.compactMap { event in
            guard case .line(let line) = event, line.isRow else { return nil }
            return String(decoding: LineFramer.Line(bytes: line.bytes, isWhole: true).content, as: UTF8.self)
        }
    }
    var raw: [UInt8] { events.flatMap { if case .line(let line) = $0 { line.bytes } else { [UInt8]() } } }
    var gaps: [String] {
        events.compactMap {
            switch $0 {
            case .gapBegan(let reason, _): "\(reason) began"
            case .gapEnded(let reason, _, _): "\(reason) ended"
            default: nil
            }
        }
    }
    var resets: Int { events.count { if case .sensorReset = $0 { true } else { false } } }

    mutating func open() {
        isOpen = true
        wire.attached()
        perform(machine.opened(port: "virtual", at: clock, now: time))
    }

    mutating func unplug(for seconds: Double) {
        isOpen = false
        wire.unplugged(at: time)
        perform(machine.closed(reason: "unplugged", at: clock))
        pluggedAgainAt = now + Int64(seconds * 1e9)
    }

    mutating func request(_ settings: QSeriesSettings) { perform(machine.request(settings, now: time)) }

    mutating func run(seconds: Double) { run(until: now + Int64(seconds * 1e9)) }

    mutating func run(until end: Int64) {
        while true {
            let due = [device.nextEvent, machine.deadline?.nanoseconds, pluggedAgainAt, reopenAt].compactMap { $0 }
                .min()
            guard let due, due <= end else {
                now = end
                return
            }
            now = max(now, due)
            if let again = pluggedAgainAt ?? reopenAt, again <= now {
                (pluggedAgainAt, reopenAt) = (nil, nil)
                open()
            }
            for output in device.advance(to: now) { emit(output) }
            if let deadline = machine.deadline, deadline <= time { perform(machine.tick(at: clock, now: time)) }
        }
    }

    private mutating func emit(_ output: QSeriesDevice.Output) {
        guard case .sample(let line) = output else { return send(output.bytes, .text) }
        guard let fault = faults.passing.randomElement(using: &random),
            Double.random(in: 0..<1, using: &random) < faults.probability
        else { return send(line, .sample) }
        faultCounts[fault, default: 0] += 1
        switch fault {
        case .reset:
            send(Array(line.prefix(line.count / 2)), .damaged)
            device.reboot(at: now)
        case .hang: device.hang()
        case .silence: device.fallSilent()
        case .unplug: if isOpen { unplug(for: 5) }
        default: send(QSeriesFaults.damage(line, by: fault, using: &random).bytes, .damaged)
        }
    }

    mutating func send(_ bytes: [UInt8], _ kind: QSeriesWireLog.Entry.Kind) {
        guard isOpen else { return }
        guard machine.baud == lineBaud else {
            return deliver(bytes.map { ($0 &* 37) | 0x80 })
        }
        wire.sent(bytes, kind: kind, at: time)
        var rest = bytes[...]
        while !rest.isEmpty, isOpen {
            let count = isSplitting ? Int.random(in: 1...rest.count, using: &random) : rest.count
            deliver(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
    }

    private mutating func deliver(_ bytes: [UInt8]) { perform(machine.received(bytes, at: clock, now: time)) }

    private mutating func perform(_ actions: [QSeriesMachine.Action]) {
        var reopens = false
        for action in actions {
            switch action {
            case .emit(let event): events.append(event)
            case .finish(let result): results.append(result)
            case .send(let bytes):
                sent.append(String(decoding: bytes, as: UTF8.self))
                if machine.baud == lineBaud { device.receive(bytes, at: now) }
            case .reopen: reopens = true
            }
        }
        guard reopens, isOpen else { return }
        isOpen = false
        perform(machine.closed(reason: "another rate", at: clock))
        reopenAt = now + 500_000_000
    }
}
