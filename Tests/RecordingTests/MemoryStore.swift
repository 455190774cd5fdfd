import Model
import Reactor
import Recording

@testable import Storage

/// A data directory in memory: what disks do, when tests say so.
actor MemoryStore: RecordingStore {
    struct Session {
        let opening: SessionOpening
        var streams: [StreamName: [UInt8]] = [:]
        var rows: [StreamName: Int64] = [:]
        var open: [StreamName: (index: Int64, bytes: Int64, rows: Int64, first: ClockPair)] = [:]
        var sealed: [StreamName: [Int64]] = [:]
        var end: SessionEnd?
        var facts: [Fact.Body] = []
    }

    nonisolated let incidents = StoreIncidents(log: .silent)
    private(set) var sessions: [SessionID: Session] = [:]
    private(set) var order: [SessionID] = []
    private(set) var commits: [[RowBatch]] = []
    private(set) var wish: RecordingWish?
    private let stoppedInBoot: BootID?
    private var found: [OpenSession] = []
    private var failure: StoreError?
    private var rowFailure: StoreError?
    private var held: [CheckedContinuation<Void, Never>]?
    private var heldSeals: [CheckedContinuation<Void, Never>]?
    private(set) var sealsBegun = 0
    private var waiters: [(test: @Sendable (isolated MemoryStore) -> Bool, done: CheckedContinuation<Void, Never>)] = []
    private var n: Int64 = 0

    init(wish: RecordingWish? = nil, stoppedInBoot: BootID? = nil, found: [OpenSession] = []) {
        self.stoppedInBoot = stoppedInBoot
        self.wish = wish
        self.found = found
        for session in found {
            sessions[session.id] = Session(opening: session.opening)
            order.append(session.id)
        }
    }

    // MARK: What tests do

    /// Everything fails from now on, or works again.
    func fail(_ error: StoreError?) { failure = error }
    /// Commits alone fail: a full disk whose reserve pays for facts.
    func failRows(_ error: StoreError?) { rowFailure = error }
    /// Commits wait until `release`.
    func hold() { held = [] }
    func release() {
        let waiting = held ?? []
        held = nil
        for continuation in waiting { continuation.resume() }
    }

    /// Until a commit waits.
    func waitHeld() async { await wait { $0.held?.isEmpty == false } }

    /// Seals wait until `releaseSeals`.
    func holdSeals() { heldSeals = [] }
    func releaseSeals() {
        let waiting = heldSeals ?? []
        heldSeals = nil
        for continuation in waiting { continuation.resume() }
    }

    func wait(until test: @escaping @Sendable (isolated MemoryStore) -> Bool) async {
        if test(self) { return }
        await withCheckedContinuation { waiters.append((test, $0)) }
    }

    private func changed() {
        let (done, waiting) = (waiters.filter { $0.test(self) }, waiters.filter { !$0.test(self) })
        waiters = waiting
        for waiter in done { waiter.done.resume() }
    }

    func text(_ session: SessionID, _ stream: StreamName) -> String {
        String(decoding: sessions[session]?.streams[stream] ?? [], as: UTF8.self)
    }
    func lines(_ session: SessionID, _ stream: StreamName) -> [String] {
        text(session, stream).split(separator: "\n").map(String.init)
    }
    func facts(_ session: SessionID) -> [Fact.Body] { sessions[session]?.facts ?? [] }
    func end(_ session: SessionID) -> SessionEnd? { sessions[session]?.end }
    var dataRows: Int64 { sessions.values.reduce(0) { $0 + ($1.rows[.data] ?? 0) } }

    // MARK: RecordingStore

    func startSession(_ opening: SessionOpening, id: SessionID) async throws(StoreError) -> SessionID {
        if let failure { throw failure }
        sessions[id] = Session(opening: opening)
        order.append(id)
        changed()
        return id
    }

    func commit(_ batches: [RowBatch]) async throws(StoreError) -> [OpenChunkState] {
        if held != nil {
            await withCheckedContinuation { continuation in
                if held == nil { continuation.resume() } else { held?.append(continuation) }
                changed()
            }
        }
        if let failure = failure ?? rowFailure { throw failure }
        commits.append(batches)
        var states: [OpenChunkState] = []
        for batch in batches {
            guard var session = sessions[batch.session] else { throw .unknownSession(batch.session) }
            session.streams[batch.stream, default: []] += batch.bytes
            session.rows[batch.stream, default: 0] += batch.rows
            let next = Int64(session.sealed[batch.stream]?.count ?? 0)
            var open = session.open[batch.stream] ?? (next, 0, 0, batch.first)
            open.bytes += Int64(batch.bytes.count)
            open.rows += batch.rows
            session.open[batch.stream] = open
            sessions[batch.session] = session
            states.append(
                OpenChunkState(
                    stream: batch.stream, index: open.index, bytes: open.bytes, rows: open.rows, first: open.first))
        }
        changed()
        return states
    }

    func seal(_ session: SessionID, _ stream: StreamName?) async throws(StoreError) -> [HeldChunk] {
        sealsBegun += 1
        changed()
        if let failure { throw failure }
        let closed = sessions[session]?.open.filter { stream == nil || $0.key == stream } ?? [:]
        for (name, open) in closed {
            sessions[session]?.open[name] = nil
            sessions[session]?.sealed[name, default: []].append(open.rows)
        }
        if heldSeals != nil { await withCheckedContinuation { heldSeals?.append($0) } }
        var sealed: [HeldChunk] = []
        for (name, open) in closed {
            let fact = ChunkFact(
                stream: name, index: open.index, sha256: ChunkID(String(repeating: "0", count: 64))!,
                bytes: open.bytes, rows: open.rows, firstRow: 0, first: open.first, last: open.first)
            sealed.append(
                HeldChunk(session: session, fact: fact, name: nextName(), seq: n, at: SystemClock.reading()))
        }
        changed()
        return sealed
    }

    func endSession(_ session: SessionID, reason: String) async throws(StoreError) -> SessionEnd {
        _ = try await seal(session, nil)
        let totals = (sessions[session]?.rows ?? [:]).map { ($0.description, SessionEnd.Totals(rows: $1)) }
        let end = SessionEnd(reason: reason, streams: Dictionary(uniqueKeysWithValues: totals))
        sessions[session]?.end = end
        changed()
        return end
    }

    func record(_ body: Fact.Body, in session: SessionID?) async throws(StoreError) -> RecordedFact {
        if let failure { throw failure }
        if let session { sessions[session]?.facts.append(body) }
        changed()
        return RecordedFact(
            fact: Fact(name: nextName(), session: session, at: SystemClock.reading(), body: body), bytes: [])
    }

    private func nextName() -> FactName {
        n += 1
        return FactName(
            author: NodeID(String(repeating: "0", count: 64))!, incarnation: Incarnation(word: 1), n: n)
    }

    func openSessions() async -> [OpenSession] { found }
    func setRecordingWish(_ wish: RecordingWish?) async throws(StoreError) {
        if let failure { throw failure }
        self.wish = wish
        changed()
    }
    func recordingWish() async -> RecordingWish? { wish }
    func recordingStoppedInBoot() async -> BootID? { stoppedInBoot }
}
