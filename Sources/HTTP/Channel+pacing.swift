internal import CLibevent
internal import CLinux
internal import Glibc
internal import Model
internal import Reactor

/// Which cap a connection that is about to be opened counts against.
struct Pacing: Sendable {
    let pacer: ReadPacer
    let traffic: TrafficClass

    /// Before the connect: the first window that a connection offers cannot be taken back.
    func prepare(_ raw: Int32, family: Int32) throws(SyscallError) {
        guard family != AF_UNIX, traffic.kind != .control, let cap = pacer.cap else { return }
        let code = qn_tcp_set_segment_limit(raw, Int32(Limits.pacedSegmentBytes))
        guard code == 0 else { throw SyscallError("setsockopt", code: code) }
        let window = ReadBudget(cap: cap, now: SystemClock.monotonic()).initialWindow
        // At its upper bound the kernel's own first window is as good, and scales.
        if traffic.kind == .data, window < Limits.pacedWindow.upperBound {
            SocketCalls.setReceiveBuffer(raw, to: window)
        }
    }
}

/// A connection's place in a `ReadPacer`.
struct PacedFlow {
    let pacer: ReadPacer
    let id: Int
    let kind: TrafficClass.Kind
    let mode: Int

    /// Whether its reads wait for their turn now.
    var isHeld: Bool { kind != .control && pacer.cap != nil }
    /// Opened while there was a cap as there is now, or none as now.
    var isCurrent: Bool { kind == .control || mode == pacer.mode }

    func lacked() { pacer.assumeIsolated { $0.lacked(id) } }
    func release() { pacer.assumeIsolated { $0.release(id) } }
}

extension Channel {
    func join(_ pacing: Pacing, family: Int32) {
        guard family != AF_UNIX, event != nil else { return }
        let mode = pacing.pacer.mode
        let id = pacing.pacer.assumeIsolated { pacer in
            pacer.open(raw, family: family, pacing.traffic) { [weak self] in self?.cut(.closed) }
        }
        flow = PacedFlow(pacer: pacing.pacer, id: id, kind: pacing.traffic.kind, mode: mode)
        if flow?.isHeld == true { pauseReading() }
    }

    /// Before the socket is closed: what it brought is counted to the end.
    func leavePacer() {
        guard let flow else { return }
        self.flow = nil
        flow.pacer.assumeIsolated { $0.close(flow.id) }
    }

    /// Waits until a request may be sent.
    func askTurn(_ traffic: TrafficClass, expected: Int64?, telling onTurn: (@Sendable (Bool) -> Void)?) async {
        self.onTurn = onTurn
        guard let flow, failure == nil, traffic != .control, flow.pacer.cap != nil else { return }
        precondition(traffic.kind == flow.kind, "each class has its own connections")
        if flow.isHeld { pauseReading() }
        onTurn?(true)
        await flow.pacer.request(flow.id, traffic, expected: expected)
        onTurn?(false)
    }

    func expect(remaining: Int64?) {
        guard let flow, flow.isHeld else { return }
        flow.pacer.assumeIsolated { $0.expect(flow.id, remaining: remaining) }
    }

    func endTurns() {
        onTurn = nil
        guard let flow, flow.isHeld else { return }
        flow.pacer.assumeIsolated { $0.finish(flow.id) }
    }

    /// As `read(by:)`, a slice at a time. Waiting for a turn is not the peer's fault: the deadline moves with it.
    func read(by deadline: MonotonicTime, asGrantedBy flow: PacedFlow) async throws(ChannelFailure) -> [UInt8]? {
        let asked = SystemClock.monotonic()
        onTurn?(true)
        let granted = await flow.pacer.read(flow.id)
        onTurn?(false)
        let waited = asked.duration(to: SystemClock.monotonic())
        if let bytes = try takeSlice(granted, flow) { return bytes }
        if inputEnded { return nil }
        timersUsed = true
        readTimer.set(after: SystemClock.monotonic().duration(to: deadline.advanced(by: waited)))
        defer { cancelReadDeadline() }
        while true {
            flow.lacked()
            // Only while somebody waits for it: what libevent reads by itself opens the window as well.
            if let event { bufferevent_set_max_single_read(event, max(1, granted)) }
            isReadLimited = true
            resumeReading()
            try await inputEvent()
            if let bytes = try takeSlice(granted, flow) { return bytes }
            if inputEnded { return nil }
        }
    }

    /// No cap holds this any more.
    func liftReadLimit() {
        guard isReadLimited, let event else { return }
        isReadLimited = false
        bufferevent_set_max_single_read(event, Self.pieceBytes)
    }

    private func takeSlice(_ granted: Int, _ flow: PacedFlow) throws(ChannelFailure) -> [UInt8]? {
        if granted == 0, let failure { throw failure }
        guard let bytes = try take(granted: max(1, granted)) else { return nil }
        flow.pacer.assumeIsolated { $0.took(flow.id, bytes.count) }
        if failure == nil { pauseReading() }
        return bytes
    }
}
