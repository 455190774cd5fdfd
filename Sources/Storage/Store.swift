package import Model
package import Reactor

/// A node's data directory: the only writer of it, and the one path of bytes to disk. Its work is done by actors on the disk lanes; this
/// is their front. Formats: `Docs/Storage.md`.
package final class Store: Sendable {
    /// The threads that may block: commits; admitting, the log and the index; scrubbing.
    package struct Lanes: Sendable {
        package let commit: DiskLane
        package let admit: DiskLane
        package let scrub: DiskLane

        package init() {
            commit = DiskLane(name: "commit")
            admit = DiskLane(name: "admit")
            scrub = DiskLane(name: "scrub")
        }

        package func stop() {
            commit.stop()
            admit.stop()
            scrub.stop()
        }
    }

    package let node: NodeID
    package let incarnation: Incarnation
    package let path: String

    private init() { preconditionFailure() }

    /// Locks the directory, recovers what an earlier process left, and opens it for work.
    package static func open(
        _ path: String, node: NodeID, incarnation: Incarnation, lanes: Lanes, view: ViewMode = .link, log: Log,
        now: @escaping @Sendable () -> ClockReading = SystemClock.reading
    ) async throws -> Store { preconditionFailure() }

    /// Flushes the index and the view, notes the orderly stop in every open session, and gives up the lock.
    package func close() async throws(StoreError) { preconditionFailure() }

    // MARK: Recording

    /// Begins a session of this node; its fact is in the log when this returns.
    package func startSession(_ opening: SessionOpening, id: SessionID = .random()) async throws(StoreError)
        -> SessionID
    {
        preconditionFailure()
    }

    /// Makes all the batches durable with one sync. What throws was not acknowledged and may be committed again, whole.
    /// Answers how far each touched stream's open chunk is.
    package func commit(_ batches: [RowBatch]) async throws(StoreError) -> [OpenChunkState] { preconditionFailure() }

    /// Seals the open chunk of one stream, or of all the session's streams. Nothing happens where none is open.
    package func seal(_ session: SessionID, _ stream: StreamName? = nil) async throws(StoreError) -> [HeldChunk] {
        preconditionFailure()
    }

    /// Seals what is open and writes the `end` fact with the totals.
    package func endSession(_ session: SessionID, reason: String) async throws(StoreError) -> SessionEnd {
        preconditionFailure()
    }

    /// Writes a fact of this node: gap, marker, config, clock.
    @discardableResult
    package func record(_ body: Fact.Body, in session: SessionID?) async throws(StoreError) -> RecordedFact {
        preconditionFailure()
    }

    /// Sessions of this node that have no end, as found at the start or as they run now.
    package func openSessions() async -> [OpenSession] { preconditionFailure() }

    /// A durable setting of the recorder (`recording.json`): written atomically, read at the start. nil removes it.
    package func setRecordingWish(_ wish: RecordingWish?) async throws(StoreError) { preconditionFailure() }
    package func recordingWish() async -> RecordingWish? { preconditionFailure() }

    // MARK: The catalogue

    /// Position of the newest fact in this node's log; 0 where it is empty.
    package func head() async -> Int64 { preconditionFailure() }

    /// Which facts are held, and the head for which that is true.
    package func holdings() async -> (holdings: Holdings, head: Int64) { preconditionFailure() }

    /// Rings when the log has grown, at least once after the call; never more than one ring waits.
    package func growth() -> AsyncStream<Void> { preconditionFailure() }

    /// Facts behind `seq` in the order of this log, at most `limit`.
    package func facts(after seq: Int64, limit: Int) async throws(StoreError) -> [LoggedFact] { preconditionFailure() }

    /// The facts of these ranges that are held, at most `byteLimit` bytes; whether there is more.
    package func facts(in ranges: Holdings, byteLimit: Int) async throws(StoreError) -> (
        facts: [LoggedFact], more: Bool
    ) {
        preconditionFailure()
    }

    package func sessions() async throws(StoreError) -> [SessionSummary] { preconditionFailure() }
    package func session(_ id: SessionID) async throws(StoreError) -> SessionSummary { preconditionFailure() }
    /// Held chunks of a session, by stream and index; the first of each slot counts, the others are variants of it.
    package func chunks(of session: SessionID) async throws(StoreError) -> [HeldChunk] { preconditionFailure() }
    package func summary() async throws(StoreError) -> StoreSummary { preconditionFailure() }

    // MARK: Bytes

    /// A held chunk's file for reading, and its length. The reader closes it.
    package func openChunk(_ id: ChunkID) async throws(StoreError) -> ChunkFile { preconditionFailure() }

    // MARK: Replication

    /// Takes facts of a peer: new ones enter the log, chunk facts wait for their bytes, facts of this very process are refused.
    package func receive(_ facts: [[UInt8]]) async throws(StoreError) -> ReceiptReport { preconditionFailure() }

    /// All that was heard of, chunk facts without bytes among it: what need not be asked for again.
    package func heard() async -> Holdings { preconditionFailure() }

    /// Chunks to be pulled, the newest first: heard of, not held, not removed on purpose, `mission` only where one is named.
    package func wanted(mission: String?, limit: Int, excluding: Set<ChunkID>) async throws(StoreError) -> [WantedChunk]
    {
        preconditionFailure()
    }

    /// Bytes of this chunk that an earlier pull left, which a Range request may go on from.
    package func beginPull(_ chunk: WantedChunk) async throws(StoreError) -> Int64 { preconditionFailure() }
    /// Appends to the chunk being pulled.
    package func appendPull(_ chunk: WantedChunk, _ bytes: [UInt8]) async throws(StoreError) { preconditionFailure() }
    /// Verifies the pulled bytes and seals them. A wrong digest moves them to quarantine and throws `corrupt`.
    package func finishPull(_ chunk: WantedChunk) async throws(StoreError) { preconditionFailure() }
    /// Leaves what was pulled for a later attempt.
    package func suspendPull(_ chunk: WantedChunk) async { preconditionFailure() }
    /// Verifies and seals whole small chunks that arrived in memory, with one sync of each directory; a failure concerns its chunk alone.
    package func admit(_ arrivals: [(chunk: WantedChunk, bytes: [UInt8])]) async -> [Result<HeldChunk, StoreError>] {
        preconditionFailure()
    }
}

/// Whether this node records, as a person or a setting wished: set by a start, cleared by a stop, nothing else.
package struct RecordingWish: Hashable, Sendable, Codable {
    package var mission: String
    /// Somebody pressed a button; an automatic recording gives way to it.
    package var explicit: Bool
    package var recordingID: UniqueID?
    package var metadata: [String: JSONValue]

    package init(mission: String, explicit: Bool, recordingID: UniqueID? = nil, metadata: [String: JSONValue] = [:]) {
        self.mission = mission
        self.explicit = explicit
        self.recordingID = recordingID
        self.metadata = metadata
    }

    private enum CodingKeys: String, CodingKey {
        case mission, explicit, metadata
        case recordingID = "recording_id"
    }
}
