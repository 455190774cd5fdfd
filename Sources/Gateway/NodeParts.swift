package import Discovery
package import Model
package import Reactor
package import Recording
package import Replication
package import Storage
package import Timekeeping

/// The parts of a node that its HTTP face speaks for.
package struct NodeParts: Sendable {
    package let identity: NodeProfile
    package let loop: EventLoop
    package let store: Store
    package let reader: ChunkReader
    package let growth: GrowthWatch
    package let replicator: Replicator
    package let peerWatch: PeerWatch
    package let clocks: ClockService
    package let discovery: DiscoveryService
    /// nil on a node without an instrument.
    package let recorder: Recorder?
    package let source: (any InstrumentSource)?
    package let startedAt: MonotonicTime
    /// Where the server listens, once it does.
    package let listening: Locked<[Endpoint]>
    package let caps: NodeCaps

    package init(
        identity: NodeProfile, loop: EventLoop, store: Store, reader: ChunkReader, growth: GrowthWatch,
        replicator: Replicator, peerWatch: PeerWatch, clocks: ClockService, discovery: DiscoveryService,
        recorder: Recorder?, source: (any InstrumentSource)?, startedAt: MonotonicTime,
        listening: Locked<[Endpoint]>, caps: NodeCaps? = nil
    ) {
        self.identity = identity
        self.loop = loop
        self.store = store
        self.reader = reader
        self.growth = growth
        self.replicator = replicator
        self.peerWatch = peerWatch
        self.clocks = clocks
        self.discovery = discovery
        self.recorder = recorder
        self.source = source
        self.startedAt = startedAt
        self.listening = listening
        self.caps = caps ?? NodeCaps(on: loop)
    }

    func status() async throws -> NodeStatusForm {
        let reports = await replicator.reports()
        return NodeStatusForm(
            node: NodeStatusForm.Node(
                id: identity.id, name: identity.name, role: identity.role, version: identity.version,
                epoch: store.incarnation, listen: listening.withLock { $0 },
                uptimeS: startedAt.duration(to: SystemClock.monotonic()).inSeconds,
                time: Timestamp.text(SystemClock.reading().realtime), pull: identity.pull),
            recording: await recordingForm(), instrument: await source?.status().form,
            store: StoreForm(
                path: store.path, try await store.summary(), store.health, now: SystemClock.reading().realtime),
            peers: reports.map(PeerForm.init),
            clocks: await clockForms(reports),
            discovery: DiscoveryForm(await discovery.status, await discovery.sightings), caps: await caps.form)
    }

    /// How the peers' clocks stand.
    package func clockForms() async throws -> [ClockReportForm] { await clockForms(await replicator.reports()) }

    private func clockForms(_ peers: [PeerReport]) async -> [ClockReportForm] {
        let roles = Dictionary(peers.compactMap { peer in peer.id.map { ($0, peer.role) } }) { first, _ in first }
        return await clocks.reports().map { report in
            ClockReportForm(report, own: identity.role, peer: roles[report.peer] ?? nil)
        }
    }

    private func recordingForm() async -> RecordingForm? {
        guard let recorder else { return nil }
        return RecordingForm(await recorder.status(), store: store)
    }

    func sessions() async throws -> [SessionForm] {
        try await store.sessionForms()
    }

    func session(_ id: SessionID) async throws -> SessionDetailForm {
        try await store.sessionForm(id)
    }
}

extension Store {
    /// All sessions as lists show them.
    package func sessionForms() async throws -> [SessionForm] {
        let copies = await copies()
        return try await sessions().map {
            SessionForm($0, copies, folder: folder(mission: $0.opening.mission, session: $0.id))
        }
    }

    /// One with its chunks and what is here of those that were not sealed.
    package func sessionForm(_ id: SessionID) async throws -> SessionDetailForm {
        let copies = await copies()
        let summary = try await session(id)
        let form = SessionForm(summary, copies, folder: folder(mission: summary.opening.mission, session: id))
        return SessionDetailForm(form, try await chunks(of: id), copies)
    }
}

extension InstrumentStatus {
    fileprivate var form: InstrumentForm { InstrumentForm(self) }
}
