internal import Model
package import Reactor
package import Replication

/// Looks at the peers whenever something changed about them: tells the log of each change, and keeps the newest reports
/// for event streams.
package actor PeerWatch {
    /// What event streams tell; `version` grows with each change.
    struct News: Sendable {
        var version: Int64 = 0
        var peers: [PeerForm] = []
    }

    private let loop: EventLoop
    private let replicator: Replicator
    private let log: Log
    private var chronicle = PeerChronicle()
    private let growth: GrowthWatch
    private nonisolated let newest = Locked(News())

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package init(on loop: EventLoop, replicator: Replicator, growth: GrowthWatch, log: Log) {
        self.loop = loop
        self.growth = growth
        self.replicator = replicator
        self.log = log
    }

    nonisolated var news: News { newest.withLock { $0 } }

    /// Until its task is cancelled.
    package func run() async throws {
        for await _ in replicator.changes() {
            let began = SystemClock.monotonic()
            await look(now: began)
            // A report looks through all that is wanted: with a large backlog that is work, and takes a small share of
            // the time.
            let cost = began.duration(to: SystemClock.monotonic())
            try await loop.sleep(for: max(Limits.statusEventInterval, cost * 50))
        }
    }

    func look(now: MonotonicTime) async {
        let reports = await replicator.reports()
        let (lines, isNews) = chronicle.take(reports, now: now)
        for line in lines {
            log.write(line.isTrouble ? .warning : .notice, line.text, line.fields.map { ($0.name, $0.value) })
        }
        guard isNews else { return }
        newest.withLock { news in
            news.version += 1
            news.peers = reports.map(PeerForm.init)
        }
        await growth.releaseAll()
    }
}
