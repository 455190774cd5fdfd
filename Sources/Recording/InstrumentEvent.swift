package import Model

/// What an instrument gives: every line it printed, and what happened to it.
package enum InstrumentEvent: Hashable, Sendable {
    /// Who the rows that follow are from.
    case identified(InstrumentIdentity)
    case line(ReceivedLine)
    case connected(port: String, at: ClockReading)
    case disconnected(reason: String, at: ClockReading)
    case gapBegan(reason: String, from: ClockReading)
    case gapEnded(reason: String, from: ClockReading, to: ClockReading)
    /// Its banner came: it was switched on, or its power sagged.
    case sensorReset(at: ClockReading)
    /// What was read from or changed on the instrument.
    case configuration(ConfigurationChange, at: ClockReading)
    /// Lines came faster than they were taken away, and these were dropped.
    case overflow(lines: Int64, rows: Int64, from: ClockReading, to: ClockReading)
}

/// One line as received, byte for byte, with the clocks read at its arrival.
package struct ReceivedLine: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case sample(QSeriesSample)
        /// A line of an instrument whose lines are not understood here: it is the row.
        case text
        /// Kept among the raw lines only.
        case rejected(LineRejection)
    }

    package let bytes: [UInt8]
    package let at: ClockReading
    package let content: Content

    package init(bytes: [UInt8], at: ClockReading, content: Content) {
        self.bytes = bytes
        self.at = at
        self.content = content
    }

    package var isRow: Bool { if case .rejected = content { false } else { true } }
}

/// Why a line is no row.
package enum LineRejection: String, Error, Hashable, Sendable, CaseIterable {
    case blank
    /// Bytes that no sensor prints.
    case garbage
    case overlong
    /// Its beginning or its end is missing.
    case partial
    /// Something that is no number where one belongs.
    case number
    /// Fields are missing, or there are more than belong.
    case fields
    /// It reads like a sample, but not like those of this sensor.
    case shape
    case banner
    case menu
}

/// Who an instrument is: the id that its rows carry, and what a session says of it.
package struct InstrumentIdentity: Hashable, Sendable {
    package var sensorID: String
    /// `q-series` or `lines`.
    package var kind: String
    package var port: String?
    package var details: [String: JSONValue]

    package init(sensorID: String, kind: String, port: String? = nil, details: [String: JSONValue] = [:]) {
        self.sensorID = sensorID
        self.kind = kind
        self.port = port
        self.details = details
    }

    /// As a session's `instrument`.
    package var description: [String: JSONValue] {
        var members = details
        members["sensor_id"] = .string(sensorID)
        members["kind"] = .string(kind)
        if let port { members["port"] = .string(port) }
        return members
    }
}
