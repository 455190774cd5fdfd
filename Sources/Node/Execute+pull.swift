internal import Gateway
internal import HTTP
internal import Model
internal import Reactor
internal import Replication
internal import Storage
internal import Timekeeping

extension PullOptions {
    /// Pulls what is missing now: through the running node, or by itself where none runs.
    func execute() -> Int32 {
        onLoop { loop in
            if let node = try await LocalNode.find(data, on: loop) {
                guard peers.isEmpty else {
                    throw NodeError("a node runs on \(data) and follows its own peers; name them there with --peer")
                }
                try refuseWhatANodeDecides(try await node.get(NodeStatusForm.self, "/v1/status").node.pull)
                _ = try await node.call(HTTPClientRequest(.post, "/v1/pull"))
                return try await watch(on: loop) { try await node.get(NodeStatusForm.self, "/v1/status").peers }
            }
            guard !peers.isEmpty else {
                throw NodeError("no node runs on \(data); start one, or say from where: qnode pull --from HOST:PORT")
            }
            return try await IdleStore.with(data, makesIt: true) { store in try await pull(into: store, on: loop) }
        }
    }

    /// A running node pulls what its own setting says.
    private func refuseWhatANodeDecides(_ pulls: String) throws {
        if pulls == PullChoice.none.description {
            throw NodeError(
                "the node on \(data) pulls nothing; start it with --pull all, or stop it and use qnode pull --from"
            )
        }
        if case .mission(let name) = what, pulls != name {
            throw NodeError("the node on \(data) pulls by its own setting (\(pulls)); start it with --pull \(name)")
        }
    }

    private func pull(into store: Store, on loop: EventLoop) async throws -> Int32 {
        let replicator = Replicator(
            store: store,
            dialing: HTTPPeerDialer(on: loop, node: store.node, pacer: ReadPacer(on: loop, cap: cap.bytesPerSecond)),
            follow: .everyone, pull: what.policy,
            venue: Venue(loop), log: Log(source: "qnode", level: .warning))
        await replicator.setEndpoints(peers)
        return try await withThrowingTaskGroup(of: Int32?.self) { group in
            group.addTask {
                await replicator.run()
                return nil
            }
            group.addTask { try await watch(on: loop) { await replicator.reports().map(PeerForm.init) } }
            defer { group.cancelAll() }
            while let next = try await group.next() { if let code = next { return code } }
            return 1
        }
    }

    /// Shows how far it is until nothing is behind, or the time is over.
    private func watch(
        on loop: EventLoop, _ peers: @escaping @Sendable () async throws -> [PeerForm]
    ) async throws -> Int32 {
        let start = SystemClock.monotonic()
        let bar = ProgressBar("pull", unit: .bytes, startedAt: start)
        let shows = TerminalStream.error.isTerminal && !json
        var first: Int64?
        while true {
            let reports = try await peers()
            let mirrored = reports.reduce(0) { $0 + $1.bytesMirrored }
            let base = first ?? mirrored
            first = base
            let behind = reports.reduce(0) { $0 + ($1.backlogBytes ?? 0) }
            let now = SystemClock.monotonic()
            if shows {
                let line = bar.text(done: mirrored - base, total: mirrored - base + behind, now: now, columns: 79)
                complain("\r" + line + "\u{1B}[K")
            }
            if isDone(reports) {
                if shows { complain("\r\u{1B}[K") }
                return summary(reports, bytes: mirrored - base)
            }
            if let timeout, start.duration(to: now) >= timeout { throw NodeError(shortfall(reports)) }
            try await loop.sleep(for: .milliseconds(200))
        }
    }

    /// Every connected peer is compared, and nothing is behind; those that were named are all connected.
    private func isDone(_ reports: [PeerForm]) -> Bool {
        let live = reports.filter { $0.state == "live" }
        let settling = reports.contains { $0.state == "greeting" || $0.state == "comparing" }
        return !live.isEmpty && live.count >= peers.count && !settling
            && live.allSatisfy { $0.backlogCount == 0 && $0.factsWaiting ?? 0 == 0 }
    }

    private func summary(_ reports: [PeerForm], bytes: Int64) -> Int32 {
        if json { return printed(jsonText(reports)) }
        let absent = reports.filter { $0.state != "live" && $0.state != "unfollowed" }
            .map { TerminalText.safe($0.name ?? $0.endpoint?.description ?? "?") }
        let rest = absent.isEmpty ? "" : "; not connected: \(absent.joined(separator: ", "))"
        return printed(
            "\(TerminalQuantity.bytes(bytes)) pulled; everything the connected peers have is here\(rest)\n")
    }

    private func shortfall(_ reports: [PeerForm]) -> String {
        let silent = reports.first { $0.behindForS == nil }
        if let silent {
            let address = silent.endpoint?.description ?? peers.first?.description ?? "the peer"
            return "\(address) was not reached in time: \(silent.lastError ?? "no answer"); is the node there running?"
        }
        let chunks = reports.reduce(0) { $0 + ($1.backlogCount ?? 0) }
        return "time is over and \(chunks) chunks are still to come; what came is safe, run it again"
    }
}
