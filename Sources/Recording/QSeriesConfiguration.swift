package import Model

/// How a Q-Series sensor is set up, as its `^` dump or its banner tells. What was not told is nil.
package struct QSeriesConfiguration: Hashable, Sendable {
    package var averaging: Int?
    package var baud: Int?
    package var calFactor: String?
    package var describedAs: String?
    package var firmware: String?
    package var serial: String?
    package var immersion: String?
    package var dark: String?
    package var isPolled: Bool?
    package var tag: Character?
    package var preamble: String?
    package var printsTemperature: String?
    package var rate: Int?
    package var units: String?
    package var calibrationMode: String?
    /// The lines that all this was read from.
    package var text = ""

    package init() {}

    /// Averaging over rate. The true period is longer by what printing takes: no timestamp is made from this.
    package var nominalPeriod: Duration? {
        guard let averaging, let rate, rate > 0 else { return nil }
        return .nanoseconds(Int64(averaging) * 1_000_000_000 / Int64(rate))
    }

    /// For facts: what is known, by name.
    package var members: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        func set(_ name: String, _ text: String?) { if let text { members[name] = .string(text) } }
        func set(_ name: String, _ number: Int?) { if let number { members[name] = .integer(Int64(number)) } }
        set("averaging", averaging)
        set("baud", baud)
        set("cal_factor", calFactor)
        set("description", describedAs)
        set("firmware", firmware)
        set("serial", serial)
        set("immersion", immersion)
        set("dark", dark)
        if let isPolled { members["mode"] = .string(isPolled ? "polled" : "freerun") }
        set("tag", tag.map(String.init))
        set("preamble", preamble)
        set("temperature_output", printsTemperature)
        set("adc_rate_hz", rate)
        set("units", units)
        set("calibration_mode", calibrationMode)
        set("text", text)
        return members
    }

    /// What is known here, over what `older` knew.
    func merged(over older: Self) -> Self {
        var merged = older
        func take<Value>(_ path: WritableKeyPath<Self, Value?>) {
            if let value = self[keyPath: path] { merged[keyPath: path] = value }
        }
        take(\.averaging)
        take(\.baud)
        take(\.calFactor)
        take(\.describedAs)
        take(\.firmware)
        take(\.serial)
        take(\.immersion)
        take(\.dark)
        take(\.isPolled)
        take(\.tag)
        take(\.preamble)
        take(\.printsTemperature)
        take(\.rate)
        take(\.units)
        take(\.calibrationMode)
        merged.text = text
        return merged
    }

    /// A serial number that names a sensor: sensors leave the factory with a placeholder, `serial ######`.
    static func usableSerial(_ text: String) -> String? {
        let trimmed = text.trimmingSpaces
        return trimmed.isEmpty || trimmed.contains("#") ? nil : trimmed
    }
}

extension QSeriesConfiguration {
    /// Reads the line that `^` prints:
    /// `<averaging>,<baud>,<CalFactor>,<Description>,E,<Version>,G,H,<Serial>,<Immersion>,<Dark>,<SupplyV>,`
    /// `<Mode>,<TAG>,<Preamble>,<TempOutput>,<adcRate>,S,<temp_C>,<Units>,V,<CalibrationMode>…`. A description or a
    /// preamble may hold commas, so the letters between are what is held on to. Nil where it is another line. What
    /// comes behind the serial's neighbours may be missing.
    package init?(dump line: String) {
        let fields = line.trimmingSpaces.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard fields.count >= 11, let serialMark = Self.mark(["G", "H"], in: fields, from: 4),
            let versionMark = (3..<serialMark).last(where: { fields[$0] == "E" }), versionMark >= 4,
            let averaging = Int(fields[0].trimmingSpaces), (1...65535).contains(averaging),
            let baud = Int(fields[1].trimmingSpaces), fields.count >= serialMark + 5
        else { return nil }
        self.averaging = averaging
        self.baud = baud
        calFactor = fields[2].trimmingSpaces
        describedAs = fields[3..<versionMark].joined(separator: ",")
        firmware = fields[(versionMark + 1)..<serialMark].joined(separator: ",").trimmingSpaces
        serial = Self.usableSerial(fields[serialMark + 2])
        immersion = fields[serialMark + 3].trimmingSpaces
        dark = fields[serialMark + 4].trimmingSpaces
        text = line
        readTail(fields, from: serialMark + 6)
    }

    private static func mark(_ letters: [String], in fields: [String], from start: Int) -> Int? {
        guard fields.count > start + letters.count else { return nil }
        return (start...(fields.count - letters.count)).first { Array(fields[$0..<$0 + letters.count]) == letters }
    }

    private mutating func readTail(_ fields: [String], from start: Int) {
        guard fields.count > start + 1 else { return }
        switch fields[start].trimmingSpaces {
        case "0": isPolled = false
        case "1": isPolled = true
        default: return
        }
        if let letter = fields[start + 1].trimmingSpaces.first, ("A"..."F").contains(letter) { tag = letter }
        guard let mark = (start + 2..<fields.count).last(where: { fields[$0] == "S" }), mark >= start + 4 else {
            return
        }
        preamble = fields[(start + 2)..<(mark - 2)].joined(separator: ",")
        printsTemperature = fields[mark - 2].trimmingSpaces
        rate = Int(fields[mark - 1].trimmingSpaces)
        guard fields.count > mark + 2 else { return }
        units = fields[mark + 2].trimmingSpaces
        if fields.count > mark + 4, fields[mark + 3] == "V" { calibrationMode = fields[mark + 4].trimmingSpaces }
    }
}

extension String {
    var trimmingSpaces: String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
