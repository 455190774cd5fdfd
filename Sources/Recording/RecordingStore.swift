package import Model
package import Storage

/// What the recorder needs of a data directory.
package protocol RecordingStore: Sendable {
    /// Where it tells what happened to it, and where those who use it do.
    var incidents: StoreIncidents { get }
    func startSession(_ opening: SessionOpening, id: SessionID) async throws(StoreError) -> SessionID
    func commit(_ batches: [RowBatch]) async throws(StoreError) -> [OpenChunkState]
    func seal(_ session: SessionID, _ stream: StreamName?) async throws(StoreError) -> [HeldChunk]
    func endSession(_ session: SessionID, reason: String) async throws(StoreError) -> SessionEnd
    @discardableResult
    func record(_ body: Fact.Body, in session: SessionID?) async throws(StoreError) -> RecordedFact
    func openSessions() async -> [OpenSession]
    func setRecordingWish(_ wish: RecordingWish?) async throws(StoreError)
    func recordingWish() async -> RecordingWish?
    /// The boot in which a stop cleared the wish.
    func recordingStoppedInBoot() async -> BootID?
}

extension Store: RecordingStore {}
