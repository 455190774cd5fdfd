package import Model
package import Reactor
internal import Storage

/// Owns the recording: turns what an instrument gives into rows, makes them durable, seals chunks, and knows which
/// session they belong to. A disk that fails loses nothing that fits into its queue, and a gap tells of what did not.
package actor Recorder {
    /// The session that rows belong to.
    struct Running {
        let id: SessionID
        let opening: SessionOpening
        let isExplicit: Bool
        let startedAt: ClockReading
        let sealPolicy: SealPolicy
        let writer: RowWriter
        /// Number of the next row of stream `data`.
        var nextRow: Int64 = 0
        var rows: Int64 = 0
        var bytes: Int64 = 0
        var sealedChunks: Int64 = 0
        var openChunks: [StreamName: OpenChunkState] = [:]
        /// The gap that an earlier process left, until a row ends it.
        var restart: Gap?
    }

    struct PendingEnd {
        let session: SessionID
        let reason: String
        var waiter: CheckedContinuation<Result<SessionEnd, StoreError>, Never>?
    }

    private enum Lifecycle {
        case idle
        /// The second timer is for a call that does not return.
        case running(LoopTimer, LoopTimer)
    }

    let loop: EventLoop
    let log: Log
    let options: RecorderOptions
    let store: any RecordingStore
    let clock: @Sendable () -> ClockReading
    private var lifecycle = Lifecycle.idle

    var current: Running?
    /// A start is under way: the store was asked for a session.
    var isStarting = false
    /// The first row starts a recording; a stop ends that until the next start.
    var startsByItself: Bool
    /// What the next automatic session takes over from an interrupted one.
    var inherited: SessionOpening?
    var identity: InstrumentIdentity?
    /// Lines before a recording's first row: a banner, mostly.
    var preface: [ReceivedLine] = []

    var queue: RowQueue
    var facts: [(body: Fact.Body, session: SessionID)] = []
    var ends: [PendingEnd] = []
    var steps = ClockStepDetector()
    var commitDue: MonotonicTime?
    /// When the last commit was begun.
    var lastCommit: MonotonicTime?
    /// The session whose rows are being committed.
    var committing: SessionID?
    var isWritingFacts = false
    /// Rows are tried again then; facts do not wait for them, since they tell of what became of the rows.
    var rowsRetryAt: MonotonicTime?
    /// The same for facts, seals and ends.
    var retryAt: MonotonicTime?
    var rowTrouble: StoreError?
    var factTrouble: StoreError?
    /// Since when the disk has not answered.
    var commitBegan: MonotonicTime?
    var counts = (lost: Int64(0), steps: Int64(0), commits: Int64(0), failures: Int64(0))

    var history = ReadingHistory()
    var readers: [Int: AsyncStream<Void>.Continuation] = [:]
    var nextReader = 0

    private let rowBell: AsyncStream<Void>
    let ringRows: AsyncStream<Void>.Continuation
    private let factBell: AsyncStream<Void>
    let ringFacts: AsyncStream<Void>.Continuation

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package init(
        _ options: RecorderOptions, store: any RecordingStore, on loop: EventLoop, log: Log,
        clock: @escaping @Sendable () -> ClockReading = SystemClock.reading
    ) {
        self.loop = loop
        self.log = log
        self.options = options
        self.store = store
        self.clock = clock
        startsByItself = options.recordsByItself
        queue = RowQueue(byteLimit: options.queueBytes)
        (rowBell, ringRows) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        (factBell, ringFacts) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    isolated deinit {}

    // MARK: Running

    /// Records what `source` gives until cancelled; then what came is durable and sealed, and the session stays open.
    package func run(_ source: any InstrumentSource) async {
        guard case .idle = lifecycle else { return }
        lifecycle = .running(
            LoopTimer(on: loop) { [weak self] in self?.assumeIsolated { $0.ring() } },
            LoopTimer(on: loop) { [weak self] in self?.assumeIsolated { $0.noteStall() } })
        ring()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.consume(source) }
            group.addTask { await self.writeRows() }
            group.addTask { await self.writeFacts() }
        }
        await finish(source)
        lifecycle = .idle
    }

    private func consume(_ source: any InstrumentSource) async {
        for await _ in source.bell { await accept(await source.take()) }
    }

    private func writeRows() async {
        var bells = rowBell.makeAsyncIterator()
        while await bells.next(isolation: self) != nil { await writeDueRows() }
    }

    /// Apart from the rows: a seal syncs some ten times, and rows do not wait for that.
    private func writeFacts() async {
        var bells = factBell.makeAsyncIterator()
        while await bells.next(isolation: self) != nil { await writeDueFacts() }
    }

    /// An orderly stop: what the instrument gave so far is committed and sealed. One attempt: a disk that is broken
    /// must not keep the process from ending. Rows that are lost by that are told of.
    private func finish(_ source: any InstrumentSource) async {
        await accept(await source.take())
        (commitDue, rowsRetryAt, retryAt) = (SystemClock.monotonic(), nil, nil)
        await writeDueRows()
        await writeDueFacts()
        for loss in queue.abandon() { await tell(loss) }
        if let session = current?.id, factTrouble == nil { _ = await seal(session, nil) }
        for fact in facts {
            store.incidents.report(.factDropped, "a fact is dropped, the disk takes none: \(fact.body.kind)")
        }
        for end in ends { end.waiter?.resume(returning: .failure(.closed)) }
        ends = []
    }

    var isRunning: Bool { if case .running = lifecycle { true } else { false } }

    // MARK: Waking the writer

    func ring() {
        ringRows.yield()
        ringFacts.yield()
    }

    /// The writers look again when something is due: a commit, a retry, a seal, or the clock while a session runs. One
    /// that is at work looks again by itself.
    func setTimer() {
        guard case .running(let timer, _) = lifecycle else { return }
        let now = SystemClock.monotonic()
        var delays: [Duration] = []
        if committing == nil, let due = rowsRetryAt ?? commitDue { delays.append(now.duration(to: due)) }
        if current != nil { delays.append(.seconds(1)) }
        if let retryAt {
            delays.append(now.duration(to: retryAt))
        } else if !isWritingFacts, let current {
            if let due = current.sealPolicy.delay(until: current.openChunks.values, at: clock()) {
                delays.append(max(due, .milliseconds(1)))
            }
        }
        if let delay = delays.min() { timer.set(after: delay) } else { timer.cancel() }
    }

    /// A commit has begun, or has come back.
    func watchCommit(since began: MonotonicTime?) {
        commitBegan = began
        guard case .running(_, let timer) = lifecycle else { return }
        if began == nil { timer.cancel() } else { timer.set(after: options.stallNotice) }
    }
}
