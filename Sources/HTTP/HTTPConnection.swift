internal import Glibc
internal import Model
package import Reactor

/// A kept-alive connection to one server: one exchange at a time, its body pulled. After any error it is closed for
/// good.
package actor HTTPConnection {
    /// Times and sizes of a connection.
    package struct Settings: Sendable {
        package var connectTime = Limits.connectTime
        package var headTime = Limits.headTime
        package var bodyTime = Limits.sendStallTime
        package var sendStallTime = Limits.sendStallTime
        /// SO_RCVBUF, which bounds what arrives beyond a cap; nil leaves it to the kernel.
        package var receiveBufferBytes: Int?
        package var faults: FaultTally?
        /// The cap that what arrives counts against, and what this connection is for; requests of the same kind may say
        /// more.
        package var pacer: ReadPacer?
        package var traffic = TrafficClass.control

        package init() {}

        package init(pacer: ReadPacer?, _ traffic: TrafficClass = .control) {
            self.pacer = pacer
            self.traffic = traffic
        }
    }

    private struct Body {
        let declared: Int64?
        let time: Duration
        let keepsAlive: Bool
        var received: Int64 = 0
    }

    private enum State {
        case idle
        /// The head of a response is awaited.
        case waiting
        case body(Body)
        case closed(HTTPClientError)
    }

    package nonisolated let loop: EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let channel: Channel
    private let host: String
    private let settings: Settings
    private let parser = MessageParser(.response)
    private var state = State.idle
    /// Counts exchanges, so that a body that was kept too long cannot read another's bytes.
    private var exchange: Int64 = 0
    /// The last exchange whose body was read to its end.
    private var completed: Int64 = 0
    private var input: [UInt8] = []
    private var offset = 0

    init(_ channel: Channel, host: String, on loop: EventLoop, settings: Settings) {
        self.channel = channel
        self.host = host
        self.loop = loop
        self.settings = settings
    }

    isolated deinit { channel.assumeIsolated { $0.close() } }

    /// Whether another request may be sent: nothing is under way, and the server has neither ended the connection nor
    /// said anything.
    package var isIdle: Bool {
        guard case .idle = state else { return false }
        return !channel.assumeIsolated { $0.hasEnded || $0.readAhead > 0 || $0.flow?.isCurrent == false }
    }

    package nonisolated var kind: TrafficClass.Kind { settings.traffic.kind }

    /// Ends the connection at once; what waits on it gets an error.
    package func close() { end(.closed) }
}

// MARK: - An exchange

extension HTTPConnection {
    /// Sends a request and waits for the head of its response. Cancellation closes the connection.
    package func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        switch state {
        case .idle: break
        case .waiting, .body: throw .busy
        case .closed(let error): throw error
        }
        state = .waiting
        exchange += 1
        return try await settled { () async throws(HTTPClientError) in try await self.exchangeHeads(request) }
    }

    private func exchangeHeads(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        guard await channel.readAhead == 0, offset == input.count else { throw .surplus }
        parser.restart()
        await channel.askTurn(
            request.traffic ?? settings.traffic, expected: request.expectedBytes, telling: request.onTurn)
        let sentRaw = SystemClock.raw()
        do throws(ChannelFailure) { try await channel.write(request.bytes(host: host)) } catch { throw explain(error) }
        for _ in 0...Limits.interimResponses {
            parser.expectsNoBody = request.method == .head
            let head = try await receiveHead(within: request.headTime ?? settings.headTime)
            let receivedRaw = SystemClock.raw()
            guard head.status >= 200 else {
                guard head.status != 101 else { throw .malformed(.malformed("nobody asked for another protocol")) }
                try finishInterim()
                continue
            }
            state = .body(
                Body(
                    declared: head.contentLength, time: request.bodyTime ?? settings.bodyTime,
                    keepsAlive: head.keepsAlive && !head.endsWithConnection))
            let unread = head.contentLength.map { max(0, $0 - Int64(input.count - offset)) }
            await channel.expect(remaining: unread)
            let hasBody = head.isChunked || (head.contentLength ?? 0) > 0 || head.endsWithConnection
            if !hasBody || parser.expectsNoBody { _ = try takePiece() }
            return HTTPClientResponse(
                status: HTTPStatus(code: head.status), headers: head.headers,
                body: HTTPClientBody(connection: self, exchange: exchange), sentRaw: sentRaw, receivedRaw: receivedRaw)
        }
        throw .malformed(.malformed("it never gets beyond interim answers"))
    }

    private func receiveHead(within time: Duration) async throws(HTTPClientError) -> MessageHead {
        var deadline = SystemClock.monotonic().advanced(by: time)
        while true {
            if offset < input.count, let head = try parse().head { return head }
            do throws(ChannelFailure) {
                guard let bytes = try await channel.read(by: deadline) else {
                    throw ChannelFailure.socket(SyscallError("recv", code: ECONNRESET))
                }
                (input, offset) = (bytes, 0)
            } catch {
                if error == .timedOut {
                    // A large request on a slow link: while it is being taken, the stall time rules.
                    guard await channel.queued > 0 else { throw .headTimeout }
                    deadline = SystemClock.monotonic().advanced(by: time)
                    continue
                }
                throw explain(error)
            }
        }
    }

    private func finishInterim() throws(HTTPClientError) {
        guard try parse().isComplete else { throw .malformed(.malformed("an interim answer has a body")) }
        parser.restart()
    }

    /// The next piece of that exchange's body; nil at its end.
    func nextPiece(of wanted: Int64) async throws(HTTPClientError) -> [UInt8]? {
        guard wanted == exchange, wanted > completed else { return nil }
        return try await settled { () async throws(HTTPClientError) in try await self.readPiece() }
    }

    private func readPiece() async throws(HTTPClientError) -> [UInt8]? {
        while true {
            let body: Body
            switch state {
            case _ where completed == exchange: return nil
            case .idle, .waiting: preconditionFailure("an exchange that is not complete has a body")
            case .closed(let error): throw error
            case .body(let current): body = current
            }
            if offset < input.count {
                let piece = try takePiece()
                if !piece.isEmpty { return piece }
                continue
            }
            do throws(ChannelFailure) {
                if let bytes = try await channel.read(by: SystemClock.monotonic().advanced(by: body.time)) {
                    (input, offset) = (bytes, 0)
                    continue
                }
            } catch {
                if error == .timedOut { throw .bodyTimeout }
                if case .socket(let error) = error, error.code == ECONNRESET || error.code == EPIPE {
                    throw .cutShort(received: body.received, declared: body.declared)
                }
                throw explain(error)
            }
            do throws(MessageFault) { try parser.end() } catch {
                throw .cutShort(received: body.received, declared: body.declared)
            }
            complete(body)
        }
    }

    /// What the input holds of the body, without a copy where it is all body.
    private func takePiece() throws(HTTPClientError) -> [UInt8] {
        guard case .body(var body) = state else { return [] }
        let progress = try parse()
        var piece: [UInt8] = []
        if progress.body.count == 1, progress.body[0] == 0..<input.count {
            swap(&piece, &input)
            offset = 0
        } else {
            for range in progress.body { piece += input[range] }
            if offset == input.count { (input, offset) = ([], 0) }
        }
        body.received += Int64(piece.count)
        state = .body(body)
        if progress.isComplete { complete(body) }
        return piece
    }

    private func complete(_ body: Body) {
        if offset < input.count {
            end(.surplus)
            return
        }
        completed = exchange
        channel.assumeIsolated { $0.endTurns() }
        if body.keepsAlive {
            state = .idle
            channel.assumeIsolated { $0.resumeReading() }
        } else {
            // What was promised is there: no fault, and nothing more to come.
            close(with: .closedBeforeResponse)
        }
    }

    private func parse() throws(HTTPClientError) -> MessageParser.Progress {
        do throws(MessageFault) {
            let progress = try parser.read(input, from: offset)
            offset += progress.consumed
            return progress
        } catch {
            throw .malformed(error)
        }
    }

    private func explain(_ error: ChannelFailure) -> HTTPClientError {
        switch error {
        case .closed: .closed
        case .cancelled: .cancelled
        case .timedOut: .headTimeout
        case .stalled: .stalled
        case .socket(let error):
            parser.hasBegun || error.code != ECONNRESET && error.code != EPIPE ? .broken(error) : .closedBeforeResponse
        }
    }
}

// MARK: - Ending

extension HTTPConnection {
    /// Runs a part of an exchange: cancellation cuts the channel, and an error closes the connection and is counted.
    private func settled<Success: Sendable>(
        _ body: () async throws(HTTPClientError) -> Success
    ) async throws(HTTPClientError) -> Success {
        let result: Result<Success, HTTPClientError> = await withTaskCancellationHandler {
            do throws(HTTPClientError) { return .success(try await body()) } catch { return .failure(error) }
        } onCancel: {
            channel.cut(.cancelled)
        }
        switch result {
        case .success(let value): return value
        case .failure(let error):
            // Whoever closed it has said why.
            if case .closed(let earlier) = state { throw earlier }
            end(error)
            throw error
        }
    }

    private func end(_ error: HTTPClientError) {
        if case .closed = state { return }
        if error != .closed { settings.faults?.add(error.kind) }
        close(with: error)
    }

    private func close(with error: HTTPClientError) {
        state = .closed(error)
        channel.assumeIsolated { $0.close() }
    }
}
