/// What a sensor is to be set to; nil leaves a setting as it is.
package struct QSeriesSettings: Hashable, Sendable {
    package let averaging: Int?
    package let rate: Int?
    package let isPolled: Bool?
    package let tag: Character?

    /// The converter's rates in Hz.
    package static let rates = [4, 8, 16, 33, 62, 125, 250, 500]

    /// Leaves everything; reading the configuration is all that is done.
    package static let unchanged = QSeriesSettings()

    private init() { (averaging, rate, isPolled, tag) = (nil, nil, nil, nil) }

    package init(
        averaging: Int? = nil, rate: Int? = nil, isPolled: Bool? = nil, tag: Character? = nil
    ) throws(QSeriesError) {
        if let averaging, !(1...65535).contains(averaging) {
            throw .invalid("averaging is 1 to 65535 readings, not \(averaging)")
        }
        if let rate, !Self.rates.contains(rate) {
            let rates = Self.rates.map(String.init).joined(separator: ", ")
            throw .invalid("the converter runs at \(rates) Hz, not at \(rate)")
        }
        if let tag, !("A"..."F").contains(tag) { throw .invalid("a tag is one of A to F, not \(tag)") }
        self.averaging = averaging
        self.rate = rate
        self.isPolled = isPolled ?? (tag == nil ? nil : true)
        self.tag = isPolled == true || tag != nil ? (tag ?? "A") : nil
    }

    package var isEmpty: Bool { averaging == nil && rate == nil && isPolled == nil }
}

/// Why a sensor could not be set up or read.
package enum QSeriesError: Error, Hashable, Sendable {
    case invalid(String)
    case notConnected
    /// Another request is under way.
    case busy
    /// ESC was answered by no menu.
    case noMenu
    /// The sensor answered a command, but not as it should.
    case refused(command: String, answer: String)
    /// A command's answer never came.
    case timedOut(command: String)
    /// The dump could not be read.
    case noDump
    /// The line was lost on the way.
    case disconnected
}

extension QSeriesError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .invalid(let reason): reason
        case .notConnected: "no sensor is connected"
        case .busy: "the sensor is being set up already; wait for that to end"
        case .noMenu: "the sensor does not show its menu; check cable, power and baud rate"
        case .refused(let command, let answer): "the sensor refused \(command): \(answer)"
        case .timedOut(let command): "the sensor did not answer \(command) in time"
        case .noDump: "the sensor's configuration dump could not be read"
        case .disconnected: "the sensor's line was lost on the way"
        }
    }
}
