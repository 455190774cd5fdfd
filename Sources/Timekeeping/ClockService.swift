package import Model
package import Reactor

/// Compares this node's clocks with those of its connected peers. What is known of a peer outlives its connections; it
/// is kept while the process runs.
package actor ClockService {
    private let loop: EventLoop
    private let log: Log
    private let observer: (@Sendable (ClockReport) async -> Void)?
    private var tracks: [NodeID: Track] = [:]
    private var connectionCount = 0

    private struct Track {
        var estimator: ClockEstimator
        var exchanges: Int64 = 0
        var refused: Int64 = 0
        var failed: Int64 = 0
        var lastAt: ClockReading?
        var steps: [SeenStep] = []
        /// The connection that is asked now.
        var connection = 0
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// `observer` is told after each burst and after each exchange behind it.
    package init(loop: EventLoop, log: Log, observer: (@Sendable (ClockReport) async -> Void)? = nil) {
        self.loop = loop
        self.log = log
        self.observer = observer
    }

    /// Asks this peer for its time until the task is cancelled, or another connection to the same peer took over.
    package func keep(_ peer: NodeID, _ link: any ClockLink) async {
        connectionCount += 1
        let connection = connectionCount
        makeRoom(for: peer)
        tracks[peer, default: Track(estimator: ClockEstimator(ownBoot: SystemClock.bootID))].connection = connection
        var schedule = ExchangeSchedule()
        do {
            while tracks[peer]?.connection == connection {
                let succeeded = try await exchangeOnce(with: peer, link)
                let delay = succeeded ? schedule.succeeded() : schedule.failed()
                if !schedule.isInBurst, let observer, let report = report(of: peer) { await observer(report) }
                try await loop.sleep(for: delay)
            }
        } catch {
            // Cancelled: the connection is over.
        }
    }

    /// The peer whose last exchange is longest ago makes room.
    private func makeRoom(for peer: NodeID) {
        guard tracks[peer] == nil, tracks.count >= Limits.peers else { return }
        let oldest = tracks.min { ($0.value.lastAt?.boottime ?? 0) < ($1.value.lastAt?.boottime ?? 0) }
        if let oldest { tracks[oldest.key] = nil }
    }

    private func exchangeOnce(with peer: NodeID, _ link: any ClockLink) async throws(CancellationError) -> Bool {
        let exchange: ClockExchange
        do {
            exchange = try await withDeadline(link)
        } catch {
            if Task.isCancelled { throw CancellationError() }
            tracks[peer]?.failed += 1
            log.debug("no clock exchange", ("peer", peer.short), ("reason", "\(error)"))
            return false
        }
        return take(exchange, from: peer)
    }

    /// Late is as good as never: the bound would be as wide as the wait.
    private func withDeadline(_ link: any ClockLink) async throws -> ClockExchange {
        try await withThrowingTaskGroup(of: ClockExchange?.self) { group in
            defer { group.cancelAll() }
            let loop = self.loop
            group.addTask { try await link.exchange() }
            group.addTask {
                try await loop.sleep(for: Limits.clockExchangeTime)
                return nil
            }
            guard let first = try await group.next(), let exchange = first else { throw ClockRefusal.tooSlow }
            return exchange
        }
    }

    private func take(_ exchange: ClockExchange, from peer: NodeID) -> Bool {
        guard var track = tracks[peer] else { return false }
        defer { tracks[peer] = track }
        do {
            let change = try track.estimator.accept(exchange)
            track.exchanges += 1
            track.lastAt = ClockReading(
                realtime: exchange.received.realtime, boottime: exchange.received.boottime,
                bootID: SystemClock.bootID)
            track.steps = (track.steps + change.steps).suffix(Limits.clockStepsKept)
            for step in change.steps {
                log.notice(
                    "a clock was set", ("peer", peer.short), ("side", step.side.rawValue), ("size_ns", step.size))
            }
            if let restart = change.restart {
                log.notice("clock comparison starts anew", ("peer", peer.short), ("reason", restart.rawValue))
            }
            return true
        } catch {
            track.refused += 1
            log.warning("a clock answer is not believed", ("peer", peer.short), ("reason", "\(error)"))
            return false
        }
    }

    // MARK: Reports

    package func report(of peer: NodeID) -> ClockReport? {
        guard let track = tracks[peer] else { return nil }
        return ClockReport(
            peer: peer, estimate: track.estimator.estimate, driftPartsPerBillion: nil, exchanges: track.exchanges,
            refused: track.refused, failed: track.failed, lastAt: track.lastAt, peerBoot: track.estimator.peerBoot,
            steps: track.steps)
    }

    package func reports() -> [ClockReport] { tracks.keys.sorted().compactMap { report(of: $0) } }
}
