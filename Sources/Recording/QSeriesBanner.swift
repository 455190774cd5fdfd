/// The lines that a Q-Series sensor prints when it starts and in its menu, none of which is a sample. A line is known
/// by a part of it: a reset in mid-line glues its beginning to half a sample, and firmwares differ in the rest.
enum QSeriesBanner {
    enum Line: Hashable, Sendable {
        /// The first of a banner.
        case start
        /// Before the first, where the menu was left.
        case farewell
        case body
        /// Samples follow, if nothing is damaged between.
        case almostEnd
        /// Samples follow, or answers to queries.
        case end
        case menu
    }

    /// In every banner's first line.
    static let title = "Biospherical"
    /// What `X` prints; with quiet mode on, the samples follow.
    private static let farewell = "Rebooting program"
    private static let starts = [title, "Digital Engine Vers"]
    private static let almostEnds = ["Start free run sampling"]
    private static let ends = ["Starting Sampling", "Entering polled mainline"]
    private static let bodies = [
        "Unit ID", "Operating in free run", "Operating in polled", "ADC sample rate", "No Averaging",
        "Sensor temperature",
        "Input Supply Voltage", "Calfactor", "ADC OK", "SetupADC", "ADC did not startup", "ADC buffer",
    ]
    private static let menus = [
        "Select the letter of the menu", "Enter ", " was entered", "ADC set to", "ADC rate set", "****Invalid",
        "Invalid rate", "I am confused", "Timed out waiting", "Bad TAG", "Set operating mode", "reduced resolution",
    ]

    static func recognise(_ text: String) -> Line? {
        if starts.contains(where: text.has) { return .start }
        if text.has(farewell) { return .farewell }
        if ends.contains(where: text.has) { return .end }
        if almostEnds.contains(where: text.has) { return .almostEnd }
        if bodies.contains(where: text.has) { return .body }
        if text.hasPrefix("Averaging "), text.has("readings") { return .body }
        return menus.contains(where: text.has) ? .menu : nil
    }

    /// Takes what a banner's line tells into `configuration`.
    static func read(_ line: String, into configuration: inout QSeriesConfiguration) {
        if let version = line.after("Digital Engine Vers ") {
            configuration.firmware = version
        } else if let serial = line.after("Unit ID ") {
            configuration.serial = QSeriesConfiguration.usableSerial(serial)
        } else if line.has("Operating in free run") {
            configuration.isPolled = false
        } else if line.has("Operating in polled") {
            configuration.isPolled = true
            if let tag = line.after("with tag of ")?.first, ("A"..."F").contains(tag) { configuration.tag = tag }
        } else if let rate = line.after("ADC sample rate ") {
            configuration.rate = Int(rate.prefix { $0.isNumber }).flatMap { (1...1000).contains($0) ? $0 : nil }
        } else if line.has("No Averaging") {
            configuration.averaging = 1
        } else if let readings = line.after("Averaging "), line.has("readings") {
            configuration.averaging = Int(readings.prefix { $0.isNumber }).flatMap {
                (1...65535).contains($0) ? $0 : nil
            }
        } else if let factor = line.after("Calfactor: ") {
            let number = factor.prefix { $0.isNumber || "+-.eE".contains($0) }
            configuration.calFactor = String(number)
            configuration.units = String(factor.dropFirst(number.count)).trimmingSpaces
        }
        guard configuration.text.utf8.count < 2048 else { return }
        configuration.text += configuration.text.isEmpty ? line : "\n\(line)"
    }
}

extension String {
    /// What stands behind the first `mark`, without the spaces around it.
    fileprivate func after(_ mark: String) -> String? {
        end(ofFirst: mark).map { String(self[$0...]).trimmingSpaces }
    }

    fileprivate func has(_ mark: String) -> Bool { end(ofFirst: mark) != nil }

    /// By byte: every line of a sensor is looked through for all the marks, and a search by characters builds a table
    /// for each of them.
    private func end(ofFirst mark: String) -> Index? {
        var rest = utf8[...]
        while let start = rest.firstIndex(where: { $0 == mark.utf8.first }) {
            rest = rest[start...]
            if rest.starts(with: mark.utf8) { return rest.index(start, offsetBy: mark.utf8.count) }
            rest = rest.dropFirst()
        }
        return nil
    }
}
