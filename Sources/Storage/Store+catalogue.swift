package import Model
internal import Reactor

/// What the store holds.
extension Store {
    /// Position of the newest fact in this node's log; 0 where it is empty.
    package func head() async -> Int64 { bell.head }

    /// Which facts are held, and the head for which that is true.
    package func holdings() async throws(StoreError) -> (holdings: Holdings, head: Int64) {
        try await catalogue.statement()
    }

    /// Rings when the log has grown, at least once after the call; never more than one ring waits.
    package func growth() -> AsyncStream<Void> { bell.listen() }

    /// Rings when a chunk that was held is held no more.
    package func losses() -> AsyncStream<Void> { catalogue.losses.listen() }

    /// Rings when a fact that was held or heard of is not known any more.
    package func forgettings() -> AsyncStream<Void> { catalogue.forgettings.listen() }

    /// Facts behind `seq` in the order of this log, at most `limit`.
    package func facts(after seq: Int64, limit: Int) async throws(StoreError) -> [LoggedFact] {
        try await catalogue.facts(after: seq, limit: limit)
    }

    /// The facts of these ranges that are held, at most `byteLimit` bytes; whether there is more.
    package func facts(
        in ranges: Holdings, byteLimit: Int
    ) async throws(StoreError) -> (facts: [LoggedFact], more: Bool) {
        try await catalogue.facts(in: ranges, byteLimit: byteLimit)
    }

    package func sessions() async throws(StoreError) -> [SessionSummary] { try await catalogue.sessions() }

    package func session(_ id: SessionID) async throws(StoreError) -> SessionSummary {
        guard let summary = try await catalogue.sessions(id).first else { throw .unknownSession(id) }
        return summary
    }

    /// Held chunks of a session, by stream and index; the first of each slot counts, the others are variants of it.
    package func chunks(of session: SessionID) async throws(StoreError) -> [HeldChunk] {
        try await catalogue.chunks(of: session)
    }

    package func summary() async throws(StoreError) -> StoreSummary { try await catalogue.summary() }

    /// The session's folder for people.
    package func folder(mission: String, session: SessionID) -> String {
        FolderView(directory: directory, mode: .off).path(mission: mission, session: session)
    }

    /// The partial copy of a stream's open chunk, relative to the session's folder.
    package static func partialName(_ stream: StreamDescription, _ index: Int64) -> String {
        let name = FolderView.partialName(stream, index)
        return (name.folder.map { $0 + "/" } ?? "") + name.file
    }

    /// Brings partial copies and manifests of the folder for people up to date.
    package func refreshView(_ extent: ViewRefresh = .due) async {
        // Copies of what is recorded take no room from recording.
        guard room.space.map({ $0.level == .ample || ($0.level == .low && extent == .all) }) ?? true else { return }
        await catalogue.refreshView(await journal.openChunks(), extent)
    }
}
