package import Model
package import Replication
package import Storage
package import Timekeeping

/// One peer in `status` and `peers`; the older topside service's counters under their names.
package struct PeerForm: Codable, Sendable {
    package let id: NodeID?
    package let name: String?
    package let role: Role?
    package let version: String?
    package let state: String
    package let endpoint: Endpoint?
    package let silenceS: Double?
    /// Chunks to be fetched; nil where that is not known.
    package let backlogCount: Int64?
    package let backlogBytes: Int64?
    /// Facts of it that are heard of and not taken yet.
    package let factsWaiting: Int64?
    package let behindForS: Double?
    /// How its open chunks are followed, `open` or `awaited`; nil where they are not to be.
    package let tail: String?
    /// For how long something that it committed may be missing here; nil where nobody can say.
    package let lagS: Double?
    /// Its chunks that grow here as they grow there.
    package let growingChunks: Int
    package let bytesPerS: Int64
    /// How long the backlog takes at that rate; nil where there is none, or nothing moves.
    package let timeToDoneS: Double?
    package let bytesMirrored: Int64
    package let chunksDownloaded: Int64
    package let lastSyncTimestamp: String?
    package let errorCount: Int64
    package let errors: [String: Int64]
    package let lastError: String?
    /// Facts of this node that the peer has not stated to hold; nil where it stated nothing.
    package let unacknowledged: Int64?
    /// Why nothing is fetched from it for now.
    package let pullPaused: String?

    package init(_ report: PeerReport) {
        id = report.id
        name = report.name
        role = report.role
        version = report.version
        state = report.state.rawValue
        endpoint = report.endpoint
        silenceS = report.silence?.inSeconds
        backlogCount = report.backlog?.chunks
        backlogBytes = report.backlog?.bytes
        factsWaiting = report.factsWaiting
        tail = report.tail?.rawValue
        behindForS = report.behindFor?.inSeconds
        lagS = report.lag?.inSeconds
        growingChunks = report.growingChunks
        bytesPerS = report.bytesPerSecond
        timeToDoneS = report.timeToDone?.inSeconds
        bytesMirrored = report.bytesMirrored
        chunksDownloaded = report.chunksDownloaded
        lastSyncTimestamp = report.lastSync.map { Timestamp.text($0) }
        errorCount = report.faults.total
        errors = Dictionary(uniqueKeysWithValues: report.faults.counts.map { ($0.key.rawValue, $0.value) })
        lastError = report.lastFault
        unacknowledged = report.unacknowledged
        pullPaused = report.pullPause
    }

    enum CodingKeys: String, CodingKey {
        case id, name, role, version, state, endpoint, tail, errors, unacknowledged
        case silenceS = "silence_s"
        case backlogCount = "backlog_count"
        case backlogBytes = "backlog_bytes"
        case factsWaiting = "facts_waiting"
        case behindForS = "behind_for_s"
        case lagS = "lag_s"
        case growingChunks = "growing_chunks"
        case bytesPerS = "bytes_per_s"
        case timeToDoneS = "time_to_done_s"
        case bytesMirrored = "bytes_mirrored"
        case chunksDownloaded = "chunks_downloaded"
        case lastSyncTimestamp = "last_sync_timestamp"
        case errorCount = "error_count"
        case lastError = "last_error"
        case pullPaused = "pull_paused"
    }
}

/// A peer's clock against this node's. Times in seconds, and exactly as nanoseconds.
package struct ClockReportForm: Codable, Sendable {
    package let peer: NodeID
    /// peer − self.
    package let offsetNs: DecimalInt64?
    package let boundNs: DecimalInt64?
    package let delayNs: DecimalInt64?
    /// For the files of older tools: vehicle − topside; nil between nodes of one role.
    package let vehicleMinusTopsideNs: DecimalInt64?
    package let exchanges: Int64
    package let failed: Int64
    package let refused: Int64
    package let lastAt: String?
    package let peerBoot: BootID?
    package let steps: Int

    package init(_ report: ClockReport, own: Role, peer role: Role?) {
        peer = report.peer
        offsetNs = report.estimate.map { DecimalInt64($0.offset) }
        boundNs = report.estimate.map { DecimalInt64($0.bound) }
        delayNs = report.estimate.map { DecimalInt64($0.delay) }
        vehicleMinusTopsideNs =
            role == nil || role == own
            ? nil : report.estimate.map { DecimalInt64(own == .topside ? $0.offset : -$0.offset) }
        exchanges = report.exchanges
        failed = report.failed
        refused = report.refused
        lastAt = report.lastAt.map { Timestamp.text($0.realtime) }
        peerBoot = report.peerBoot
        steps = report.steps.count
    }

    enum CodingKeys: String, CodingKey {
        case peer, exchanges, failed, refused, steps
        case offsetNs = "offset_ns"
        case boundNs = "bound_ns"
        case delayNs = "delay_ns"
        case vehicleMinusTopsideNs = "vehicle_minus_topside_ns"
        case lastAt = "last_at"
        case peerBoot = "peer_boot_id"
    }
}

/// What the data directory holds.
package struct StoreForm: Codable, Sendable {
    package let path: String
    package let sessions: Int64
    package let chunks: Int64
    /// Of stream `data`, as `rows` is; the others carry the raw lines.
    package let dataChunks: Int64
    package let chunkBytes: Int64
    package let rows: Int64
    package let facts: Int64
    package let wanted: Int64
    /// Live copies of other nodes' open chunks.
    package let copies: Int64
    package let quarantined: Int64
    package let freeBytes: Int64
    /// Seconds since the held byte that was not read for longest was last read; nil where nothing is held.
    package let oldestReadAgeS: Double?
    /// How much of the log the index covers, from 0 to 1, while the counts are not known; nil where they are.
    package let indexed: Double?
    package let health: StoreHealthForm

    package init(path: String, _ summary: StoreSummary, _ health: StoreHealth, now: Int64) {
        self.path = path
        self.health = StoreHealthForm(health)
        sessions = summary.sessions
        chunks = summary.chunks
        dataChunks = summary.dataChunks
        chunkBytes = summary.chunkBytes
        rows = summary.rows
        facts = summary.facts
        wanted = summary.wanted
        copies = summary.copies
        quarantined = summary.quarantined
        freeBytes = summary.freeBytes
        oldestReadAgeS = summary.oldestRead.map {
            Double(max(0, now.subtractingReportingOverflow($0).partialValue)) / 1e9
        }
        indexed = summary.indexed
    }

    enum CodingKeys: String, CodingKey {
        case path, sessions, chunks, rows, facts, wanted, copies, quarantined, indexed, health
        case oldestReadAgeS = "oldest_read_age_s"
        case dataChunks = "data_chunks"
        case chunkBytes = "chunk_bytes"
        case freeBytes = "free_bytes"
    }
}
