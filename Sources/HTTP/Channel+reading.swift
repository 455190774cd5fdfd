internal import CLibevent
internal import Glibc
internal import Model
internal import Reactor

extension Channel {
    /// The next bytes, at most `pieceBytes`; nil at the end. What came before a failure is given before it is thrown.
    func read(by deadline: MonotonicTime) async throws(ChannelFailure) -> [UInt8]? {
        await breathe()
        if let flow, flow.isHeld, failure == nil { return try await read(by: deadline, asGrantedBy: flow) }
        liftReadLimit()
        if let bytes = try take() { return bytes }
        if inputEnded { return nil }
        timersUsed = true
        readTimer.set(after: SystemClock.monotonic().duration(to: deadline))
        defer { cancelReadDeadline() }
        while true {
            try await inputEvent()
            if let bytes = try take() { return bytes }
            if inputEnded { return nil }
        }
    }

    /// A peer that sends or takes as fast as the loop turns must not keep it to itself.
    func breathe() async {
        unbroken += 1
        guard unbroken >= 8 else { return }
        unbroken = 0
        await Task.yield()
    }

    /// Waits until something has happened to the input. A deadline that passes is no fault of the connection: it goes
    /// on.
    func inputEvent() async throws(ChannelFailure) {
        precondition(reader == nil, "one reads a channel at a time")
        await withCheckedContinuation { continuation in
            // What has happened on the way here must not be slept through.
            if inputHappened { continuation.resume() } else { reader = continuation }
        }
        inputHappened = false
        unbroken = 0
        guard readTimedOut else { return }
        readTimedOut = false
        throw .timedOut
    }

    /// Bytes that have come unasked for.
    var readAhead: Int { event.map { evbuffer_get_length(bufferevent_get_input($0)) } ?? 0 }
    var hasEnded: Bool { failure != nil || inputEnded }

    /// What is there: from libevent's buffer and, in bulk, straight from the socket behind it.
    /// `granted` is what a cap allows.
    func take(granted: Int? = nil) throws(ChannelFailure) -> [UInt8]? {
        guard let event else { throw failure ?? .closed }
        let input = bufferevent_get_input(event)
        let most = min(granted ?? Self.pieceBytes, Self.pieceBytes)
        let ready = min(evbuffer_get_length(input), most)
        let isBulk = isPlain && failure == nil && (isReadingPaused || granted != nil)
        guard ready > 0 || isBulk else {
            if let failure { throw failure }
            return nil
        }
        let capacity = isBulk ? most : ready
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            count = max(0, Int(evbuffer_remove(input, buffer.baseAddress, ready)))
            guard isBulk, count < capacity, let base = buffer.baseAddress else { return }
            let more = recv(raw, base + count, capacity - count, Int32(MSG_DONTWAIT))
            if more > 0 { count += more }
            // The end of the input is libevent's to tell; an error is told only once.
            if more < 0, errno != EAGAIN, errno != EINTR { code = errno }
        }
        if granted == nil, bytes.count < capacity || !isBulk { resumeReading() }
        if code != 0 { fail(.socket(SyscallError("recv", code: code))) }
        if bytes.isEmpty, let failure { throw failure }
        return bytes.isEmpty ? nil : bytes
    }

    func cancelReadDeadline() {
        readTimer.cancel()
        readTimedOut = false
    }

    func deadlinePassed() {
        readTimedOut = true
        resumeReader()
    }

    func resumeReader() {
        inputHappened = true
        guard let reader else { return }
        self.reader = nil
        reader.resume()
    }

    func inputArrived() {
        // Not by libevent's own high-water mark: while input stays above it, 2.1 calls back for ever and nothing else
        // runs. A bare socket is paused at libevent's first full read, since the rest comes faster without it.
        if flow?.isHeld == true || readAhead >= (isPlain ? Self.eventReadBytes : Self.pieceBytes) { pauseReading() }
        resumeReader()
    }

    func pauseReading() {
        isReadingPaused = true
        bufferevent_disable(event, Int16(EV_READ))
    }

    /// Hands the socket back to libevent, which then also notices its end.
    func resumeReading() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        if failure == nil, !inputEnded { bufferevent_enable(event, Int16(EV_READ)) }
    }
}
