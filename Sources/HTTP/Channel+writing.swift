internal import CLibevent
internal import CLinux
internal import Glibc
internal import Model
internal import Reactor

extension Channel {
    /// Bytes that are queued for the peer.
    var queued: Int { event.map { evbuffer_get_length(bufferevent_get_output($0)) } ?? 0 }

    /// Queues `bytes`, or hands them to the kernel at once where nothing is before them.
    func write(_ bytes: [UInt8]) throws(ChannelFailure) {
        if let failure { throw failure }
        guard let event, !bytes.isEmpty else { return }
        if inputEnded { restartGrace() }
        let direct = isPlain && !isConnecting && queued == 0
        var code: Int32 = 0
        bytes.withUnsafeBytes { buffer in
            var sent = 0
            if direct {
                sent = Glibc.send(raw, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
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

    /// What is queued for the peer is little, so that it is new when it goes; nil: as much as the kernel likes.
    func limitUnsent(to bytes: Int?) {
        guard event != nil else { return }
        // A socket of the host's own has no such thing, and needs none; elsewhere what is sent is only older.
        do throws(SyscallError) { try SocketCalls.setUnsentLimit(raw, to: bytes) } catch {}
    }

    /// Waits until less than `below` bytes are queued: back-pressure of a slow peer.
    func drained(below: Int) async throws(ChannelFailure) {
        await breathe()
        while failure == nil, let event, queued >= max(1, below) {
            bufferevent_setwatermark(event, Int16(EV_WRITE), below / 2, 0)
            await withCheckedContinuation { continuation in
                unbroken = 0
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
    func endOutput() {
        if event != nil { shutdown(raw, Int32(SHUT_WR)) }
    }

    func outputDrained() {
        if inputEnded { restartGrace() }
        guard let drainer, queued < max(1, drainer.below) else { return }
        self.drainer = nil
        drainer.continuation.resume()
    }

    /// The socket has taken nothing for the stall time. The kernel asks for more only when a third of its own buffer,
    /// which may be megabytes, has gone: a peer that takes a few kilobytes a second is slow, and is not cut.
    func outputRested() {
        var figures = qn_tcp_figures()
        guard failure == nil, qn_tcp_figures(raw, &figures) == 0, figures.bytes_acknowledged > acknowledged else {
            return fail(.stalled)
        }
        acknowledged = figures.bytes_acknowledged
        // libevent stops writing at a timeout.
        bufferevent_enable(event, Int16(EV_WRITE))
    }

    /// Sends what is queued, tells the peer that nothing follows, and waits for its end, so that unread bytes of a
    /// refused request do not make the kernel throw the answer away (RFC 9112, section 9.6). The caller closes.
    func finish(by deadline: MonotonicTime) async throws(ChannelFailure) {
        try await drained(below: 1)
        endOutput()
        var budget = Limits.lingerBytes
        while budget > 0, let bytes = try await read(by: deadline) { budget -= bytes.count }
    }
}
