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
/// The bufferevent holds the channel until `close()`, so that a callback never meets one that is gone: every owner closes.
actor Channel {
    /// How an exchange, a request and its response, has ended: the response is out, the peer has gone, or the server wants it over.
    enum ExchangeEnd: Sendable { case done, gone, unwanted }

    private enum Watch {
        case idle, running
        case ended(ExchangeEnd)
    }

    /// Bytes that one `read` gives at most, and that libevent may read ahead while nobody asks.
    static let pieceBytes = 128 * 1024
    /// What libevent 2.1 reads of a bare socket at once: when there is this much, there is likely more.
    private static let eventReadBytes = 4096

    let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let descriptor: Descriptor
    /// Where nothing lies between us and the socket, bulk goes past libevent's small reads and its copy of what is written.
    private let isPlain: Bool
    private var event: OpaquePointer?
    private var failure: ChannelFailure?
    private var inputEnded = false
    private var isReadingPaused = false
    private var isConnecting: Bool

    private var reader: CheckedContinuation<Void, Never>?
    private var inputHappened = false
    private var readTimedOut = false
    private var drainer: (below: Int, continuation: CheckedContinuation<Void, Never>)?
    private var watcher: CheckedContinuation<ExchangeEnd, Never>?
    private var watch = Watch.idle
    /// A half-closed peer may still listen; one that has died looks the same until something is sent to it.
    private let halfClosedTime: Duration
    private lazy var readTimer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.deadlinePassed() } }
    private lazy var graceTimer = LoopTimer(on: loop) { [unowned self] in assumeIsolated { $0.graceEnded() } }
    private var timersUsed = false

    struct Timing: Sendable {
        var stall = Limits.sendStallTime
        var halfClosed = Limits.halfClosedTime
    }

    private init(_ descriptor: consuming Descriptor, on loop: EventLoop, timing: Timing, isConnecting: Bool) {
        self.loop = loop
        self.isConnecting = isConnecting
        halfClosedTime = timing.halfClosed
        isPlain = true
        self.descriptor = descriptor
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
        event = bufferevent_socket_new(loop.base, descriptor.raw, Int32(BEV_OPT_DEFER_CALLBACKS.rawValue))
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
        to address: SocketAddress, on loop: EventLoop, by deadline: MonotonicTime, receiveBuffer: Int?, timing: Timing
    ) async throws(ChannelFailure) -> Channel {
        let channel: Channel
        do throws(SyscallError) {
            channel = try await start(to: address, on: loop, receiveBuffer: receiveBuffer, timing: timing)
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
            return channel
        } catch {
            await channel.close()
            throw error
        }
    }

    private static func start(
        to address: SocketAddress, on loop: EventLoop, receiveBuffer: Int?, timing: Timing
    ) async throws(SyscallError) -> Channel {
        let descriptor = try SocketCalls.open(family: address.family)
        if address.family != AF_UNIX { try SocketCalls.setNoDelay(descriptor.raw) }
        if let receiveBuffer {
            // The kernel doubles what it is given, for its own bookkeeping.
            try SocketCalls.set(descriptor.raw, level: SOL_SOCKET, SO_RCVBUF, to: Int32(receiveBuffer / 2))
        }
        let channel = Channel(descriptor, on: loop, timing: timing, isConnecting: true)
        await channel.makeEvent(stall: timing.stall)
        return channel
    }

    private func connected(to address: SocketAddress, by deadline: MonotonicTime) async throws(ChannelFailure) {
        // Called here, since libevent 2.1 never tells of a connect that succeeds at once, as those over loopback do.
        if address.withSockaddr({ Glibc.connect(descriptor.raw, $0, $1) }) == 0 {
            becomeConnected()
        } else if errno == EINPROGRESS || errno == EINTR {
            if bufferevent_socket_connect(event, nil, 0) != 0 { fail(.socket(SyscallError("connect", code: errno))) }
        } else {
            fail(.socket(SyscallError("connect", code: errno)))
        }
        setReadDeadline(deadline)
        defer { cancelReadDeadline() }
        while isConnecting {
            if let failure { throw failure }
            try await inputEvent()
        }
    }

    /// Frees the bufferevent and closes the socket; whoever waits is told. Bytes still queued are lost: `finish` first where they matter.
    func close() {
        fail(.closed)
        guard let event else { return }
        self.event = nil
        bufferevent_free(event)
        if timersUsed {
            readTimer.cancel()
            graceTimer.cancel()
        }
        Unmanaged.passUnretained(self).release()
    }

    /// Ends the connection with a reset, so that even a peer that reads until the end knows that it has not got everything.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor.raw, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
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

    private func wakeAll() {
        resumeReader()
        if let drainer {
            self.drainer = nil
            drainer.continuation.resume()
        }
        endExchange(.gone)
    }
}

// MARK: - Reading

extension Channel {
    /// The next bytes, at most `pieceBytes`; nil at the end. What came before a failure is given before it is thrown.
    func read(by deadline: MonotonicTime?) async throws(ChannelFailure) -> [UInt8]? {
        if let bytes = try available() { return bytes }
        if inputEnded { return nil }
        if let deadline { setReadDeadline(deadline) }
        defer { if deadline != nil { cancelReadDeadline() } }
        while true {
            try await inputEvent()
            if let bytes = try available() { return bytes }
            if inputEnded { return nil }
        }
    }

    /// Waits until something has happened to the input. A deadline that passes is no fault of the connection: it goes on.
    private func inputEvent() async throws(ChannelFailure) {
        precondition(reader == nil, "one reads a channel at a time")
        await withCheckedContinuation { continuation in
            // What has happened on the way here must not be slept through.
            if inputHappened { continuation.resume() } else { reader = continuation }
        }
        inputHappened = false
        guard readTimedOut else { return }
        readTimedOut = false
        throw .timedOut
    }

    /// Bytes that have come unasked for.
    var readAhead: Int { event.map { evbuffer_get_length(bufferevent_get_input($0)) } ?? 0 }
    var hasEnded: Bool { failure != nil || inputEnded }

    private func available() throws(ChannelFailure) -> [UInt8]? {
        guard let event else { throw failure ?? .closed }
        let input = bufferevent_get_input(event)
        let ready = min(evbuffer_get_length(input), Self.pieceBytes)
        guard ready > 0 else {
            if let failure { throw failure }
            return nil
        }
        let mayHaveMore = isPlain && ready >= Self.eventReadBytes && ready < Self.pieceBytes
        let capacity = mayHaveMore ? Self.pieceBytes : ready
        let raw = descriptor.raw
        var socketError: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            count = max(0, Int(evbuffer_remove(input, buffer.baseAddress, ready)))
            guard mayHaveMore, let base = buffer.baseAddress else { return }
            let more = recv(raw, base + count, capacity - count, Int32(MSG_DONTWAIT))
            if more > 0 { count += more }
            // The end of the input is libevent's to tell; an error is told only once.
            if more < 0, errno != EAGAIN, errno != EINTR { socketError = errno }
        }
        resumeReading()
        if socketError != 0 { fail(.socket(SyscallError("recv", code: socketError))) }
        return bytes
    }

    private func setReadDeadline(_ deadline: MonotonicTime) {
        timersUsed = true
        readTimer.set(after: SystemClock.monotonic().duration(to: deadline))
    }

    private func cancelReadDeadline() {
        readTimer.cancel()
        readTimedOut = false
    }

    private func deadlinePassed() {
        readTimedOut = true
        resumeReader()
    }

    private func resumeReader() {
        inputHappened = true
        guard let reader else { return }
        self.reader = nil
        reader.resume()
    }

    private func inputArrived() {
        // Not by libevent's own high-water mark: while input stays above it, 2.1 calls back for ever and nothing else runs.
        if readAhead >= Self.pieceBytes {
            isReadingPaused = true
            bufferevent_disable(event, Int16(EV_READ))
        }
        resumeReader()
    }

    private func resumeReading() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        if failure == nil, !inputEnded { bufferevent_enable(event, Int16(EV_READ)) }
    }
}

// MARK: - Writing

extension Channel {
    /// Bytes that are queued for the peer.
    var queued: Int { event.map { evbuffer_get_length(bufferevent_get_output($0)) } ?? 0 }

    /// Queues `bytes`, or hands them to the kernel at once where nothing is before them.
    func write(_ bytes: [UInt8]) throws(ChannelFailure) {
        if let failure { throw failure }
        guard let event, !bytes.isEmpty else { return }
        if inputEnded { restartGrace() }
        let raw = descriptor.raw
        let direct = isPlain && !isConnecting && queued == 0
        var code: Int32 = 0
        bytes.withUnsafeBytes { buffer in
            var sent = 0
            if direct {
                sent = send(raw, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
                if sent < 0, errno != EAGAIN, errno != EINTR { code = errno }
                sent = max(0, sent)
            }
            guard code == 0, sent < buffer.count, let base = buffer.baseAddress else { return }
            if bufferevent_write(event, base + sent, buffer.count - sent) != 0 { code = ENOMEM }
        }
        if code != 0 {
            fail(.socket(SyscallError("send", code: code)))
            throw failure ?? .closed
        }
    }

    /// Waits until less than `below` bytes are queued: back-pressure of a slow peer.
    func drained(below: Int) async throws(ChannelFailure) {
        while failure == nil, let event, queued >= max(1, below) {
            bufferevent_setwatermark(event, Int16(EV_WRITE), below / 2, 0)
            await withCheckedContinuation { continuation in
                if failure == nil, queued >= max(1, below) {
                    drainer = (below, continuation)
                } else {
                    continuation.resume()
                }
            }
        }
        if let failure { throw failure }
    }

    /// Tells the peer that nothing follows; what is queued is not waited for.
    func endOutput() { shutdown(descriptor.raw, Int32(SHUT_WR)) }

    private func outputDrained() {
        if inputEnded { restartGrace() }
        guard let drainer, queued < max(1, drainer.below) else { return }
        self.drainer = nil
        drainer.continuation.resume()
    }

    /// Sends what is queued, tells the peer that nothing follows, and waits for its end, so that unread bytes of a refused request do
    /// not make the kernel throw the answer away (RFC 9112, section 9.6). The caller closes.
    func finish(by deadline: MonotonicTime) async throws(ChannelFailure) {
        try await drained(below: 1)
        endOutput()
        var budget = Limits.lingerBytes
        while budget > 0, let bytes = try await read(by: deadline) { budget -= bytes.count }
    }
}

// MARK: - Watching

extension Channel {
    /// Begins to watch an exchange, before the task that serves it starts.
    func beginExchange() {
        watch = failure == nil ? .running : .ended(.gone)
        if inputEnded { restartGrace() }
    }

    /// Waits until the exchange is over, or its peer has gone, or it is to be broken off.
    func exchangeEnd() async -> ExchangeEnd {
        await withCheckedContinuation { continuation in
            if case .ended(let end) = watch { continuation.resume(returning: end) } else { watcher = continuation }
        }
    }

    /// Ends the exchange; the first reason counts.
    func endExchange(_ end: ExchangeEnd) {
        guard case .running = watch else { return }
        watch = .ended(end)
        if timersUsed { graceTimer.cancel() }
        guard let watcher else { return }
        self.watcher = nil
        watcher.resume(returning: end)
    }

    private func restartGrace() {
        guard case .running = watch else { return }
        timersUsed = true
        graceTimer.set(after: halfClosedTime)
    }

    private func graceEnded() {
        // While the peer still takes what is queued, the stall time rules.
        if queued > 0 { restartGrace() } else { endExchange(.gone) }
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
        if what & BEV_EVENT_TIMEOUT != 0 { fail(.stalled) }
        if what & BEV_EVENT_ERROR != 0 { fail(.socket(SyscallError(isConnecting ? "connect" : "recv", code: code))) }
    }
}

extension timeval {
    /// Rounded up: a timer never comes early.
    fileprivate init(_ duration: Duration) {
        let nanoseconds = max(0, duration.nanoseconds)
        self.init(tv_sec: Int(nanoseconds / 1_000_000_000), tv_usec: Int((nanoseconds % 1_000_000_000 + 999) / 1000))
    }
}
