import Model

@testable import Recording

/// The bytes of a serial line: lines, samples, banners, dumps, and the driver that is told of them.
func fuzzSensorLines(_ input: inout FuzzBytes) {
    let choice = input.byte()
    let cut = input.byte()
    if choice & 1 == 0 {
        let bytes = input.rest()
        checkFramer(bytes, cutBy: cut, limit: choice & 2 == 0 ? Limits.lineBytes : 1 + Int(choice >> 2))
        checkLines(bytes, joinsMidway: choice & 2 == 0)
        checkStream(bytes, isDatagram: choice & 4 == 0)
    } else {
        checkMachine(&input, choice: choice)
    }
}

private func checkFramer(_ bytes: [UInt8], cutBy choice: UInt8, limit: Int) {
    var whole = LineFramer(limit: limit)
    let lines = whole.append(bytes) + [whole.finish()].compactMap { $0 }
    expect(lines.flatMap(\.bytes) == bytes, "lines have other bytes than the stream")
    expect(lines.allSatisfy { $0.bytes.count <= limit && !$0.bytes.isEmpty }, "a line is empty or beyond the limit")
    var parts = LineFramer(limit: limit)
    var found: [LineFramer.Line] = []
    for piece in pieces(of: bytes, cutBy: choice) { found += parts.append(piece) }
    found += [parts.finish()].compactMap { $0 }
    expect(found == lines, "lines depend on where the stream is cut")
}

private func checkLines(_ bytes: [UInt8], joinsMidway: Bool) {
    var framer = LineFramer()
    var classifier = QSeriesLineClassifier(timings: QSeriesTimings())
    if joinsMidway { classifier.joined(midway: true) }
    var now = MonotonicTime(nanoseconds: 0)
    for line in framer.append(bytes) {
        now = now.advanced(by: .milliseconds(line.bytes.first == 0 ? 5000 : 10))
        let verdict = classifier.classify(line, now: now)
        if case .sample(let sample) = verdict.content {
            expect(printed(sample) == line.content, "a sample is not what its line says: \(sample)")
        }
        let text = String(decoding: line.content, as: UTF8.self)
        if let configuration = QSeriesConfiguration(dump: text) { check(configuration) }
        var told = QSeriesConfiguration()
        QSeriesBanner.read(text, into: &told)
        check(told)
    }
}

/// As the sensor printed it: a sample keeps every character of its line.
private func printed(_ sample: QSeriesSample) -> ArraySlice<UInt8> {
    let tag = sample.tag.map { "\($0)," } ?? ""
    let optional = [sample.temperature, sample.voltage].compactMap { $0 }.map { ", " + $0 }.joined()
    return Array((tag + sample.preamble + sample.value + optional).utf8)[...]
}

private func check(_ configuration: QSeriesConfiguration) {
    if let period = configuration.nominalPeriod {
        expect(period > .zero && period <= .seconds(65535), "a sensor's period is \(period)")
    }
    expect(configuration.merged(over: QSeriesConfiguration()) == configuration, "what is known is lost on the way")
    expect(configuration.members["text"] != nil, "a configuration does not say what it was read from")
}

private let boot = BootID(high: 1, low: 2)

private func reading(_ now: MonotonicTime) -> ClockReading {
    ClockReading(realtime: now.nanoseconds, boottime: now.nanoseconds, bootID: boot)
}

/// Lines of an instrument that is not understood: every byte comes out, in order.
private func checkStream(_ bytes: [UInt8], isDatagram: Bool) {
    var stream = LineStream(isDatagram: isDatagram)
    let now = MonotonicTime(nanoseconds: 0)
    var events = stream.opened(port: "p", joinsMidway: true, at: reading(now), now: now)
    events += stream.received(bytes, at: reading(now), now: now)
    events += stream.closed(reason: "r", at: reading(now))
    expect(lineBytes(events) == bytes, "a stream's lines have other bytes than the stream")
}

private func lineBytes(_ events: [InstrumentEvent]) -> [UInt8] {
    events.flatMap { event in if case .line(let line) = event { line.bytes } else { [UInt8]() } }
}

/// The driver's machine, told of bytes and of the time; it never asks for time without using it.
private func checkMachine(_ input: inout FuzzBytes, choice: UInt8) {
    let settings = try? QSeriesSettings(averaging: 7, rate: 125, isPolled: choice & 8 == 0 ? nil : true)
    var machine = QSeriesMachine(setup: choice & 4 == 0 ? settings : nil)
    var now = MonotonicTime(nanoseconds: 0)
    var sent: [UInt8] = []
    var actions = machine.opened(port: "p", at: reading(now), now: now)
    for _ in 0..<48 where !input.isAtEnd {
        let step = input.byte()
        switch step & 3 {
        case 0:
            if let due = machine.deadline { now = max(now, due) }
            actions += machine.tick(at: reading(now), now: now)
            for _ in 0..<8 {
                guard let due = machine.deadline, due <= now else { break }
                actions += machine.tick(at: reading(now), now: now)
            }
            if let due = machine.deadline { expect(due > now, "the driver would turn without end") }
        case 1: now = now.advanced(by: .milliseconds(Int(step) * 20))
        default:
            // Text that a dialogue waits for, or the input's own.
            let piece = step & 4 == 0 ? phrases[Int(step >> 3) % phrases.count] : input.take(Int(step >> 2))
            sent += piece
            actions += machine.received(piece, at: reading(now), now: now)
        }
        if step == 255 { actions += machine.request(.unchanged, now: now) }
    }
    actions += machine.closed(reason: "r", at: reading(now))
    let events = actions.compactMap { if case .emit(let event) = $0 { event } else { nil } }
    expect(lineBytes(events) == sent, "the driver's lines have other bytes than the sensor's")
    expect(machine.deadline == nil, "a driver without a line waits for something")
}

private let phrases: [[UInt8]] = [
    QSeriesDialogue.prompt, "\r\n", "0.01016, 25.19, 7.494\r\n", "A,0.01016, 25.19, 7.494\r\n",
    "Biospherical Instruments Inc: Digital Engine Vers 4.003\r\n", "Operating in polled mode with tag of B\r\n",
    "Operating in free run mode\r\n", "ADC sample rate 125, gain 1\r\n", "Averaging 65535 readings\r\n",
    "Starting Sampling\r\n", "Rebooting program\r\n", "Start free run sampling\r\n", "Invalid rate\r\n",
    "Entering polled mainline\r\n", "Unit ID 7799\r\n", "I am confused\r\n",
    "12,9600,1.0,Lab sensor,E,4.003,G,H,serial 7799,1.0,0.0,12.0,0,A,,1,125,S,25.19,volts,V,A\r\n",
].map { Array($0.utf8) }
