package import Model
internal import Recording

/// The body of `POST /v1/recordings`; all of it optional.
package struct RecordingRequestForm: Codable, Sendable {
    package var mission: String?
    package var metadata: [String: JSONValue]?
    package var recordingID: UniqueID?
    package var chunkIntervalS: Double?

    package init(
        mission: String? = nil, metadata: [String: JSONValue]? = nil, recordingID: UniqueID? = nil,
        chunkIntervalS: Double? = nil
    ) {
        self.mission = mission
        self.metadata = metadata
        self.recordingID = recordingID
        self.chunkIntervalS = chunkIntervalS
    }

    enum CodingKeys: String, CodingKey {
        case mission, metadata
        case recordingID = "recording_id"
        case chunkIntervalS = "chunk_interval_s"
    }

    func request() throws(CallError) -> RecordingRequest {
        var request = RecordingRequest()
        if let mission {
            guard !mission.isEmpty, mission.utf8.count <= Limits.missionBytes else {
                throw .invalid("mission is a name of 1 to \(Limits.missionBytes) bytes")
            }
            request.mission = mission
        }
        if let seconds = chunkIntervalS {
            let range = Limits.chunkInterval
            guard seconds.isFinite, (range.lowerBound.inSeconds...range.upperBound.inSeconds).contains(seconds) else {
                throw .invalid("chunk_interval_s is 1 to 3600 seconds")
            }
            request.chunkInterval = .nanoseconds(Int64(seconds * 1e9))
        }
        request.metadata = metadata ?? [:]
        request.recordingID = recordingID
        return request
    }
}

/// A recording that runs.
package struct StartedForm: Codable, Sendable {
    package let session: SessionID
}

/// A recording that was stopped.
package struct StoppedForm: Codable, Sendable {
    package let session: SessionID
    package let reason: String
    package let chunks: Int64
    package let rows: Int64
    package let bytes: Int64
    package let startedAt: String
    package let stoppedAt: String

    init(_ summary: RecordingSummary) {
        let data = summary.end.streams["data"]
        session = summary.session
        reason = summary.end.reason
        chunks = data?.chunks ?? 0
        rows = data?.rows ?? 0
        bytes = data?.bytes ?? 0
        startedAt = Timestamp.text(summary.startedAt.realtime)
        stoppedAt = Timestamp.text(summary.stoppedAt.realtime)
    }

    enum CodingKeys: String, CodingKey {
        case session, reason, chunks, rows, bytes
        case startedAt = "started_at"
        case stoppedAt = "stopped_at"
    }
}

/// The body of `POST /v1/markers`.
package struct MarkerForm: Codable, Sendable {
    package var type: String?
    package var text: String?

    package init(type: String?, text: String?) {
        self.type = type
        self.text = text
    }
}

/// A marker that was set.
package struct MarkedForm: Codable, Sendable {
    package let id: String
    package let timestamp: String
}

/// What an audit found wrong: `POST /v1/suspects`.
package struct SuspectsForm: Codable, Sendable {
    package let chunks: [ChunkID]
    /// Lines of the log are damaged.
    package let log: Bool

    package init(chunks: [ChunkID], log: Bool) {
        self.chunks = chunks
        self.log = log
    }
}
