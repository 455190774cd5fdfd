package import Model
package import Reactor

/// Something that happened to a store and that a person should know of.
package struct StoreIncident: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The write-ahead log failed and goes on in a new segment.
        case walRenewed = "write_ahead_log_renewed"
        /// It should have gone on in a new segment and could not.
        case walKept = "write_ahead_log_kept"
        /// A chunk's file failed; its bytes were written to another.
        case chunkWrittenAnew = "chunk_written_anew"
        /// The log of facts failed and goes on in a new segment.
        case logRenewed = "log_renewed"
        case indexFailed = "index_failed"
        case indexBack = "index_back"
        /// Less is free than is to be kept free.
        case diskLow = "disk_low"
        /// A write found no room.
        case diskFull = "disk_full"
        case diskBack = "disk_back"
        /// The reserve was given up so that facts could be written.
        case reserveUsed = "reserve_used"
        /// The disk takes no rows; they wait in memory.
        case rowsWaiting = "rows_waiting"
        case rowsTaken = "rows_taken"
        /// More came than may wait.
        case rowsLost = "rows_lost"
        case factDropped = "fact_dropped"
        case damagedChunk = "damaged_chunk"
        case damagedLine = "damaged_line"
        /// What the start found and put in order.
        case recovered

        var level: Log.Level {
            switch self {
            case .diskBack, .rowsTaken, .indexBack: .notice
            case .diskLow, .walKept, .recovered, .reserveUsed: .warning
            case .walRenewed, .chunkWrittenAnew, .logRenewed, .indexFailed, .diskFull, .rowsWaiting, .rowsLost,
                .factDropped, .damagedChunk, .damagedLine:
                .error
            }
        }
    }

    /// `CLOCK_REALTIME`.
    package let at: Int64
    package let kind: Kind
    /// One sentence.
    package let text: String
}

/// How a store is: what stands against it now, how much room it has, and what happened since the start.
package struct StoreHealth: Hashable, Sendable {
    /// What may be wrong for a while.
    package enum Condition: String, Hashable, Sendable, CaseIterable {
        case rows, index
    }

    /// nil where nobody asked to keep any room.
    package var space: DiskSpace?
    /// One sentence each, for as long as it is so.
    package fileprivate(set) var standing: [Condition: String] = [:]
    package fileprivate(set) var counts: [StoreIncident.Kind: Int64] = [:]
    /// The last ones, the newest last.
    package fileprivate(set) var latest: [StoreIncident] = []
    /// Grows with each change.
    package fileprivate(set) var version: Int64 = 0

    package init() {}

    /// What is wrong now and what to do about it, one sentence each.
    package var troubles: [String] {
        [space?.trouble].compactMap { $0 } + Condition.allCases.compactMap { standing[$0] }
    }
}

/// Where the parts of a store tell what happened: counted by kind, the last of them kept, one line of the log each. May
/// be called on any thread and waits for nothing.
package final class StoreIncidents: Sendable {
    private let state = Locked(StoreHealth())
    private let bell = Bell()
    private let log: Log
    private let now: @Sendable () -> ClockReading

    package init(log: Log, now: @escaping @Sendable () -> ClockReading = SystemClock.reading) {
        self.log = log
        self.now = now
    }

    /// What has happened once.
    package func report(_ kind: StoreIncident.Kind, _ text: String) { note(kind, text) { _ in } }

    /// What is so from now on; nothing is told where it was so before.
    package func begin(_ condition: StoreHealth.Condition, _ kind: StoreIncident.Kind, _ text: String) {
        guard state.withLock({ $0.standing[condition] == nil }) else { return }
        note(kind, text) { $0.standing[condition] = text }
    }

    /// The end of it; nothing is told where it was not so.
    package func end(_ condition: StoreHealth.Condition, _ kind: StoreIncident.Kind, _ text: String) {
        guard state.withLock({ $0.standing[condition] != nil }) else { return }
        note(kind, text) { $0.standing[condition] = nil }
    }

    private func note(_ kind: StoreIncident.Kind, _ text: String, _ change: (inout StoreHealth) -> Void) {
        let incident = StoreIncident(at: now().realtime, kind: kind, text: text)
        let version = state.withLock { health in
            change(&health)
            health.counts[kind, default: 0] += 1
            health.latest.append(incident)
            if health.latest.count > Limits.incidentsKept { health.latest.removeFirst() }
            health.version += 1
            return health.version
        }
        log.write(kind.level, text, ("incident", kind.rawValue))
        bell.ring(at: version)
    }

    package var health: StoreHealth { state.withLock { $0 } }

    /// Rings when something was told, at least once after the call; never more than one ring waits.
    package func changes() -> AsyncStream<Void> { bell.listen() }

    func finish() { bell.finish() }
}
