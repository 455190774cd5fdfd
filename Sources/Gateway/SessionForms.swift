package import Model
package import Storage

/// A session in lists: `GET /v1/sessions`.
package struct SessionForm: Codable, Sendable {
    package struct Totals: Codable, Sendable {
        package let chunks: Int64
        package let rows: Int64
        package let bytes: Int64
    }

    package let id: SessionID
    package let author: NodeID
    package let mission: String
    package let recordingID: UniqueID?
    package let continues: SessionID?
    package let startedAt: String
    package let endedAt: String?
    package let endReason: String?
    /// Ended, and every chunk that its end counts is here.
    package let complete: Bool
    package let missingChunks: Int64
    package let streams: [String: Totals]
    package let instrument: [String: JSONValue]
    package let calibration: JSONValue
    package let metadata: [String: JSONValue]
    package let folder: String

    package init(_ summary: SessionSummary, folder: String) {
        id = summary.id
        author = summary.author
        mission = summary.opening.mission
        recordingID = summary.opening.recordingID
        continues = summary.opening.continues
        startedAt = Timestamp.text(summary.startedAt.realtime)
        endedAt = summary.endedAt.map { Timestamp.text($0.realtime) }
        endReason = summary.end?.reason
        complete = summary.isComplete
        missingChunks = summary.missingChunks
        streams = Dictionary(
            uniqueKeysWithValues: summary.held.map {
                ($0.key.description, Totals(chunks: $0.value.chunks, rows: $0.value.rows, bytes: $0.value.bytes))
            })
        instrument = summary.opening.instrument
        calibration = summary.opening.calibration
        metadata = summary.opening.metadata
        self.folder = folder
    }

    enum CodingKeys: String, CodingKey {
        case id, author, mission, continues, complete, streams, instrument, calibration, metadata, folder
        case recordingID = "recording_id"
        case startedAt = "started_at"
        case endedAt = "ended_at"
        case endReason = "end_reason"
        case missingChunks = "missing_chunks"
    }
}

/// One session with its chunks: `GET /v1/sessions/{id}`.
package struct SessionDetailForm: Codable, Sendable {
    package struct Chunk: Codable, Sendable {
        package let stream: StreamName
        package let index: Int64
        package let sha256: ChunkID
        package let bytes: Int64
        package let rows: Int64
        package let firstRow: Int64
        package let firstAt: String
        package let lastAt: String
        /// Another chunk counts for this slot.
        package let variant: Bool

        enum CodingKeys: String, CodingKey {
            case stream, index, sha256, bytes, rows, variant
            case firstRow = "first_row"
            case firstAt = "first_at"
            case lastAt = "last_at"
        }
    }

    package let session: SessionForm
    package let chunks: [Chunk]

    package init(_ session: SessionForm, _ held: [HeldChunk]) {
        self.session = session
        var slots: Set<String> = []
        chunks = held.map { chunk in
            let isFirst = slots.insert("\(chunk.fact.stream) \(chunk.fact.index)").inserted
            return Chunk(
                stream: chunk.fact.stream, index: chunk.fact.index, sha256: chunk.fact.sha256, bytes: chunk.fact.bytes,
                rows: chunk.fact.rows, firstRow: chunk.fact.firstRow,
                firstAt: Timestamp.text(chunk.fact.first.realtime), lastAt: Timestamp.text(chunk.fact.last.realtime),
                variant: !isFirst)
        }
    }
}
