internal import Discovery
package import Gateway
internal import HTTP
package import Model
package import Reactor
internal import Recording
internal import Replication
package import Storage
internal import Timekeeping

/// A node, composed and open: its store recovered, its port bound. `run` brings it to life.
package struct NodeRuntime: Sendable {
    package let parts: NodeParts
    private let configuration: NodeConfiguration
    private let server: HTTPServer
    private let discoveryLoop: EventLoop
    private let simulator: QSeriesSimulator?
    private let log: Log

    package var store: Store { parts.store }
    /// Where the node listens, with the port as bound.
    package var endpoints: [Endpoint] { parts.listening.withLock { $0 } }

    /// The threads of a node.
    package struct Threads: Sendable {
        package let loop: EventLoop
        /// Avahi's client waits for each answer of its daemon: mDNS has a loop of its own.
        package let discovery: EventLoop
        package let lanes: Store.Lanes

        package init() {
            loop = EventLoop(name: "loop")
            discovery = EventLoop(name: "discovery")
            lanes = Store.Lanes()
        }

        package func stop() {
            loop.stop()
            discovery.stop()
            lanes.stop()
        }
    }

    /// Makes the identity where there is none, recovers the store, and binds the port. Throws `NodeError`.
    package static func open(
        _ configuration: NodeConfiguration, on threads: Threads, log: Log
    ) async throws -> NodeRuntime {
        do {
            try Store.prepare(configuration.data)
            let identity = try identity(configuration)
            let store = try await Store.open(
                configuration.data, node: identity.node, incarnation: .random(), lanes: threads.lanes,
                view: configuration.view, minFree: configuration.minFree, log: log.named("store"), index: .meanwhile)
            do {
                return try await compose(configuration, store, threads, log)
            } catch {
                // What was opened is closed in order; the error that counts is the first.
                do { try await store.close() } catch { log.warning("the store did not close", ("reason", "\(error)")) }
                throw error
            }
        } catch {
            throw NodeError(error)
        }
    }

    /// The key is the first file that a new data directory gets: what is wrong with the directory shows there.
    private static func identity(_ configuration: NodeConfiguration) throws -> NodeIdentity {
        do {
            return try NodeIdentity.open(in: configuration.identity)
        } catch .system(_, let error) where configuration.identity.hasPrefix(configuration.data + "/") {
            throw Store.explain(error, path: configuration.data)
        }
    }

    private static func compose(
        _ configuration: NodeConfiguration, _ store: Store, _ threads: Threads, _ log: Log
    ) async throws -> NodeRuntime {
        let loop = threads.loop
        let gateway = Locked<Gateway?>(nil)
        let server = HTTPServer(on: loop, log: log.named("http")) { request in
            guard let gateway = gateway.withLock({ $0 }) else {
                return .error(.unavailable, code: "starting", detail: "the node is starting")
            }
            return await gateway.respond(request)
        }
        let endpoint = try await server.listen(on: configuration.listen)
        try await server.listen(onUnixSocket: LocalNode.socketPath(configuration.data))
        let instrument = try await Instrument.make(
            configuration.instrument, sensorID: configuration.sensorID, resolver: threads.lanes.scrub, on: loop,
            log: log)
        let recorder = instrument.map { _ in
            Recorder(configuration.recorderOptions, store: store, on: loop, log: log.named("recorder"))
        }
        let clocks = ClockService(loop: loop, log: log.named("clock"))
        let growth = GrowthWatch(on: loop, store: store)
        let caps = NodeCaps(
            on: loop, pull: configuration.cap.bytesPerSecond, serve: configuration.serveCap.bytesPerSecond)
        let replicator = replicator(configuration, store, clocks, caps, loop, log)
        let parts = NodeParts(
            identity: NodeProfile(
                id: store.node, name: configuration.name, role: configuration.role, version: Release.version,
                pull: configuration.pull.description),
            loop: loop, store: store, reader: ChunkReader(on: threads.lanes.scrub, pacer: caps.serve),
            growth: growth, replicator: replicator,
            peerWatch: PeerWatch(on: loop, replicator: replicator, growth: growth, log: log.named("peers")),
            clocks: clocks,
            discovery: discovery(configuration, store, port: endpoint.port, threads, log), recorder: recorder,
            source: instrument?.source, startedAt: SystemClock.monotonic(), listening: Locked([endpoint]), caps: caps)
        gateway.withLock { $0 = Gateway(parts, log: log) }
        return NodeRuntime(
            parts: parts, configuration: configuration, server: server,
            discoveryLoop: threads.discovery, simulator: instrument?.simulator, log: log)
    }

    private static func replicator(
        _ configuration: NodeConfiguration, _ store: Store, _ clocks: ClockService, _ caps: NodeCaps,
        _ loop: EventLoop, _ log: Log
    ) -> Replicator {
        Replicator(
            store: store,
            dialing: HTTPPeerDialer(
                on: loop, node: store.node, name: configuration.name, role: configuration.role, pacer: caps.pull),
            follow: configuration.role.followPolicy(pull: configuration.pull), pull: configuration.pull.policy,
            venue: Venue(loop), log: log.named("peers")
        ) { peer in
            let link = HTTPClockLink(on: loop, endpoint: peer.endpoint, pacer: caps.pull)
            await clocks.keep(peer.greeting.id, link)
            await link.close()
        }
    }

    private static func discovery(
        _ configuration: NodeConfiguration, _ store: Store, port: UInt16, _ threads: Threads, _ log: Log
    ) -> DiscoveryService {
        let advertisement = Advertisement(
            name: configuration.name, idPrefix: store.node.short, role: configuration.role, bootID: SystemClock.bootID,
            port: port)
        let mode: DiscoveryMode =
            switch configuration.discovery {
            case .auto: .auto
            case .daemon: .daemon
            case .embedded: .embedded
            case .off: .off
            }
        return DiscoveryService(
            loop: threads.discovery, advertisement: advertisement, mode: mode, interfaces: configuration.interfaces,
            log: log.named("mdns"))
    }
}

extension NodeConfiguration {
    fileprivate var recorderOptions: RecorderOptions {
        var options = RecorderOptions()
        options.recordsByItself = record
        options.mission = mission
        options.format = format
        options.sealPolicy = SealPolicy(interval: chunkInterval, size: chunkBytes)
        options.commitInterval = commitInterval
        return options
    }
}

// MARK: - Running

extension NodeRuntime {
    /// Runs until `stop` returns or a service fails; then the rows that came are sealed and the store is closed.
    package func run(until stop: @escaping @Sendable () async -> Void) async throws {
        await remember()
        await parts.replicator.setEndpoints(configuration.peers)
        await parts.recorder?.resume()
        log.notice(
            "the node runs", ("role", configuration.role.rawValue), ("id", store.node.short),
            ("listen", endpoints.map(\.description).joined(separator: ",")), ("data", store.path))
        let outcome: Result<Void, any Error>
        do {
            try await ServiceGroup(services).run(until: stop)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await keeping { try await savePeers() }
        await keeping { try await saveClocks() }
        try await store.close()
        log.notice("the node has stopped")
        try outcome.get()
    }

    /// In the order of their start; each stops when those behind it have.
    private var services: [any Service] {
        var services: [any Service] = [
            NamedService("index") { try await store.keepIndex { try await parts.loop.sleep(for: $0) } },
            NamedService("scrub") { try await store.scrub { try await parts.loop.sleep(for: $0) } },
            NamedService("log watch") { await parts.growth.run() },
            NamedService("disk and folder for people") { try await keepDisk() },
        ]
        if let simulator { services.append(NamedService("simulated sensor") { try await simulator.run() }) }
        if let recorder = parts.recorder, let source = parts.source {
            services.append(NamedService("recorder") { await recorder.run(source) })
            services.append(NamedService("instrument") { await source.run() })
        }
        services += [
            NamedService("replication") { await parts.replicator.run() },
            PatientService(
                "discovery", on: discoveryLoop, waiting: parts.loop, patience: Limits.goodbyeTime
            ) { await parts.discovery.run() },
            NamedService("peer watch") { try await parts.peerWatch.run() },
            NetworkService(on: parts.loop, replicator: parts.replicator, log: log.named("peers")),
            NamedService("sightings") { await followSightings() },
            NamedService("known peers") { await keepPeers() },
            NamedService("known clocks") { try await keepClocks() },
            NamedService("http") { await server.run() },
        ]
        return services
    }

    private func keepDisk() async throws {
        var next = SystemClock.monotonic().advanced(by: Limits.viewInterval)
        while true {
            try await parts.loop.sleep(for: min(Limits.newPartialInterval, Limits.freeSpaceInterval))
            await store.measureSpace()
            let isDue = SystemClock.monotonic() >= next
            await store.refreshView(isDue ? .due : .newPartials)
            if isDue { next = SystemClock.monotonic().advanced(by: Limits.viewInterval) }
        }
    }

    /// Discovery is a hint: whom it sees is dialled, and stays known when it is seen no more.
    private func followSightings() async {
        var known: Set<String> = []
        for await _ in await parts.discovery.changed() {
            let sightings = await parts.discovery.sightings
            for sighting in sightings { await parts.replicator.sighted(sighting) }
            let seen = Set(sightings.map(\.instance))
            for instance in known.subtracting(seen) { await parts.replicator.vanished(instance: instance) }
            known = seen
        }
    }

    // MARK: Known peers

    private func remember() async {
        do {
            await parts.replicator.remember(
                try await peerBook().entries.map { RememberedPeer(id: $0.id, role: $0.role, endpoint: $0.endpoint) })
        } catch {
            log.warning("the peers of earlier times are not known", ("reason", "\(error)"))
        }
    }

    private func peerBook() async throws -> PeerBook {
        guard let bytes = try await store.note(.peers) else { return PeerBook() }
        if let book = PeerBook(json: bytes) { return book }
        log.warning("peers.json cannot be understood and was set aside")
        try await store.setNoteAside(.peers)
        return PeerBook()
    }

    /// Whom the node meets is written down at once: after a power cut the next process may have nothing else to go by.
    private func keepPeers() async {
        var written: [RememberedPeer] = []
        for await _ in parts.replicator.changes() {
            let met = await parts.replicator.remembered()
            guard met != written else { continue }
            written = met
            await keeping { try await savePeers() }
        }
    }

    private func keepClocks() async throws {
        while true {
            try await parts.loop.sleep(for: Limits.clockNoteInterval)
            await keeping { try await saveClocks() }
        }
    }

    /// Neither note is worth more than a warning: both are made anew from whom the node meets.
    private func keeping(_ save: () async throws -> Void) async {
        do { try await save() } catch {
            log.warning("what is known of the peers could not be written", ("reason", "\(error)"))
        }
    }

    private func savePeers() async throws {
        var book = try await peerBook()
        let new = await parts.replicator.remembered().filter { book[$0.id]?.endpoint != $0.endpoint }
        // Reports look through all that is wanted: only where there is somebody to name.
        guard !new.isEmpty else { return }
        let names = Dictionary(
            await parts.replicator.reports().compactMap { report in report.id.map { ($0, report.name ?? "") } }
        ) { first, _ in first }
        for peer in new {
            book.remember(
                PeerBook.Entry(
                    id: peer.id, name: names[peer.id] ?? "", role: peer.role, endpoint: peer.endpoint,
                    at: SystemClock.reading().realtime))
        }
        try await store.setNote(.peers, try book.json())
    }

    private func saveClocks() async throws {
        let clocks = try await parts.clockForms()
        guard !clocks.isEmpty else { return }
        let bytes = WireJSON.encode(clocks)
        if try await store.note(.clocks) != bytes { try await store.setNote(.clocks, bytes) }
    }
}
