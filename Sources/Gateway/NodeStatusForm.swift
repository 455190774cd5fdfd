package import Discovery
package import Model
package import Recording
package import Storage

/// Everything about a node: `GET /v1/status`.
package struct NodeStatusForm: Codable, Sendable {
    package struct Node: Codable, Sendable {
        package let id: NodeID
        package let name: String
        package let role: Role
        package let version: String
        package let epoch: Incarnation
        package let listen: [Endpoint]
        package let uptimeS: Double
        package let time: String
        /// What is fetched from peers: `all`, `none`, or a mission.
        package let pull: String

        enum CodingKeys: String, CodingKey {
            case id, name, role, version, epoch, listen, time, pull
            case uptimeS = "uptime_s"
        }
    }

    package let node: Node
    /// nil on a node without an instrument.
    package let recording: RecordingForm?
    package let instrument: InstrumentForm?
    package let store: StoreForm
    package let peers: [PeerForm]
    package let clocks: [ClockReportForm]
    package let discovery: DiscoveryForm
    /// nil from a node of an earlier release.
    package let caps: CapsForm?
}

/// The recorder: `recording` in `status`.
package struct RecordingForm: Codable, Sendable {
    package let isRecording: Bool
    package let session: SessionID?
    package let mission: String?
    /// Somebody started it; an automatic recording gives way.
    package let explicit: Bool?
    package let startedAt: String?
    package let rows: Int64
    package let bytes: Int64
    package let sealedChunks: Int64
    package let openChunkRows: Int64
    package let rowsPerS: Double
    package let queuedRows: Int64
    package let rowsLost: Int64
    package let lastRowAt: String?
    package let trouble: String?
    /// The session's folder for people, and the file of it that is growing now.
    package let folder: String?
    package let growingFile: String?

    package init(_ status: RecorderStatus, store: Store) {
        let running = status.running
        isRecording = running != nil
        session = running?.session
        mission = running?.opening.mission
        explicit = running?.isExplicit
        startedAt = running.map { Timestamp.text($0.startedAt.realtime) }
        rows = running?.rows ?? 0
        bytes = running?.bytes ?? 0
        sealedChunks = running?.sealedChunks ?? 0
        openChunkRows = running?.openChunk?.rows ?? 0
        rowsPerS = status.rowsPerSecond
        queuedRows = status.queuedRows
        rowsLost = status.rowsLost
        lastRowAt = status.lastRowAt.map { Timestamp.text($0.realtime) }
        trouble = status.trouble
        let folder = running.map { store.folder(mission: $0.opening.mission, session: $0.session) }
        self.folder = folder
        growingFile = running.flatMap { running in
            guard let folder, let chunk = running.openChunk,
                let stream = running.opening.streams.first(where: { $0.name == chunk.stream })
            else { return nil }
            return folder + "/" + Store.partialName(stream, chunk.index)
        }
    }

    enum CodingKeys: String, CodingKey {
        case session, mission, explicit, rows, bytes, trouble, folder
        case isRecording = "is_recording"
        case startedAt = "started_at"
        case sealedChunks = "sealed_chunks"
        case openChunkRows = "open_chunk_rows"
        case rowsPerS = "rows_per_s"
        case queuedRows = "queued_rows"
        case rowsLost = "rows_lost"
        case lastRowAt = "last_row_at"
        case growingFile = "growing_file"
    }
}

/// The instrument: `instrument` in `status`.
package struct InstrumentForm: Codable, Sendable {
    package let state: String
    package let sensorID: String?
    package let port: String?
    package let baud: Int?
    package let model: String?
    package let firmware: String?
    package let trouble: String?
    package let periodS: Double?
    package let lines: Int64
    package let rows: Int64
    package let resets: Int64
    package let recoveries: Int64
    package let rejected: [String: Int64]
    package let offLattice: Int64

    package init(_ status: InstrumentStatus) {
        state = status.state.rawValue
        sensorID = status.identity?.sensorID
        port = status.port
        baud = status.baud
        model = status.model
        firmware = status.firmware
        trouble = status.trouble
        periodS = status.period?.inSeconds
        lines = status.lines
        rows = status.rows
        resets = status.resets
        recoveries = status.recoveries
        rejected = Dictionary(uniqueKeysWithValues: status.rejected.map { ($0.key.rawValue, $0.value) })
        offLattice = status.offLattice
    }

    enum CodingKeys: String, CodingKey {
        case state, port, baud, model, firmware, trouble, lines, rows, resets, recoveries, rejected
        case sensorID = "sensor_id"
        case periodS = "period_s"
        case offLattice = "off_lattice"
    }
}

/// Discovery: `discovery` in `status`.
package struct DiscoveryForm: Codable, Sendable {
    package let mode: String
    package let responder: String
    package let reason: String
    package let announcedAs: String?
    package let fault: String?
    package let seen: [String]

    package init(_ status: DiscoveryStatus, _ sightings: [PeerSighting]) {
        mode = status.mode.rawValue
        responder = status.responder.rawValue
        reason = status.reason
        announcedAs = status.announcedAs
        fault = status.fault
        seen = sightings.map { sighting in
            let addresses = sighting.endpoints.map(\.description).joined(separator: ", ")
            return "\(sighting.instance) (\(addresses))"
        }
    }

    enum CodingKeys: String, CodingKey {
        case mode, responder, reason, fault, seen
        case announcedAs = "announced_as"
    }
}
