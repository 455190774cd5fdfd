import Model
import Storage

/// An instrument and its recorder: rows that say themselves where they belong, committed, sealed and ended at random
/// moments. What fails is done again, as the real one does.
final class SimulatedRecorder: @unchecked Sendable {
    private let store: Store
    private let process: NodeProcess
    private var session: SessionID?
    private var streams: [StreamName] = []
    /// Number of the next row of each stream.
    private var next: [StreamName: Int64] = [:]
    /// What has been given to the store and not taken: given again, whole.
    private var pending: [RowBatch] = []
    /// Sessions of an earlier process that are still to be ended.
    private var abandoned: [SessionID] = []
    /// It is quiet, and nothing is open.
    private(set) var isSettled = false

    private var sim: Simulator { process.node.sim }
    private var ledger: Ledger { process.node.oracle.ledger }

    init(_ store: Store, _ process: NodeProcess) {
        self.store = store
        self.process = process
    }

    /// Until its task is cancelled.
    func run() async {
        await resume()
        while !Task.isCancelled {
            do {
                if process.node.oracle.isQuiet {
                    try await settle()
                    try await sim.sleep(.milliseconds(300))
                } else {
                    try await step()
                    try await sim.sleep(sim.seconds(0.05...2))
                }
            } catch is CancellationError {
                return
            } catch {
                sim.trace.note(sim.now, "node \(process.node.number): recorder: \(error)")
                do { try await sim.sleep(.milliseconds(300)) } catch { return }
            }
        }
    }

    /// Sessions of an earlier process: one goes on, the others end.
    private func resume() async {
        let open = await store.openSessions().sorted { $0.id < $1.id }
        guard let last = open.last else { return }
        abandoned = open.dropLast().map(\.id)
        session = last.id
        streams = last.opening.streams.map(\.name)
        for stream in streams { next[stream] = (last.totals[stream]?.rows ?? 0) + (last.lostRows[stream] ?? 0) }
    }

    private func step() async throws {
        guard pending.isEmpty else { return try await commit() }
        if let old = abandoned.last {
            _ = try await store.endSession(old, reason: SessionEnd.Reason.interrupted)
            abandoned.removeLast()
        }
        guard let session else { return try await begin() }
        switch sim.number(0...19) {
        case 0: try await end(session)
        case 1...5: try await seal(session)
        case 6:
            try await store.record(.marker(Marker(id: "m\(sim.now)", type: "note", text: "x", row: nil)), in: session)
        default:
            for stream in streams where sim.chance(0.7) { pending.append(batch(session, stream)) }
            try await commit()
        }
    }

    private func begin() async throws {
        let names: [StreamName] = [.data, .raw] + ["depth", "aux"].compactMap { StreamName($0) }
        let streams = Array(names.prefix(sim.number(1...names.count)))
        let id = SessionID(high: sim.random.next() & ~0xf000 | 0x4000, low: sim.random.next() >> 2 | 1 << 63)
        let mission = sim.pick(["north", "south"])
        let descriptions = streams.map { name in
            sim.chance(0.3)
                ? StreamDescription(name: name, format: .csv, columns: ["row", "value"])
                : StreamDescription(name: name, format: .jsonl, columns: [])
        }
        ledger.begins(id, mission: mission, streams: descriptions, by: process.node)
        _ = try await store.startSession(SessionOpening(mission: mission, streams: descriptions), id: id)
        self.streams = streams
        next = [:]
        session = id
    }

    private func batch(_ session: SessionID, _ stream: StreamName) -> RowBatch {
        let first = next[stream, default: 0]
        let count = sim.number(1...4)
        let size = sim.number(0...30) == 0 ? sim.number(20_000...120_000) : sim.number(0...400)
        var bytes: [UInt8] = []
        for row in first..<first + Int64(count) {
            bytes += Ledger.row(session, stream, row, salt: process.incarnation, size: size)
        }
        next[stream] = first + Int64(count)
        let at = ClockPair(process.node.reading())
        return RowBatch(session: session, stream: stream, bytes: bytes, rows: Int64(count), first: at, last: at)
    }

    private func commit() async throws {
        guard !pending.isEmpty else { return }
        let batches = pending
        _ = try await store.commit(batches)
        for batch in batches { ledger.committed(batch, by: process) }
        pending = []
    }

    private func seal(_ session: SessionID) async throws {
        let stream = sim.chance(0.5) ? nil : sim.pick(streams)
        for chunk in try await store.seal(session, stream) { process.node.oracle.sealed(chunk, by: process) }
    }

    private func end(_ session: SessionID) async throws {
        try await commit()
        _ = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        self.session = nil
    }

    /// Nothing is recorded any more: what is open is brought to an end or sealed.
    private func settle() async throws {
        while let old = abandoned.last {
            _ = try await store.endSession(old, reason: SessionEnd.Reason.interrupted)
            abandoned.removeLast()
        }
        guard let session, !isSettled else { return isSettled = true }
        try await commit()
        if sim.chance(0.5) { try await end(session) } else { _ = try await store.seal(session) }
        isSettled = true
    }
}
