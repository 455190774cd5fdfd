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
    /// Chunks that its author never sealed, as far as is known here, are here up to some row.
    package let partial: Bool
    /// Rows of stream `data` in them.
    package let partialRows: Int64
    package let streams: [String: Totals]
    package let instrument: [String: JSONValue]
    package let calibration: JSONValue
    package let metadata: [String: JSONValue]
    package let folder: String

    /// `copies` may be of any session.
    package init(_ summary: SessionSummary, _ copies: [CopyState], folder: String) {
        let own = copies.filter { $0.slot.session == summary.id }
        partial = !own.isEmpty
        partialRows = own.filter { $0.slot.stream == .data }.reduce(0) { $0 + $1.rows }
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
        case id, author, mission, continues, complete, partial, streams, instrument, calibration, metadata, folder
        case recordingID = "recording_id"
        case startedAt = "started_at"
        case endedAt = "ended_at"
        case endReason = "end_reason"
        case missingChunks = "missing_chunks"
        case partialRows = "partial_rows"
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

    /// A live copy of a chunk that is open at its author, or was when that was last heard of.
    package struct Partial: Codable, Sendable {
        package let stream: StreamName
        package let index: Int64
        package let bytes: Int64
        package let rows: Int64
        package let firstRow: Int64
        package let firstAt: String
        package let lastAt: String

        init(_ copy: CopyState) {
            stream = copy.slot.stream
            index = copy.slot.index
            bytes = copy.length
            rows = copy.rows
            firstRow = copy.firstRow
            firstAt = Timestamp.text(copy.first.realtime)
            lastAt = Timestamp.text(copy.last.realtime)
        }

        enum CodingKeys: String, CodingKey {
            case stream, index, bytes, rows
            case firstRow = "first_row"
            case firstAt = "first_at"
            case lastAt = "last_at"
        }
    }

    package let session: SessionForm
    package let chunks: [Chunk]
    package let partials: [Partial]

    package init(_ session: SessionForm, _ held: [HeldChunk], _ copies: [CopyState]) {
        self.session = session
        partials = copies.filter { $0.slot.session == session.id }.map(Partial.init)
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

/// Another node's session that was closed here: `POST /v1/sessions/{id}/close`.
package struct ClosedForm: Codable, Sendable {
    package let session: SessionID
    package let reason: String
    /// Chunks that were sealed by this.
    package let sealedChunks: Int64
    /// The end's totals, of stream `data`.
    package let chunks: Int64
    package let rows: Int64

    package init(_ id: SessionID, _ closed: ClosedSession) {
        session = id
        reason = closed.end.reason
        sealedChunks = Int64(closed.sealed.count)
        let data = closed.end.streams["data"]
        chunks = data?.chunks ?? 0
        rows = data?.rows ?? 0
    }

    enum CodingKeys: String, CodingKey {
        case session, reason, chunks, rows
        case sealedChunks = "sealed_chunks"
    }
}
