package import Model
package import Storage

/// How a recorder records, where nobody says otherwise.
package struct RecorderOptions: Hashable, Sendable {
    /// A recording begins with the first row.
    package var recordsByItself = true
    package var mission = "default"
    package var format = StreamDescription.Format.csv
    package var sealPolicy = SealPolicy()
    /// Rows wait this long for others to become durable with; zero makes each durable at once.
    package var commitInterval = Duration.milliseconds(200)
    /// After a commit, a seal or a fact that failed.
    package var retryInterval = Duration.milliseconds(500)
    package var queueBytes = Limits.queuedRowBytes
    /// A commit that takes longer is told of; rows wait in memory meanwhile.
    package var stallNotice = Limits.stallNotice

    package init() {}
}

/// What somebody who presses a button asks for.
package struct RecordingRequest: Hashable, Sendable {
    package var mission: String?
    /// Kept whole.
    package var metadata: [String: JSONValue] = [:]
    package var recordingID: UniqueID?
    package var chunkInterval: Duration?
    package var chunkSize: Int64?

    package init() {}
}

/// Why a recording was not started or stopped.
package enum RecorderError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Somebody started that one.
    case alreadyRecording(SessionID)
    /// Another start is under way.
    case busy
    case notRecording
    /// Another session is the one that runs.
    case otherSession(running: SessionID)
    case store(StoreError)

    package var description: String {
        switch self {
        case .alreadyRecording(let id): "session \(id) is being recorded; stop it first"
        case .busy: "a recording is being started; wait for that to end"
        case .notRecording: "nothing is being recorded"
        case .otherSession(let id): "another session is being recorded: \(id)"
        case .store(let error): "\(error)"
        }
    }
}

/// What a recorder is at, for status pages.
package struct RecorderStatus: Hashable, Sendable {
    package struct Running: Hashable, Sendable {
        package let session: SessionID
        package let opening: SessionOpening
        /// Somebody started it.
        package let isExplicit: Bool
        package let startedAt: ClockReading
        package let sealPolicy: SealPolicy
        /// Durable rows and bytes of stream `data`.
        package let rows: Int64
        package let bytes: Int64
        /// Of stream `data`.
        package let sealedChunks: Int64
        package let openChunk: OpenChunkState?
    }

    package let running: Running?
    package let queuedBytes: Int
    package let queuedRows: Int64
    package let lastRowAt: ClockReading?
    /// Over the last ten seconds.
    package let rowsPerSecond: Double
    package let rowsLost: Int64
    package let clockSteps: Int64
    package let commits: Int64
    package let failures: Int64
    /// Why the disk takes nothing, while it does not.
    package let trouble: String?
    package let identity: InstrumentIdentity?
}

/// What a stop left behind.
package struct RecordingSummary: Hashable, Sendable {
    package let session: SessionID
    package let end: SessionEnd
    package let startedAt: ClockReading
    package let stoppedAt: ClockReading
}
