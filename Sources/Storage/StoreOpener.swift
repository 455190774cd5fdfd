internal import Model
internal import Reactor

/// Opens a data directory on the admit lane: everything of it that blocks.
actor StoreOpener {
    private let lane: DiskLane
    private let path: String
    nonisolated let node: NodeID

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane, path: String, node: NodeID) {
        self.lane = lane
        self.path = path
        self.node = node
    }

    struct Opened {
        let directory: DataDirectory
        var journal: RecoveredJournal
        let recording: RecordingFile
        let reports: [String]
    }

    /// For a start on a full disk: gives it the reserve's room; whether there was any.
    func giveUpReserve() -> Bool { DataDirectory.giveUpReserve(at: path) }

    func open() throws(StoreError) -> Opened {
        let directory = try DataDirectory(path)
        do throws(SyscallError) {
            var recovery = JournalRecovery(directory: directory, node: node)
            let journal = try recovery.run()
            var reports = journal.reports
            try Self.clearIncoming(of: directory)
            let recording = try Self.recording(in: directory, reports: &reports)
            return Opened(directory: directory, journal: journal, recording: recording, reports: reports)
        } catch {
            throw DataDirectory.explain(error, path: path)
        }
    }

    /// What is neither a chunk's file nor their ledger is what a process had no use for, or no more when it died.
    private static func clearIncoming(of directory: DataDirectory) throws(SyscallError) {
        for name in try directory.incoming.names() where ChunkID(name) == nil && name != PieceLedger.fileName {
            try directory.incoming.remove(name)
        }
    }

    private static func recording(
        in directory: DataDirectory, reports: inout [String]
    ) throws(SyscallError) -> RecordingFile {
        guard let bytes = try DataDirectory.contents(of: "recording.json", in: directory.root, limit: Limits.factBytes)
        else { return RecordingFile() }
        do {
            return try JSONCoding.decode(RecordingFile.self, from: bytes)
        } catch {
            reports.append("recording.json is damaged; whether to record is decided by the settings")
            return RecordingFile()
        }
    }

    /// Opens the log; the index is the catalogue's own concern.
    func openCatalogue(
        _ directory: DataDirectory, mint: FactMint, journal: Journal, incoming: IncomingShelf, view: ViewMode,
        bell: Bell, log: Log, incidents: StoreIncidents
    ) throws(StoreError) -> Catalogue {
        try Catalogue(
            lane: lane, directory: directory, mint: mint, journal: journal, incoming: incoming, view: view, bell: bell,
            log: log, incidents: incidents)
    }
}
