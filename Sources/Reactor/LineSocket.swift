internal import Glibc
package import Model

/// A socket that instruments print into: a TCP connection that is dialled, or a UDP port that listens. Made, used and
/// freed on the loop.
package final class LineSocket {
    package enum Event: Sendable {
        /// Bytes of a stream, or one whole datagram.
        case received([UInt8], at: ClockReading)
        case connected
        /// The connection ended or never came to be; nothing follows. nil: the other end closed it.
        case ended(SyscallError?)
    }

    /// The port that was dialled, or that was bound.
    package let port: UInt16
    private let loop: EventLoop
    private let receive: (Event) -> Void
    private let isDatagram: Bool
    private var state: State

    private enum State {
        case connecting(OpenSocket)
        case open(OpenSocket)
        case closed
    }

    private final class OpenSocket {
        let descriptor: Descriptor
        var reading: DescriptorWatch?
        var writing: DescriptorWatch?
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
        func release() { (reading, writing) = (nil, nil) }
    }

    /// Begins to dial; `connected` or `ended` follows. A name is looked up first, which may block: only literals on the
    /// loop.
    package static func dial(
        _ endpoint: Endpoint, on loop: EventLoop, receive: @escaping (Event) -> Void
    ) throws(SyscallError) -> LineSocket {
        loop.checkIsolated()
        return LineSocket(
            try open(endpoint, type: SOCK_STREAM, passive: false), isDatagram: false, port: endpoint.port, loop: loop,
            receive: receive)
    }

    /// Listens for datagrams.
    package static func listen(
        _ endpoint: Endpoint, on loop: EventLoop, receive: @escaping (Event) -> Void
    ) throws(SyscallError) -> LineSocket {
        loop.checkIsolated()
        let descriptor = try open(endpoint, type: SOCK_DGRAM, passive: true)
        let port = try boundPort(descriptor.raw)
        return LineSocket(descriptor, isDatagram: true, port: port, loop: loop, receive: receive)
    }

    private static func open(
        _ endpoint: Endpoint, type: __socket_type, passive: Bool
    ) throws(SyscallError) -> Descriptor {
        var hints = addrinfo()
        hints.ai_socktype = Int32(type.rawValue)
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)
        var list: UnsafeMutablePointer<addrinfo>?
        let host = endpoint.host == "localhost" ? "127.0.0.1" : endpoint.host
        guard getaddrinfo(host, String(endpoint.port), &hints, &list) == 0, let address = list else {
            throw SyscallError("getaddrinfo", code: EADDRNOTAVAIL)
        }
        defer { freeaddrinfo(list) }
        let family = address.pointee.ai_family
        let kind = Int32(type.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = Descriptor(adopting: try retrying("socket") { socket(family, kind, 0) })
        let raw = descriptor.raw
        let (name, length) = (address.pointee.ai_addr, address.pointee.ai_addrlen)
        guard passive else {
            do throws(SyscallError) {
                _ = try retrying("connect") { connect(raw, name, length) }
            } catch {
                guard error.code == EINPROGRESS else { throw error }
            }
            return descriptor
        }
        _ = try retrying("bind") { bind(raw, name, length) }
        return descriptor
    }

    private static func boundPort(_ raw: Int32) throws(SyscallError) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(raw, $0, &length) }
        }
        guard result == 0 else { throw SyscallError("getsockname", code: errno) }
        // The port stands at the same place in the addresses of both families.
        return withUnsafeBytes(of: &storage) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
    }

    private init(
        _ descriptor: consuming Descriptor, isDatagram: Bool, port: UInt16, loop: EventLoop,
        receive: @escaping (Event) -> Void
    ) {
        self.port = port
        self.loop = loop
        self.receive = receive
        self.isDatagram = isDatagram
        let socket = OpenSocket(descriptor)
        state = isDatagram ? .open(socket) : .connecting(socket)
        let raw = socket.descriptor.raw
        socket.reading = DescriptorWatch(on: loop, descriptor: raw, for: .read) { [unowned self] in readable() }
        if isDatagram {
            socket.reading?.resume()
        } else {
            socket.writing = DescriptorWatch(on: loop, descriptor: raw, for: .write) { [unowned self] in dialled() }
            socket.writing?.resume()
        }
    }

    deinit {
        loop.checkIsolated()
        close()
    }

    package func close() {
        loop.checkIsolated()
        switch state {
        case .connecting(let socket), .open(let socket):
            state = .closed
            socket.release()
        case .closed: break
        }
    }

    private func dialled() {
        guard case .connecting(let socket) = state else { return }
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket.descriptor.raw, SOL_SOCKET, SO_ERROR, &failure, &length)
        guard failure == 0 else { return end(SyscallError("connect", code: failure)) }
        // An instrument that lost its power says no goodbye: the kernel asks whether it is still there.
        var on: Int32 = 1
        setsockopt(socket.descriptor.raw, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
        for (option, seconds) in [(TCP_KEEPIDLE, Int32(5)), (TCP_KEEPINTVL, 2), (TCP_KEEPCNT, 3)] {
            var value = seconds
            setsockopt(
                socket.descriptor.raw, Int32(IPPROTO_TCP), option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        state = .open(socket)
        socket.writing?.pause()
        socket.reading?.resume()
        receive(.connected)
    }

    private func readable() {
        guard case .open(let socket) = state else { return }
        let at = SystemClock.reading()
        do {
            guard let bytes = try socket.descriptor.readAvailable(atMost: 65536) else { return }
            if bytes.isEmpty, !isDatagram { return end(nil) }
            receive(.received(bytes, at: at))
        } catch {
            end(error)
        }
    }

    private func end(_ error: SyscallError?) {
        close()
        receive(.ended(error))
    }
}
