internal import CLinux
internal import Glibc
internal import Model
package import Reactor

/// Keeps what arrives on all connections that are registered with it to one cap: measures them by the kernel's counts
/// and gives each its turn to ask and to read, as `ReadBudget` decides. Lives on the loop.
package actor ReadPacer {
    private struct Meter {
        let raw: Int32
        let addressBytes: Int64
        let kind: TrafficClass.Kind
        /// Ends the connection: its window is too wide to be called back.
        let cut: @Sendable () -> Void
        var wire: Int64 = 0
        var waiter: CheckedContinuation<Int, Never>?
        /// The connection has failed: nobody waits there any more.
        var isOver = false
    }

    /// How a cap stands.
    package struct Status: Hashable, Sendable {
        /// nil: none.
        package let cap: Int64?
        /// Ethernet bytes that arrived a second, over the last seconds; nil without a cap, when nobody counts them.
        package let bytesPerSecond: Int64?
    }

    private struct Shared {
        var cap: Int64?
        /// Counts changes from no cap to one and back: connections of an earlier mode are used no more.
        var mode = 0
    }

    private let loop: EventLoop
    private let shared: Locked<Shared>
    private var budget: ReadBudget
    private var meters: [Int: Meter] = [:]
    private var nextID = 0
    private var rate = RateMeter()
    private var measuredAt = MonotonicTime(nanoseconds: 0)
    private lazy var timer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.serve() } }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    package init(on loop: EventLoop, cap: Int64?) {
        self.loop = loop
        shared = Locked(Shared(cap: cap))
        budget = ReadBudget(cap: cap, now: SystemClock.monotonic())
    }

    isolated deinit {}

    // MARK: The cap

    /// Bytes a second; nil: none.
    package nonisolated var cap: Int64? { shared.withLock { $0.cap } }
    nonisolated var mode: Int { shared.withLock { $0.mode } }

    /// Holds from now on, for connections that are open too.
    package func setCap(_ cap: Int64?) {
        let old = budget.cap
        guard cap != old else { return }
        shared.withLock { shared in
            shared.cap = cap
            if (cap == nil) != (old == nil) { shared.mode += 1 }
        }
        measure(SystemClock.monotonic())
        budget.setCap(cap, now: SystemClock.monotonic())
        for (id, meter) in meters where meter.kind != .control {
            if old == nil {
                // What its peer may still send was promised before.
                close(id)
                meter.cut()
            } else {
                setWindow(id)
            }
        }
        serve()
    }

    package func status() -> Status {
        let now = SystemClock.monotonic()
        measure(now)
        return Status(cap: budget.cap, bytesPerSecond: budget.cap.map { _ in rate.bytesPerSecond(now: now) })
    }

    // MARK: Connections

    func open(_ raw: Int32, family: Int32, _ traffic: TrafficClass, cut: @escaping @Sendable () -> Void) -> Int {
        nextID += 1
        let isLong = family == AF_INET6
        meters[nextID] = Meter(
            raw: raw, addressBytes: isLong ? Limits.longAddressBytes : 0, kind: traffic.kind, cut: cut)
        budget.open(nextID, traffic)
        if traffic.kind != .control, budget.cap != nil {
            // The first buffer, set before the connect, keeps the window small for ever unless told otherwise.
            _ = qn_tcp_set_window_limit(raw, Int32.max / 2)
            setWindow(nextID)
        }
        return nextID
    }

    /// Before its socket is closed.
    func close(_ id: Int) {
        rate.add(measure(id), now: SystemClock.monotonic())
        budget.close(id)
        release(id)
        meters[id] = nil
    }

    /// Lets go whoever waits there: the connection has ended.
    func release(_ id: Int) {
        meters[id]?.isOver = true
        budget.withdraw(id)
        resume(id, with: 0)
    }

    /// Waits for the turn to send a request whose answer is about `expected` bytes.
    func request(_ id: Int, _ traffic: TrafficClass, expected: Int64?) async {
        _ = await turn(id) { budget, now in budget.wishRequest(id, traffic, expected: expected, now: now) }
    }

    /// Waits for the turn to read, and gives how much.
    func read(_ id: Int) async -> Int {
        await turn(id) { budget, now in budget.wishRead(id, now: now) }
    }

    func took(_ id: Int, _ count: Int) { budget.took(id, count) }
    func expect(_ id: Int, remaining: Int64?) { budget.expect(id, remaining: remaining) }
    func finish(_ id: Int) { budget.finish(id) }

    /// Nothing was there to read.
    func lacked(_ id: Int) {
        rate.add(measure(id), now: SystemClock.monotonic())
        if budget.lacked(id) { setWindow(id) }
    }

    // MARK: Turns

    private func turn(_ id: Int, _ wish: (inout ReadBudget, MonotonicTime) -> Void) async -> Int {
        guard let meter = meters[id], !meter.isOver else { return 0 }
        precondition(meter.waiter == nil, "one waits for a connection's turn")
        let now = SystemClock.monotonic()
        wish(&budget, now)
        return await withCheckedContinuation { continuation in
            meters[id]?.waiter = continuation
            serve()
        }
    }

    private func serve() {
        let now = SystemClock.monotonic()
        if measuredAt.duration(to: now) >= Limits.paceTick { measure(now) }
        budget.rise(to: now)
        while let grant = budget.next(now: now) { resume(grant.flow, with: grant.bytes) }
        guard budget.isWaiting else { return }
        timer.set(after: budget.wait(now: now))
    }

    private func resume(_ id: Int, with bytes: Int) {
        guard let waiter = meters[id]?.waiter else { return }
        meters[id]?.waiter = nil
        waiter.resume(returning: bytes)
    }

    // MARK: What the kernel counts

    private func measure(_ now: MonotonicTime) {
        // What came in a long pause does not tell how fast it comes now.
        let isRecent = measuredAt.duration(to: now) < Limits.statusEventInterval * 2
        measuredAt = now
        for id in meters.keys {
            let brought = measure(id)
            if isRecent { rate.add(brought, now: now) }
        }
    }

    /// Ethernet bytes since it was last looked at.
    private func measure(_ id: Int) -> Int64 {
        guard let meter = meters[id] else { return 0 }
        var figures = qn_tcp_figures()
        // A connection that does not tell has ended; its close is on the way.
        guard qn_tcp_figures(meter.raw, &figures) == 0 else { return 0 }
        let header =
            Limits.segmentOverheadBytes + meter.addressBytes + (figures.has_timestamps ? Limits.timestampBytes : 0)
        let wire = figures.bytes_received + figures.segments_received * header
        meters[id]?.wire = wire
        budget.measured(id, wire: wire, payload: figures.bytes_received)
        // Segments larger than Ethernet's, which came before there was a cap, or of a link that has them.
        let least = 2 * Int64(figures.segment_bytes)
        if meter.kind == .data, budget.cap != nil, least > budget.window(of: id) {
            budget.widen(id, to: least)
            setWindow(id)
        }
        return wire - meter.wire
    }

    private func setWindow(_ id: Int) {
        guard let meter = meters[id], meter.kind != .control else { return }
        let bytes =
            switch (budget.cap, meter.kind) {
            case (nil, _): Limits.openWindow
            case (_, .live): max(Limits.pacedWindow.upperBound, budget.window(of: id))
            case (_, _): budget.window(of: id)
            }
        SocketCalls.setReceiveBuffer(meter.raw, to: bytes)
    }
}
