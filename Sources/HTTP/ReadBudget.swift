internal import Model

/// Decides which of many connections may ask for more bytes, and how many, so that what arrives on all of them together
/// keeps to a cap in Ethernet bytes a second.
///
/// What a peer may send is what counts: a connection's receive buffer is a promise that the peer may use at once. So
/// opening a window is what is granted: by a request (its answer fills the window), by reading (the peer sends as much
/// again), or by a larger buffer. What has arrived is measured and replaces what was reckoned.
struct ReadBudget: Sendable {
    typealias FlowID = Int

    private struct Flow {
        var traffic: TrafficClass
        /// Ethernet bytes that have arrived, and the payload in them.
        var wire: Int64 = 0
        var payload: Int64 = 0
        /// Payload taken from the socket, and what may be taken beyond it.
        var read: Int64 = 0
        var granted: Int64 = 0
        /// The receive buffer: so much may be on its way or unread.
        var window: Int64
        /// Where, in payload, the answer that was asked for ends.
        var end: Int64 = 0
        /// What had arrived when this answer was asked for, or the window last grew.
        var base: Int64 = 0
        /// What it has cost so far.
        var charged = 0.0
        var wish: Wish?
        var since = MonotonicTime(nanoseconds: 0)
        var servedAt = MonotonicTime(nanoseconds: 0)
    }

    private enum Wish { case request(expected: Int64), read }

    struct Grant: Hashable, Sendable {
        let flow: FlowID
        /// The most that may be read; for a request of no meaning.
        let bytes: Int
    }

    /// Bytes a second; nil: no cap.
    private(set) var cap: Int64?
    private var level: PaceLevel?
    /// What data may have although nothing is left, and since when it has had nothing else.
    private var share: PaceLevel?
    private var barredSince: MonotonicTime?
    private var flows: [FlowID: Flow] = [:]

    init(cap: Int64?, now: MonotonicTime) {
        self.cap = cap
        level = cap.map { PaceLevel(cap: $0, at: now) }
        share = cap.map { Self.share(of: $0, now) }
    }

    private static func share(of cap: Int64, _ now: MonotonicTime) -> PaceLevel {
        PaceLevel(cap: Int64(Double(cap) * Limits.dataShare), at: now)
    }

    /// From now on. What was promised under the old cap cannot be taken back; what is owed from then is forgotten.
    mutating func setCap(_ new: Int64?, now: MonotonicTime) {
        cap = new
        level = new.map { PaceLevel(cap: $0, at: now) }
        share = new.map { Self.share(of: $0, now) }
        barredSince = nil
        let window = initialWindow
        for (id, flow) in flows {
            var changed = flow
            changed.window = window
            changed.charged = cost(changed)
            flows[id] = changed
        }
    }

    /// The first window of a connection: a hundredth of a second or two, at least two segments.
    var initialWindow: Int64 {
        guard let level else { return 0 }
        return Int64(
            min(Double(Limits.pacedWindow.upperBound), max(Double(Limits.pacedWindow.lowerBound), level.slice)))
    }

    private var largestWindow: Int64 {
        max(initialWindow, Int64((level?.bytesPerSecond ?? 0) * Limits.pacedWindowTime.inSeconds))
    }

    // MARK: Connections

    mutating func open(_ id: FlowID, _ traffic: TrafficClass) {
        flows[id] = Flow(traffic: traffic, window: initialWindow)
    }

    mutating func close(_ id: FlowID) {
        guard let flow = flows.removeValue(forKey: id) else { return }
        // What was promised and did not come is free again.
        level?.spend(Double(flow.wire) - flow.charged)
    }

    var ids: [FlowID] { flows.keys.sorted() }
    func window(of id: FlowID) -> Int64 { flows[id]?.window ?? 0 }

    /// What the kernel has counted.
    mutating func measured(_ id: FlowID, wire: Int64, payload: Int64) {
        update(id) { flow in
            flow.wire = wire
            flow.payload = payload
        }
    }

    /// A window of at least this, as the peer's segments need.
    mutating func widen(_ id: FlowID, to least: Int64) { update(id) { $0.window = max($0.window, least) } }

    /// What the answer still has to bring, once its head is known; nil: nobody knows.
    mutating func expect(_ id: FlowID, remaining: Int64?) {
        update(id) { flow in flow.end = remaining.map { flow.read + $0 } ?? .max }
    }

    /// Nothing more is asked for. What came and was not measured yet stays reckoned.
    mutating func finish(_ id: FlowID) {
        update(id) { flow in
            flow.end = flow.read
            flow.granted = 0
            flow.wish = nil
        }
    }

    /// So much was read of what was granted.
    mutating func took(_ id: FlowID, _ count: Int) {
        update(id) { flow in
            flow.read += Int64(count)
            flow.granted = 0
        }
    }

    /// There was nothing to read. Whether the window grew: it was full on its way, and is what keeps the connection
    /// slow.
    mutating func lacked(_ id: FlowID) -> Bool {
        guard let flow = flows[id], case .data = flow.traffic, flow.window < largestWindow,
            flow.payload - flow.base >= flow.window / 2, flow.end > flow.read + flow.window
        else { return false }
        let largest = largestWindow
        update(id) { flow in
            flow.window = min(largest, flow.window + flow.window / 2)
            flow.base = flow.payload
        }
        return true
    }

    private mutating func update(_ id: FlowID, _ change: (inout Flow) -> Void) {
        guard var flow = flows[id] else { return }
        change(&flow)
        let cost = cost(flow)
        level?.spend(cost - flow.charged)
        if case .data = flow.traffic { share?.spend(cost - flow.charged) }
        flow.charged = cost
        flows[id] = flow
    }

    /// What has come, and what the peer was let to send and has not.
    private func cost(_ flow: Flow) -> Double {
        guard case .data = flow.traffic, cap != nil else { return Double(flow.wire) }
        let promised = max(0, Self.reach(flow, beyond: flow.granted) - flow.payload)
        return Double(flow.wire) + Double(promised) * Limits.wireShare
    }

    private static func reach(_ flow: Flow, beyond more: Int64) -> Int64 {
        min(flow.end, flow.read + more + flow.window)
    }

    // MARK: Turns

    mutating func wishRequest(_ id: FlowID, _ traffic: TrafficClass, expected: Int64?, now: MonotonicTime) {
        flows[id]?.traffic = traffic
        flows[id]?.wish = .request(expected: expected ?? .max)
        flows[id]?.since = now
    }

    mutating func wishRead(_ id: FlowID, now: MonotonicTime) {
        flows[id]?.wish = .read
        flows[id]?.since = now
    }

    mutating func withdraw(_ id: FlowID) { flows[id]?.wish = nil }

    /// Whether somebody waits.
    var isWaiting: Bool { flows.values.contains { $0.wish != nil } }

    /// Lets time pass. Call after what was measured was told.
    mutating func rise(to now: MonotonicTime) {
        level?.rise(to: now)
        level?.settle()
        share?.rise(to: now)
        share?.settle()
        if !flows.values.contains(where: Self.isBarrable) {
            barredSince = nil
        } else if barredSince == nil {
            barredSince = now
        }
    }

    /// Data that has to pay for what it asks.
    private static func isBarrable(_ flow: Flow) -> Bool {
        guard case .data = flow.traffic, flow.wish != nil else { return false }
        return !isFree(flow)
    }

    /// The next that has its turn; nil where nobody waits or all have to.
    mutating func next(now: MonotonicTime) -> Grant? {
        let waiting = flows.filter { $0.value.wish != nil && mayGo($0.value, now) }
        guard let (id, flow) = waiting.min(by: { isBefore($0.value, $1.value, now) }), let wish = flow.wish else {
            return nil
        }
        if Self.isBarrable(flow), let level, level.bytes > 0 { barredSince = nil }
        let bytes = level.map { Self.isFree(flow) ? Channel.pieceBytes : $0.grant } ?? Channel.pieceBytes
        update(id) { flow in
            flow.wish = nil
            flow.servedAt = now
            switch wish {
            case .request where flow.traffic.kind == .control: break
            case .request(let expected):
                flow.base = flow.read
                let (end, isBeyond) = flow.read.addingReportingOverflow(expected)
                flow.end = isBeyond ? .max : end
            case .read: flow.granted = Int64(bytes)
            }
        }
        return Grant(flow: id, bytes: bytes)
    }

    /// Until somebody's turn may come.
    func wait(now: MonotonicTime) -> Duration {
        guard let level else { return .zero }
        let isLive = flows.values.contains { $0.wish != nil && ($0.traffic == .live || $0.traffic == .facts) }
        return max(Limits.paceTick, min(Limits.paceTick * 10, level.time(until: isLive ? liveBound : 0)))
    }

    private var liveBound: Double { -(level?.bytesPerSecond ?? 0) * Limits.liveDebt.inSeconds }

    private func mayGo(_ flow: Flow, _ now: MonotonicTime) -> Bool {
        guard let level else { return true }
        return switch flow.traffic {
        case .control: true
        case .facts: level.bytes > liveBound || flow.since.duration(to: now) > Limits.starvation
        case .live: level.bytes > liveBound
        case .data: level.bytes > 0 || Self.isFree(flow) || isShareOpen(now)
        }
    }

    private func isShareOpen(_ now: MonotonicTime) -> Bool {
        guard let share, share.bytes > 0, let barredSince else { return false }
        return barredSince.duration(to: now) > Limits.starvation
    }

    /// What is read was paid for when it was asked for: all of it may be on its way already.
    private static func isFree(_ flow: Flow) -> Bool {
        guard case .data = flow.traffic, case .read = flow.wish else { return false }
        return flow.end <= flow.read + flow.window
    }

    private func isBefore(_ one: Flow, _ other: Flow, _ now: MonotonicTime) -> Bool {
        let (left, right) = (rank(one, now), rank(other, now))
        if left.place != right.place { return left.place < right.place }
        if left.priority != right.priority { return left.priority > right.priority }
        return one.servedAt < other.servedAt
    }

    private func rank(_ flow: Flow, _ now: MonotonicTime) -> (place: Int, priority: Int64) {
        switch flow.traffic {
        case .control, .facts: (0, 0)
        case .live: (1, 0)
        case .data(let priority):
            flow.since.duration(to: now) > Limits.starvation ? (2, 0) : (3, priority)
        }
    }
}
