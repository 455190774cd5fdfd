import Model

/// A Q-Series sensor's firmware as a value, true to what `Docs/Sensors.md` knows of it: fed bytes and time, it says
/// what it prints and when. Times are nanoseconds of its own clock.
package struct QSeriesDevice: Sendable {
    package struct Setup: Hashable, Sendable {
        package var serial = "QSP2150-00017   "
        package var firmware = "4.003"
        package var averaging = 125
        package var rate = 125
        package var isPolled = false
        package var tag: Character = "A"
        package var isQuiet = false
        package var preamble = ""
        package var printsTemperature = true
        package var printsVoltage = true
        /// The value without its leading zero, as the maker's manual shows it.
        package var omitsLeadingZero = false
        package var baud = 9600
        package var description = "QSP-2150, simulated"
        package var signal = Signal.daylight
        package var seed: UInt64 = 1
        /// Every averaging is refused.
        package var refusesAveraging = false
        /// Every mode is answered by `I am confused`.
        package var isConfused = false
        /// Nothing that the host sends is heard.
        package var isDeaf = false

        package init() {}
    }

    package enum Signal: Hashable, Sendable {
        /// Light that drifts, in µmol photons m-2 s-1.
        case daylight
        /// 0.010000, 0.010001…: no two samples alike, which tests rely on.
        case ramp
    }

    package enum Output: Hashable, Sendable {
        case text([UInt8])
        case sample([UInt8])

        package var bytes: [UInt8] {
            switch self {
            case .text(let bytes), .sample(let bytes): bytes
            }
        }
    }

    /// What it waits for when nothing is left to print.
    enum Phase: Hashable, Sendable {
        case sampling(next: Int64)
        /// `armed` since then; a query waits for a full average.
        case polled(armed: Int64?, query: Int64?, heard: String)
        case menu(letter: UInt8?)
        /// Waits for ever: there is no watchdog.
        case averagingPrompt(String)
        case ratePrompt(String)
        case modePrompt(until: Int64)
        case tagPrompt(until: Int64)
        /// A fault: nothing is printed until it is woken or reset.
        case silent
    }

    static let second: Int64 = 1_000_000_000

    package internal(set) var setup: Setup
    var phase: Phase
    /// What is being printed: when its last byte is out, and what.
    var script: [(at: Int64, output: Output)] = []
    /// Bytes of the host that wait for the script to end.
    var typed: [UInt8] = []
    private var isBooting = true
    private var index = 0
    private var random: SeededGenerator

    package init(_ setup: Setup, at now: Int64) {
        self.setup = setup
        random = SeededGenerator(seed: setup.seed)
        phase = .silent
        reboot(at: now)
    }

    // MARK: Time

    package var nextEvent: Int64? {
        if let first = script.first { return first.at }
        switch phase {
        case .sampling(let next): return next
        case .polled(_, let query, _): return query
        case .modePrompt(let until), .tagPrompt(let until): return until
        case .menu, .averagingPrompt, .ratePrompt, .silent: return nil
        }
    }

    /// What was printed up to `now`, one line or prompt each, oldest first.
    package mutating func advance(to now: Int64) -> [Output] {
        var printed: [Output] = []
        while let due = nextEvent, due <= now {
            if !script.isEmpty {
                printed.append(script.removeFirst().output)
                if script.isEmpty { scriptEnded(at: due) }
                continue
            }
            switch phase {
            case .sampling(let next):
                let line = sampleLine()
                phase = .sampling(next: next + period(of: line))
                printed.append(.sample(line))
            case .polled(let armed, _, let heard):
                phase = .polled(armed: armed, query: nil, heard: heard)
                printed.append(.sample(sampleLine()))
            case .modePrompt, .tagPrompt:
                say(["Timed out waiting for response. "], from: due)
                showMenu()
            case .menu, .averagingPrompt, .ratePrompt, .silent: return printed
            }
        }
        return printed
    }

    private mutating func scriptEnded(at now: Int64) {
        isBooting = false
        let waiting = typed
        typed = []
        for byte in waiting { receive(byte, at: now) }
    }

    /// Longer than averaging over rate by what printing takes: 1.0338 s at 125/125 and 9600 baud.
    private func period(of line: [UInt8]) -> Int64 {
        Int64(setup.averaging) * Self.second / Int64(setup.rate) + 9_800_000 + printing(line.count)
    }

    /// Ten bits a byte.
    private func printing(_ count: Int) -> Int64 { Int64(count) * 10 * Self.second / Int64(setup.baud) }

    // MARK: Printing

    /// Appends lines to what is being printed, after `delay`; the last without its line's end where it is a prompt.
    mutating func say(_ lines: [String], from now: Int64, after delay: Int64 = 0, promptLast: Bool = false) {
        var at = max(script.last?.at ?? now, now) + delay
        for (position, line) in lines.enumerated() {
            let isPrompt = promptLast && position == lines.count - 1
            let bytes = Array((isPrompt ? line : line + "\r\n").utf8)
            at += printing(bytes.count)
            script.append((at, .text(bytes)))
        }
    }

    /// A full reset: the banner, then data.
    package mutating func reboot(at now: Int64) {
        script = []
        typed = []
        isBooting = true
        let start = now + Self.second / 10
        if setup.isPolled {
            phase = .polled(armed: nil, query: nil, heard: "")
            if !setup.isQuiet { say(bannerLines + ["Entering polled mainline sampling"], from: start) }
        } else {
            let ends = ["Start free run sampling", "Starting Sampling; quiet mode =0"]
            if !setup.isQuiet { say(bannerLines + ends, from: start) }
            let first = (script.last?.at ?? start) + 1_030_000_000
            phase = .sampling(next: max(first, start + Int64(setup.averaging) * Self.second / Int64(setup.rate)))
        }
        if script.isEmpty { isBooting = false }
    }

    var bannerLines: [String] {
        [
            "Biospherical Instruments Inc: Digital Engine Vers \(setup.firmware)",
            "Unit ID \(setup.serial)",
            setup.isPolled ? "Operating in polled mode with tag of \(setup.tag)" : "Operating in free run mode",
            "ADC sample rate \(setup.rate), gain 1",
            setup.averaging > 1 ? "Averaging \(setup.averaging) readings" : "No Averaging",
            "ADC buffer status 1.0, 125.0, 4.003, 7799",
            "1.0, 125.0, 4.003, 7799.0",
            "Sensor temperature: 25.19 C",
            "Input Supply Voltage: 7.494v",
            "Calfactor: 1.0000volts",
            "ADC OK",
        ]
    }

    private mutating func sampleLine() -> [UInt8] {
        defer { index += 1 }
        var value = Self.fixed(nextMillionths(), decimals: 6)
        if setup.omitsLeadingZero, value.hasPrefix("0") { value.removeFirst() }
        var line = setup.isPolled ? "\(setup.tag),\(value)" : setup.preamble + value
        if setup.printsTemperature {
            let n = Int.random(in: 318...324, using: &random)
            line += ", " + Self.truncated(QSeriesLattice.temperature(n), decimals: 2)
        }
        if setup.printsVoltage {
            let n = Int.random(in: 351...355, using: &random)
            line += ", " + Self.truncated(QSeriesLattice.voltage(n), decimals: 3)
        }
        return Array((line + "\r\n").utf8)
    }

    private mutating func nextMillionths() -> Int {
        switch setup.signal {
        case .ramp: return 10_000 + index
        case .daylight:
            let drift = (index * 37) % 4000
            let triangle = drift < 2000 ? drift : 4000 - drift
            return 400_000_000 + triangle * 100_000 + Int.random(in: 0..<1_000_000, using: &random)
        }
    }

    static func truncated(_ number: Double, decimals: Int) -> String {
        let scale = (0..<decimals).reduce(1.0) { scale, _ in scale * 10 }
        return fixed(Int(number * scale), decimals: decimals)
    }

    private static func fixed(_ number: Int, decimals: Int) -> String {
        let digits = String(number.magnitude)
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return (number < 0 ? "-" : "") + padded.dropLast(decimals) + "." + padded.suffix(decimals)
    }

    // MARK: Hearing

    package mutating func receive(_ bytes: [UInt8], at now: Int64) {
        guard !setup.isDeaf else { return }
        for byte in bytes { receive(byte, at: now) }
    }

    private mutating func receive(_ byte: UInt8, at now: Int64) {
        guard script.isEmpty else {
            // What comes while the banner prints is lost; the menu's reader finds it in the buffer later.
            if !isBooting, typed.count < 64 { typed.append(byte) }
            return
        }
        switch phase {
        case .sampling, .silent:
            if isMenuKey(byte) { enterMenu(at: now) }
        case .polled(let armed, let query, let heard):
            if isMenuKey(byte) { return enterMenu(at: now) }
            heardWhilePolled(byte, armed: armed, query: query, heard: heard, at: now)
        case .menu, .averagingPrompt, .ratePrompt, .modePrompt, .tagPrompt: typed(byte, at: now)
        }
    }

    private func isMenuKey(_ byte: UInt8) -> Bool { byte == 0x1b || byte == UInt8(ascii: "?") }

    private mutating func heardWhilePolled(_ byte: UInt8, armed: Int64?, query: Int64?, heard: String, at now: Int64) {
        let text = String((heard + String(Unicode.Scalar(byte))).suffix(8))
        let average = Int64(setup.averaging) * Self.second / Int64(setup.rate)
        if text.hasSuffix("*\(setup.tag)Q000!") {
            phase = .polled(armed: now, query: nil, heard: "")
        } else if text.hasSuffix(">\(setup.tag)*"), let armed {
            // A query is answered after a full average that began with the arming or the query before.
            phase = .polled(armed: max(now, armed + average), query: max(now, armed + average), heard: "")
        } else {
            phase = .polled(armed: armed, query: query, heard: text)
        }
    }

    private mutating func enterMenu(at now: Int64) {
        say(bannerLines, from: now)
        showMenu(at: now)
    }

    // MARK: Faults

    package mutating func fallSilent() { phase = .silent }

    /// As a host that died in the menu leaves it.
    package mutating func hang() { phase = .averagingPrompt("") }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same faults.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
