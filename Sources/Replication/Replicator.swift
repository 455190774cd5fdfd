package import Model
package import Reactor
package import Storage

/// A peer that is connected and being followed.
package struct LivePeer: Sendable {
    package let greeting: PeerGreeting
    package let endpoint: Endpoint
    package let link: any PeerLink
}

/// What else is done with a peer for as long as it is connected, its clock compared for one. Cancelled when the
/// connection ends.
package typealias PeerCompanion = @Sendable (LivePeer) async -> Void

/// Whom a follower asks about the node it has met.
protocol FollowerRegistry: Sendable {
    func met(_ token: PeerDirectory.Token, _ greeting: PeerGreeting, at endpoint: Endpoint) async
        -> PeerDirectory.Verdict
    func left(_ token: PeerDirectory.Token) async
}

/// A peer as an earlier process knew it: kept by the node, so that it is found again where nothing is announced.
package struct RememberedPeer: Hashable, Sendable, Codable {
    package let id: NodeID
    package let role: Role?
    package let endpoint: Endpoint

    package init(id: NodeID, role: Role?, endpoint: Endpoint) {
        self.id = id
        self.role = role
        self.endpoint = endpoint
    }
}

/// Keeps this node's store and its peers' in step: follows those whom policy says, pulls what is wanted, and knows what
/// each said it holds.
package actor Replicator: FollowerRegistry {
    private let store: Store
    private let dialing: any PeerDialing
    private let venue: Venue
    private let log: Log
    private let companion: PeerCompanion?
    private let bell = ChangeBell()
    private let puller: ChunkPuller
    private let dials = DialDesk()
    private var network: LocalNetwork?
    private let tails: TailDesk
    private var directory: PeerDirectory
    private var followers: [PeerDirectory.Token: PeerFollower] = [:]
    private var acknowledgements: [NodeID: Acknowledgement] = [:]
    /// Followers that are to run, until the group takes them.
    private var starting: [PeerFollower] = []
    private let (starts, starter) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    private struct Acknowledgement {
        var holdings = AcknowledgedHoldings()
        var at: MonotonicTime
        /// What the peer calls itself, for people; nil where it never said.
        var name: String?
        var role: Role?
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe venue.executor.asUnownedSerialExecutor() }

    package init(
        store: Store, dialing: any PeerDialing, follow: FollowPolicy, pull: PullPolicy, venue: Venue, log: Log,
        companion: PeerCompanion? = nil
    ) {
        self.store = store
        self.dialing = dialing
        self.venue = venue
        self.log = log
        self.companion = companion
        tails = TailDesk(node: store.node, policy: pull)
        puller = ChunkPuller(store: store, policy: pull, venue: venue, bell: bell, log: log)
        directory = PeerDirectory(own: store.node, policy: follow)
    }

    /// Runs until its task is cancelled; once.
    package func run() async {
        // What is held here is not known before.
        await store.whenComplete()
        let puller = self.puller
        await withDiscardingTaskGroup { group in
            group.addTask { await puller.run() }
            group.addTask { await self.followLosses() }
            group.addTask { await self.followForgettings() }
            for await _ in starts {
                let followers = starting
                starting = []
                for follower in followers { group.addTask { await follower.run() } }
            }
            group.cancelAll()
        }
        followers = [:]
        starting = []
    }

    /// What is lost here is asked for at once.
    private func followLosses() async {
        for await _ in store.losses() { await puller.wake() }
    }

    /// What is known here no more is compared anew, on fresh links: what a peer sent before it does not send again.
    private func followForgettings() async {
        var isFirst = true
        for await _ in store.forgettings() {
            // It rings once at the beginning, when nobody is connected.
            if !isFirst { for follower in followers.values { await follower.compareAnew() } }
            isFirst = false
        }
    }

    // MARK: Whom to follow

    /// The addresses that a person named; replaces those named before.
    package func setEndpoints(_ endpoints: [Endpoint]) async {
        directory.configure(endpoints)
        await applyChanges()
    }

    /// What earlier processes knew.
    package func remember(_ peers: [RememberedPeer]) async {
        for peer in peers.prefix(Limits.peers) { directory.remember(peer.id, role: peer.role, at: peer.endpoint) }
        await applyChanges()
    }

    /// What the next process should know.
    package func remembered() -> [RememberedPeer] {
        directory.entries.keys.sorted().compactMap { token in
            guard let entry = directory.entries[token], let id = entry.id,
                let good = entry.addresses.first(where: \.wasGood)
            else { return nil }
            return RememberedPeer(id: id, role: entry.role, endpoint: good.endpoint)
        }
    }

    package func sighted(_ sighting: PeerSighting) async {
        directory.sighted(sighting, now: venue.now())
        await applyChanges()
    }

    package func vanished(instance: String) async {
        directory.vanished(instance: instance)
        await applyChanges()
    }

    func met(
        _ token: PeerDirectory.Token, _ greeting: PeerGreeting, at endpoint: Endpoint
    ) async -> PeerDirectory.Verdict {
        let verdict = directory.met(token, greeting, at: endpoint, now: venue.now())
        switch verdict {
        case .yourself: log.warning("a peer's address is this node's own", ("endpoint", endpoint))
        case .wrongIdentity(let expected):
            log.warning(
                "another node answers than expected", ("endpoint", endpoint), ("expected", expected.prefix(16)),
                ("found", greeting.id.short))
        case .follow, .duplicate, .unfollowed: break
        }
        await applyChanges()
        return verdict
    }

    func left(_ token: PeerDirectory.Token) { directory.left(token) }

    private func applyChanges() async {
        defer { bell.ring() }
        for change in directory.changes() {
            switch change {
            case .start(let token, let endpoints):
                let follower = PeerFollower(
                    token: token,
                    surroundings: PeerFollower.Surroundings(
                        store: store, puller: puller, tails: tails, dialing: dialing, dials: dials, registry: self,
                        venue: venue, bell: bell, log: log, companion: companion))
                followers[token] = follower
                await follower.setEndpoints(endpoints)
                starting.append(follower)
                starter.yield()
            case .setEndpoints(let token, let endpoints):
                log.info(
                    "a peer's addresses changed", ("peer", directory.entries[token]?.name ?? "unknown"),
                    ("endpoints", endpoints.map(\.description).joined(separator: " ")))
                await followers[token]?.setEndpoints(endpoints)
            case .stop(let token): await followers.removeValue(forKey: token)?.retire()
            case .meetAnew(let token): await followers[token]?.compareAnew()
            }
        }
    }

    /// How this host's interfaces are now: links that have lost theirs end at once, and everybody who is not there is
    /// dialled at once.
    package func networkChanged(to after: LocalNetwork) async {
        let before = network
        network = after
        guard let before, before != after else { return }
        for follower in followers.values { await follower.networkChanged(from: before, to: after) }
    }

    // MARK: What peers hold

    /// A peer stated what it holds: `POST /v1/have`. `needsWhole`: it should state everything once more.
    package func peerStated(
        _ peer: NodeID, _ statement: HoldingsStatement, name: String? = nil, role: Role? = nil
    ) -> AcknowledgedHoldings.Outcome {
        guard peer != store.node else { return .stale }
        if acknowledgements[peer] == nil, acknowledgements.count >= Limits.peers {
            // The one that has been silent for longest makes room; it states everything when it is back.
            let oldest = acknowledgements.min { $0.value.at < $1.value.at }
            if let oldest { acknowledgements[oldest.key] = nil }
        }
        acknowledgements[peer, default: Acknowledgement(at: venue.now())].at = venue.now()
        if let name { acknowledgements[peer]?.name = name }
        if let role { acknowledgements[peer]?.role = role }
        bell.ring()
        return acknowledgements[peer]?.holdings.take(statement) ?? .stale
    }

    /// What any peer said it holds: what is safe.
    package func acknowledged() -> Holdings {
        acknowledgements.values.reduce(into: Holdings()) { $0.formUnion($1.holdings.holdings) }
    }

    package func isAcknowledged(_ name: FactName) -> Bool {
        acknowledgements.values.contains { $0.holdings.holdings.contains(name) }
    }

    // MARK: Wishes

    package func setPullPolicy(_ policy: PullPolicy) async {
        tails.setPolicy(policy)
        await puller.setPolicy(policy)
    }

    /// Dials and looks at everything again now.
    package func requestPull() async {
        for follower in followers.values { await follower.hurry() }
        await puller.wake()
    }

    // MARK: Reports

    /// How live copies of each author's open chunks stand.
    package nonisolated var tailReports: [NodeID: TailReport] { tails.reports }

    /// Rings when a report may say something else, at least once after the call; never more than one ring waits.
    package nonisolated func changes() -> AsyncStream<Void> { bell.listen() }

    package func reports() async -> [PeerReport] {
        // In this order: what a peer that is live had until then is heard of when the backlogs are looked up.
        var standings: [PeerDirectory.Token: PeerReport] = [:]
        for (token, follower) in followers { standings[token] = await follower.report() }
        var backlogs: [NodeID: PeerReport.Backlog] = [:]
        do { backlogs = try await puller.backlogs() } catch {
            log.warning("cannot tell the backlog", ("error", error))
        }
        // While the index is made, nobody can say what is not acknowledged.
        let own = (try? await store.holdings())?.holdings.filtered { $0 == store.node } ?? Holdings()
        var reports: [PeerReport] = []
        var reported: Set<NodeID> = []
        for token in directory.entries.keys.sorted() {
            guard let entry = directory.entries[token] else { continue }
            var report: PeerReport
            if let standing = standings[token] {
                report = standing
            } else {
                report = await followers[token]?.report() ?? PeerReport(state: .unfollowed)
            }
            report.id = entry.id
            report.role = entry.role
            report.name = entry.name
            if report.endpoint == nil { report.endpoint = entry.endpoints.first }
            if let id = entry.id {
                reported.insert(id)
                report.add(await puller.tally(of: id), now: venue.now())
                report.pullPause = await puller.pause(of: id)
                report.backlog = backlogs[id]
                report.add(tailReports[id], now: venue.now())
                addAcknowledgement(of: id, own: own, to: &report)
            }
            reports.append(report)
        }
        for peer in acknowledgements.keys.sorted() where !reported.contains(peer) {
            var report = PeerReport(state: .unfollowed)
            report.id = peer
            addAcknowledgement(of: peer, own: own, to: &report)
            reports.append(report)
        }
        return reports
    }

    private func addAcknowledgement(of peer: NodeID, own: Holdings, to report: inout PeerReport) {
        guard let acknowledgement = acknowledgements[peer] else { return }
        report.name = report.name ?? acknowledgement.name
        report.role = report.role ?? acknowledgement.role
        report.unacknowledged = own.subtracting(acknowledgement.holdings.holdings).count
        let silence = acknowledgement.at.duration(to: venue.now())
        report.silence = min(report.silence ?? silence, silence)
    }
}
