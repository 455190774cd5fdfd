internal import CLibevent
internal import Glibc
internal import Model
package import Reactor

/// Why a channel has ended.
package enum ChannelFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// By our own side.
    case closed
    case cancelled
    /// A deadline has passed while waiting for bytes.
    case timedOut
    /// The peer has taken nothing of what is queued for it for too long.
    case stalled
    case socket(SyscallError)

    package var description: String {
        switch self {
        case .closed: "the connection was closed"
        case .cancelled: "the task was cancelled"
        case .timedOut: "the peer sent nothing in time"
        case .stalled: "the peer took nothing in time"
        case .socket(let error): error.description
        }
    }
}

/// One connection's bytes, both ways, over a libevent bufferevent. Nothing above asks what lies beneath it.
///
/// The bufferevent holds the channel until `close()`, so that a callback never meets one that is gone: every owner
/// closes.
actor Channel {
    /// How an exchange, a request and its response, has ended: the response is out, the peer has gone, or the server
    /// wants it over.
    enum ExchangeEnd: Sendable { case done, gone, unwanted }

    enum Watch {
        case idle, running
        case ended(ExchangeEnd)
    }

    /// Bytes that one `read` gives at most, and that libevent may read ahead while nobody asks.
    static let pieceBytes = 128 * 1024
    /// What libevent 2.1 reads of a bare socket at once: when there is this much, there is likely more.
    static let eventReadBytes = 4096

    let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private var descriptor: Descriptor?
    /// The descriptor's number, good for as long as there is an event.
    let raw: Int32
    /// Where nothing lies between us and the socket, bulk goes past libevent's small reads and its copy of what is
    /// written.
    let isPlain: Bool
    var event: OpaquePointer?
    var failure: ChannelFailure?
    var inputEnded = false
    var isReadingPaused = false
    var isConnecting: Bool

    var reader: CheckedContinuation<Void, Never>?
    var inputHappened = false
    var readTimedOut = false
    var drainer: (below: Int, continuation: CheckedContinuation<Void, Never>)?
    var watcher: CheckedContinuation<ExchangeEnd, Never>?
    var watch = Watch.idle
    /// A half-closed peer may still listen; one that has died looks the same until something is sent to it.
    let halfClosedTime: Duration
    lazy var readTimer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.deadlinePassed() } }
    lazy var graceTimer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.graceEnded() } }
    var timersUsed = false
    /// Reads and writes since the loop last had its turn.
    var unbroken = 0
    /// Bytes of ours that the peer had, when the kernel last asked for none.
    var acknowledged: Int64 = 0
    /// Its part in a cap on what arrives.
    var flow: PacedFlow?
    /// Of the exchange that is under way: told when it begins to wait for its turn, and when it has it.
    var onTurn: (@Sendable (Bool) -> Void)?
    /// What libevent reads at once follows what a cap grants.
    var isReadLimited = false

    struct Timing: Sendable {
        var stall = Limits.sendStallTime
        var halfClosed = Limits.halfClosedTime
    }

    private init(_ descriptor: consuming Descriptor, on loop: EventLoop, timing: Timing, isConnecting: Bool) {
        self.loop = loop
        self.isConnecting = isConnecting
        halfClosedTime = timing.halfClosed
        isPlain = true
        raw = descriptor.raw
        self.descriptor = consume descriptor
    }

    /// A channel over a connected socket. Call on the loop.
    static func adopt(_ descriptor: consuming Descriptor, on loop: EventLoop, timing: Timing) -> Channel {
        let channel = Channel(descriptor, on: loop, timing: timing, isConnecting: false)
        channel.assumeIsolated { $0.makeEvent(stall: timing.stall) }
        return channel
    }

    /// Makes the bufferevent of a connection: the one place that will choose between a bare socket and TLS.
    private func makeEvent(stall: Duration) {
        // Deferred: a callback never comes in the middle of a call of ours, when this actor's state is being changed.
        event = bufferevent_socket_new(loop.base, raw, Int32(BEV_OPT_DEFER_CALLBACKS.rawValue))
        precondition(event != nil, "libevent has no memory for a connection")
        let context = Unmanaged.passRetained(self).toOpaque()
        bufferevent_setcb(
            event, { _, context in Channel.from(context).assumeIsolated { $0.inputArrived() } },
            { _, context in Channel.from(context).assumeIsolated { $0.outputDrained() } },
            { _, what, context in
                let code = errno
                Channel.from(context).assumeIsolated { $0.happened(Int32(what), code: code) }
            }, context)
        bufferevent_set_max_single_read(event, Self.pieceBytes)
        bufferevent_set_max_single_write(event, Limits.sendQueueBytes)
        var time = timeval(stall)
        bufferevent_set_timeouts(event, nil, &time)
        // A socket that is not connected yet is at its end, as epoll sees it.
        if !isConnecting { bufferevent_enable(event, Int16(EV_READ | EV_WRITE)) }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> Channel {
        guard let context else { preconditionFailure("a channel's callback has its channel") }
        return Unmanaged<Channel>.fromOpaque(context).takeUnretainedValue()
    }

    isolated deinit { precondition(event == nil, "a channel is closed by its owner") }
}

// MARK: - Life

extension Channel {
    /// Opens a connection to `address`. Nothing is sent before TCP_NODELAY is set.
    static func connect(
        to address: SocketAddress, on loop: EventLoop, by deadline: MonotonicTime, receiveBuffer: Int?, timing: Timing,
        pacing: Pacing? = nil
    ) async throws(ChannelFailure) -> Channel {
        let channel: Channel
        do throws(SyscallError) {
            channel = try await start(
                to: address, on: loop, receiveBuffer: receiveBuffer, timing: timing, pacing: pacing)
        } catch { throw .socket(error) }
        do throws(ChannelFailure) {
            let result: Result<Void, ChannelFailure> = await withTaskCancellationHandler {
                do throws(ChannelFailure) {
                    return .success(try await channel.connected(to: address, by: deadline))
                } catch {
                    return .failure(error)
                }
            } onCancel: {
                channel.cut(.cancelled)
            }
            try result.get()
            if let pacing { await channel.join(pacing, family: address.family) }
            return channel
        } catch {
            await channel.close()
            throw error
        }
    }

    private static func start(
        to address: SocketAddress, on loop: EventLoop, receiveBuffer: Int?, timing: Timing, pacing: Pacing?
    ) async throws(SyscallError) -> Channel {
        let descriptor = try SocketCalls.open(family: address.family)
        if address.family != AF_UNIX { try SocketCalls.setNoDelay(descriptor.raw) }
        if let receiveBuffer {
            // The kernel doubles what it is given, for its own bookkeeping.
            try SocketCalls.set(descriptor.raw, level: SOL_SOCKET, SO_RCVBUF, to: Int32(receiveBuffer / 2))
        }
        try pacing?.prepare(descriptor.raw, family: address.family)
        let channel = Channel(descriptor, on: loop, timing: timing, isConnecting: true)
        await channel.makeEvent(stall: timing.stall)
        return channel
    }

    private func connected(to address: SocketAddress, by deadline: MonotonicTime) async throws(ChannelFailure) {
        // Called here, since libevent 2.1 never tells of a connect that succeeds at once, as those over loopback do.
        if address.withSockaddr({ Glibc.connect(raw, $0, $1) }) == 0 {
            becomeConnected()
        } else if errno == EINPROGRESS || errno == EINTR {
            if bufferevent_socket_connect(event, nil, 0) != 0 { fail(.socket(SyscallError("connect", code: errno))) }
        } else {
            fail(.socket(SyscallError("connect", code: errno)))
        }
        timersUsed = true
        readTimer.set(after: SystemClock.monotonic().duration(to: deadline))
        defer { cancelReadDeadline() }
        while isConnecting {
            if let failure { throw failure }
            try await inputEvent()
        }
    }

    /// Frees the bufferevent and closes the socket; whoever waits is told. Bytes still queued are lost: `finish` first
    /// where they matter.
    func close() {
        fail(.closed)
        guard let event else { return }
        leavePacer()
        self.event = nil
        bufferevent_free(event)
        // The peer is to know now, whoever still holds this object.
        descriptor = nil
        if timersUsed {
            readTimer.cancel()
            graceTimer.cancel()
        }
        Unmanaged.passUnretained(self).release()
    }

    /// Ends the connection with a reset, so that even a peer that reads until the end knows that it has not got
    /// everything.
    func reset() {
        guard event != nil else { return }
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(raw, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        close()
    }

    /// Ends every wait from outside the loop too, as a cancellation handler does.
    nonisolated func cut(_ reason: ChannelFailure) {
        if loop.isOnLoop {
            assumeIsolated { $0.fail(reason) }
        } else {
            loop.spawn { await self.fail(reason) }
        }
    }

    func fail(_ reason: ChannelFailure) {
        guard failure == nil else { return }
        failure = reason
        if let event { bufferevent_disable(event, Int16(EV_READ | EV_WRITE)) }
        wakeAll()
    }

    private func becomeConnected() {
        isConnecting = false
        if failure == nil { bufferevent_enable(event, Int16(EV_READ | EV_WRITE)) }
        resumeReader()
    }

    private func happened(_ what: Int32, code: Int32) {
        if what & BEV_EVENT_CONNECTED != 0 { becomeConnected() }
        if what & BEV_EVENT_EOF != 0 {
            inputEnded = true
            restartGrace()
            resumeReader()
        }
        if what & BEV_EVENT_TIMEOUT != 0 { outputRested() }
        if what & BEV_EVENT_ERROR != 0 { fail(.socket(SyscallError(isConnecting ? "connect" : "recv", code: code))) }
    }

    private func wakeAll() {
        resumeReader()
        flow?.release()
        if let drainer {
            self.drainer = nil
            drainer.continuation.resume()
        }
        endExchange(.gone)
    }
}

extension timeval {
    /// Rounded up: a timer never comes early.
    fileprivate init(_ duration: Duration) {
        let nanoseconds = max(0, duration.nanoseconds)
        self.init(tv_sec: Int(nanoseconds / 1_000_000_000), tv_usec: Int((nanoseconds % 1_000_000_000 + 999) / 1000))
    }
}
