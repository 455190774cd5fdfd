/// One entry of the catalogue: written once, by its author, and never changed. Its JSON form is in `Docs/Storage.md`,
/// "The facts".
package struct Fact: Hashable, Sendable {
    package let name: FactName
    package let session: SessionID?
    /// When its author wrote it, on the author's clocks.
    package let at: ClockReading
    package let body: Body

    package enum Body: Hashable, Sendable {
        case session(SessionOpening)
        case chunk(ChunkFact)
        case end(SessionEnd)
        case gap(Gap)
        case clock(ClockStep)
        case marker(Marker)
        case config(ConfigurationChange)
        case lost(ChunkState)
        case held(ChunkState)
        case removed(ChunkState)
        /// A kind of a later release: kept and relayed as it is.
        case unknown(kind: String)

        package var kind: String {
            switch self {
            case .session: "session"
            case .chunk: "chunk"
            case .end: "end"
            case .gap: "gap"
            case .clock: "clock"
            case .marker: "marker"
            case .config: "config"
            case .lost: "lost"
            case .held: "held"
            case .removed: "removed"
            case .unknown(let kind): kind
            }
        }
    }

    package init(name: FactName, session: SessionID?, at: ClockReading, body: Body) {
        self.name = name
        self.session = session
        self.at = at
        self.body = body
    }
}

/// What a session is: `session`.
package struct SessionOpening: Hashable, Sendable, Codable {
    package var mission: String
    package var streams: [StreamDescription]
    package var instrument: [String: JSONValue]
    /// `unknown` until the sensor's configuration was read.
    package var calibration: JSONValue
    /// Kept whole: whoever started the recording knows what it means.
    package var metadata: [String: JSONValue]
    /// Ties together the sessions that one button started.
    package var recordingID: UniqueID?
    /// The session that an interruption ended and this one goes on from.
    package var continues: SessionID?

    package init(
        mission: String, streams: [StreamDescription], instrument: [String: JSONValue] = [:],
        calibration: JSONValue = .string("unknown"), metadata: [String: JSONValue] = [:], recordingID: UniqueID? = nil,
        continues: SessionID? = nil
    ) {
        self.mission = mission
        self.streams = streams
        self.instrument = instrument
        self.calibration = calibration
        self.metadata = metadata
        self.recordingID = recordingID
        self.continues = continues
    }

    private enum CodingKeys: String, CodingKey {
        case mission, streams, instrument, calibration, metadata, continues
        case recordingID = "recording_id"
    }
}

/// One stream of a session and the form of its rows.
package struct StreamDescription: Hashable, Sendable, Codable {
    package enum Format: String, Hashable, Sendable, Codable {
        case csv, jsonl
    }

    package let name: StreamName
    package let format: Format
    /// Column names in order; for CSV the first line of each chunk, joined by commas.
    package let columns: [String]

    package init(name: StreamName, format: Format, columns: [String]) {
        self.name = name
        self.format = format
        self.columns = columns
    }

    /// What stands at the head of each chunk: the header line of CSV, nothing of JSON Lines.
    package var preamble: [UInt8] {
        switch format {
        case .csv: Array((columns.joined(separator: ",") + "\n").utf8)
        case .jsonl: []
        }
    }
}

/// A sealed chunk: `chunk`.
package struct ChunkFact: Hashable, Sendable, Codable {
    package let stream: StreamName
    package let index: Int64
    package let sha256: ChunkID
    package let bytes: Int64
    /// Rows, without a header line.
    package let rows: Int64
    /// Number of the chunk's first row within its stream, from 0.
    package let firstRow: Int64
    package let first: ClockPair
    package let last: ClockPair

    package init(
        stream: StreamName, index: Int64, sha256: ChunkID, bytes: Int64, rows: Int64, firstRow: Int64, first: ClockPair,
        last: ClockPair
    ) {
        self.stream = stream
        self.index = index
        self.sha256 = sha256
        self.bytes = bytes
        self.rows = rows
        self.firstRow = firstRow
        self.first = first
        self.last = last
    }

    private enum CodingKeys: String, CodingKey {
        case stream, index, sha256, bytes, rows, first, last
        case firstRow = "first_row"
    }
}

/// How a session ended and what belongs to it, so that completeness can be decided: `end`.
package struct SessionEnd: Hashable, Sendable, Codable {
    package struct Totals: Hashable, Sendable, Codable {
        package var chunks: Int64
        package var rows: Int64
        package var bytes: Int64

        package init(chunks: Int64 = 0, rows: Int64 = 0, bytes: Int64 = 0) {
            self.chunks = chunks
            self.rows = rows
            self.bytes = bytes
        }
    }

    package enum Reason {
        package static let stopped = "stopped"
        package static let superseded = "superseded"
        package static let interrupted = "interrupted"
        package static let powerLost = "power_lost"
        /// A peer that had copies closed it, since its author did not come back.
        package static let closedByPeer = "closed_by_peer"
    }

    package let reason: String
    package let streams: [String: Totals]

    package init(reason: String, streams: [String: Totals]) {
        self.reason = reason
        self.streams = streams
    }
}

/// Where the world did not wait, or a source fell silent: `gap`.
package struct Gap: Hashable, Sendable, Codable {
    package enum Reason {
        package static let restart = "restart"
        package static let unplugged = "unplugged"
        package static let silent = "silent"
        package static let sensorReset = "sensor_reset"
        package static let overflow = "overflow"
        package static let corrupt = "corrupt"
        package static let diskFailure = "disk_failure"
    }

    package let stream: StreamName?
    package let reason: String
    package let from: ClockPair
    package let to: ClockPair?
    package let rowsLost: Int64?

    package init(stream: StreamName? = nil, reason: String, from: ClockPair, to: ClockPair?, rowsLost: Int64? = nil) {
        self.stream = stream
        self.reason = reason
        self.from = from
        self.to = to
        self.rowsLost = rowsLost
    }

    private enum CodingKeys: String, CodingKey {
        case stream, reason, from, to
        case rowsLost = "rows_lost"
    }
}

/// A step of the author's own clock: `clock`.
package struct ClockStep: Hashable, Sendable, Codable {
    package let before: ClockPair
    package let after: ClockPair
    /// The step of realtime against boottime, nanoseconds; positive where the clock was set forward.
    package let size: DecimalInt64

    package init(before: ClockPair, after: ClockPair) {
        self.before = before
        self.after = after
        size = DecimalInt64((after.realtime - before.realtime) - (after.boottime - before.boottime))
    }

    private enum CodingKeys: String, CodingKey {
        case before, after
        case size = "size_ns"
    }
}

/// Something a person or another program wanted remembered at this moment: `marker`.
package struct Marker: Hashable, Sendable, Codable {
    package let id: String
    package let type: String?
    package let text: String?
    /// Number of the next row of stream `data` when it was set.
    package let row: Int64?

    package init(id: String, type: String? = nil, text: String? = nil, row: Int64? = nil) {
        self.id = id
        self.type = type
        self.text = text
        self.row = row
    }
}

/// What was changed or read on the instrument, with its dump: `config`.
package struct ConfigurationChange: Hashable, Sendable, Codable {
    package let changed: [String: JSONValue]
    package let dump: JSONValue

    package init(changed: [String: JSONValue], dump: JSONValue) {
        self.changed = changed
        self.dump = dump
    }
}

/// A holder's word about bytes it has no more, or has again: `lost`, `held`, `removed`.
package struct ChunkState: Hashable, Sendable, Codable {
    package let sha256: ChunkID?
    package let fact: FactName?
    package let reason: String?

    package init(sha256: ChunkID? = nil, fact: FactName? = nil, reason: String? = nil) {
        self.sha256 = sha256
        self.fact = fact
        self.reason = reason
    }
}
