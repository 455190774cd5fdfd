package import Model
package import Reactor

extension HTTPConnection {
    package static func open(
        to endpoint: Endpoint, on loop: EventLoop, settings: Settings = Settings()
    ) async throws(HTTPClientError) -> HTTPConnection {
        // An IPv6 scope means nothing to the server (RFC 6874).
        let bare = Endpoint(host: String(endpoint.host.prefix { $0 != "%" }), port: endpoint.port)
        return try await counted(settings) { () async throws(HTTPClientError) in
            let deadline = SystemClock.monotonic().advanced(by: settings.connectTime)
            let addresses = try await HostLookup.addresses(of: endpoint, on: loop, by: deadline)
            return try await open(addresses, host: bare.description, on: loop, settings: settings, by: deadline)
        }
    }

    package static func open(
        toUnixSocket path: String, on loop: EventLoop, settings: Settings = Settings()
    ) async throws(HTTPClientError) -> HTTPConnection {
        try await counted(settings) { () async throws(HTTPClientError) in
            let file: SocketFile
            do throws(SyscallError) { file = try SocketFile(path) } catch { throw .unreachable(error) }
            let deadline = SystemClock.monotonic().advanced(by: settings.connectTime)
            let connection = try await open(
                [file.address], host: "localhost", on: loop, settings: settings, by: deadline)
            withExtendedLifetime(file) {}
            return connection
        }
    }

    private static func counted(
        _ settings: Settings, _ body: () async throws(HTTPClientError) -> HTTPConnection
    ) async throws(HTTPClientError) -> HTTPConnection {
        do throws(HTTPClientError) {
            return try await body()
        } catch {
            settings.faults?.add(error.kind)
            throw error
        }
    }

    /// Tries the addresses in turn; each gets its share of the time that is left.
    private static func open(
        _ addresses: [SocketAddress], host: String, on loop: EventLoop, settings: Settings, by deadline: MonotonicTime
    ) async throws(HTTPClientError) -> HTTPConnection {
        var last = HTTPClientError.connectTimeout
        for (index, address) in addresses.enumerated() {
            let now = SystemClock.monotonic()
            let share = Duration.nanoseconds(now.duration(to: deadline).nanoseconds / Int64(addresses.count - index))
            do throws(ChannelFailure) {
                let channel = try await Channel.connect(
                    to: address, on: loop, by: now.advanced(by: share), receiveBuffer: settings.receiveBufferBytes,
                    timing: Channel.Timing(stall: settings.sendStallTime),
                    pacing: settings.pacer.map { Pacing(pacer: $0, traffic: settings.traffic) })
                return HTTPConnection(channel, host: host, on: loop, settings: settings)
            } catch {
                switch error {
                case .socket(let error): last = .unreachable(error)
                case .timedOut, .stalled: last = .connectTimeout
                case .closed, .cancelled: throw .cancelled
                }
            }
        }
        throw last
    }
}
