internal import Model
internal import Reactor

/// One connection of the server: reads a request, has it answered, and only then looks at the next.
actor ServerConnection {
    /// Where the connection is between two requests; what a graceful stop may close at once, and what it lets finish.
    private enum Phase {
        /// Nothing of a request has come.
        case idle
        case reading
        case responding(isEvents: Bool)
    }

    private let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let channel: Channel
    private let origin: PeerOrigin
    private let settings: HTTPServer.Settings
    private let handler: HTTPServer.Handler
    private let log: Log
    private let parser = MessageParser(.request)
    private var phase = Phase.idle
    private var isFirst = true
    private var isDraining = false
    /// Bytes that were read and not yet taken by the parser.
    private var input: [UInt8] = []
    private var offset = 0

    init(
        _ channel: Channel, from origin: PeerOrigin, on loop: EventLoop, settings: HTTPServer.Settings, log: Log,
        handler: @escaping HTTPServer.Handler
    ) {
        self.channel = channel
        self.origin = origin
        self.loop = loop
        self.settings = settings
        self.log = log
        self.handler = handler
    }

    /// Serves until the connection ends; cancelled, cuts it.
    func run() async {
        await withTaskCancellationHandler {
            await serve()
        } onCancel: {
            channel.cut(.cancelled)
        }
        await channel.close()
    }

    /// Says only that there is no room.
    func refuse() async {
        await withTaskCancellationHandler {
            await refuse(with: .tooManyConnections, to: nil)
        } onCancel: {
            channel.cut(.cancelled)
        }
        await channel.close()
    }

    /// Ends once the request at hand is answered; an event stream ends at its next event.
    func drain() async {
        isDraining = true
        switch phase {
        case .idle: await channel.close()
        case .responding(isEvents: true): await channel.endExchange(.unwanted)
        case .reading, .responding: break
        }
    }

    private func serve() async {
        do {
            while let (head, request) = try await nextRequest() {
                phase = .responding(isEvents: false)
                guard await answer(request, head) else { return }
                phase = .idle
                isFirst = false
                parser.restart()
            }
        } catch let fault as RequestFault {
            await refuse(with: fault, to: nil)
        } catch {
            // The peer has gone or was cut: there is nobody left to tell.
            log.debug("connection ended", ("peer", origin), ("reason", "\(error)"))
        }
    }

    /// Answers what cannot be served and ends the connection in a way that lets the answer arrive.
    private func refuse(with fault: RequestFault, to request: HTTPRequest?) async {
        log.info("request refused", ("peer", origin), ("status", fault.status.code), ("reason", fault.detail))
        var response = fault.response
        response.headers.set("Connection", "close")
        let writer = ResponseWriter(response, to: request, keepsAlive: false)
        do throws(ChannelFailure) {
            try await channel.write(writer.headBytes + writer.wholeBody)
            try await channel.finish(by: SystemClock.monotonic().advanced(by: Limits.lingerTime))
        } catch {
            log.debug("the refusal was not taken", ("peer", origin), ("reason", error))
        }
    }
}

// MARK: - Reading a request

extension ServerConnection {
    /// The next request with its body; nil where the peer has ended the connection between two requests, as it may.
    private func nextRequest() async throws -> (MessageHead, HTTPRequest)? {
        guard let head = try await nextHead() else { return nil }
        let receivedRaw = SystemClock.raw()
        guard let method = HTTPMethod(rawValue: head.method) else { throw RequestFault(.unsupportedMethod) }
        let target = try Self.target(of: head, method: method)
        try await expect(head)
        let body = try await collectBody(head)
        let request = HTTPRequest(
            method: method, target: target.target, version: head.version, headers: target.headers, body: body,
            origin: origin, receivedRaw: receivedRaw)
        return (head, request)
    }

    private func nextHead() async throws -> MessageHead? {
        var deadline = SystemClock.monotonic().advanced(by: isFirst ? settings.headTime : settings.idleTime)
        while true {
            if offset < input.count {
                if case .idle = phase {
                    phase = .reading
                    if !isFirst { deadline = SystemClock.monotonic().advanced(by: settings.headTime) }
                }
                let progress = try parse()
                if let head = progress.head { return head }
            }
            do throws(ChannelFailure) {
                guard let bytes = try await channel.read(by: deadline) else {
                    if parser.hasBegun { throw ChannelFailure.closed }
                    return nil
                }
                (input, offset) = (bytes, 0)
            } catch {
                guard error == .timedOut else { throw error }
                // A kept-alive connection that nobody uses is closed without a word.
                if case .idle = phase, !isFirst { return nil }
                throw RequestFault.slowHead
            }
        }
    }

    private func parse() throws(RequestFault) -> MessageParser.Progress {
        do throws(MessageFault) {
            let progress = try parser.read(input, from: offset)
            offset += progress.consumed
            return progress
        } catch {
            throw RequestFault(error)
        }
    }

    /// Origin form; or absolute form, whose authority then stands for the Host (RFC 9112, section 3.2.2).
    private static func target(
        of head: MessageHead, method: HTTPMethod
    ) throws(RequestFault) -> (target: RequestTarget, headers: HTTPHeaders) {
        var text = Substring(head.target)
        var headers = head.headers
        if text.utf8.first != UInt8(ascii: "/") {
            guard let scheme = text.utf8.firstIndex(of: UInt8(ascii: ":")),
                HTTPHeaders.same(text[..<scheme], "http") || HTTPHeaders.same(text[..<scheme], "https"),
                text[scheme...].hasPrefix("://")
            else { throw RequestFault(.notAPath) }
            let rest = text[text.index(scheme, offsetBy: 3)...]
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            guard !authority.isEmpty, authority.utf8.allSatisfy(HeadRules.isHostByte) else {
                throw RequestFault(.notAPath)
            }
            headers.set("Host", String(authority))
            text = rest[authority.endIndex...]
            if text.utf8.first != UInt8(ascii: "/") { text = "/" + text }
        }
        do throws(RequestTarget.Fault) {
            return (try RequestTarget(text), headers)
        } catch {
            throw RequestFault(error)
        }
    }

    /// Meets `Expect: 100-continue`, unless the body is refused anyway.
    private func expect(_ head: MessageHead) async throws {
        if let length = head.contentLength, length > settings.bodyBytes {
            throw RequestFault.bodyTooLarge(limit: settings.bodyBytes)
        }
        guard let expectation = head.headers["Expect"] else { return }
        guard HTTPHeaders.same(expectation, "100-continue") else { throw RequestFault.expectation }
        let hasBody = head.isChunked || (head.contentLength ?? 0) > 0
        guard head.version == .http11, hasBody, offset == input.count else { return }
        try await channel.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }

    private func collectBody(_ head: MessageHead) async throws -> [UInt8] {
        var body: [UInt8] = []
        if let length = head.contentLength { body.reserveCapacity(Int(min(length, Int64(Channel.pieceBytes)))) }
        let deadline = SystemClock.monotonic().advanced(by: settings.bodyTime)
        while true {
            let progress = try parse()
            for range in progress.body {
                let start = offset - progress.consumed
                body += input[range]
                precondition(range.lowerBound >= start, "a body's bytes are among those read")
            }
            guard body.count <= settings.bodyBytes else { throw RequestFault.bodyTooLarge(limit: settings.bodyBytes) }
            if progress.isComplete { return body }
            do throws(ChannelFailure) {
                guard let bytes = try await channel.read(by: deadline) else { throw ChannelFailure.closed }
                (input, offset) = (bytes, 0)
            } catch {
                guard error == .timedOut else { throw error }
                throw RequestFault.slowBody
            }
        }
    }
}

// MARK: - Answering

extension ServerConnection {
    /// Runs the handler and sends its response; whether the connection goes on. The handler is cancelled when its client goes.
    private func answer(_ request: HTTPRequest, _ head: MessageHead) async -> Bool {
        await channel.beginExchange()
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.serveExchange(request, head) }
            switch await channel.exchangeEnd() {
            case .done: break
            case .gone:
                channel.cut(.closed)
                group.cancelAll()
            case .unwanted: group.cancelAll()
            }
            return await group.next() ?? false
        }
    }

    private func serveExchange(_ request: HTTPRequest, _ head: MessageHead) async -> Bool {
        let goesOn = await serve(request, head)
        await channel.endExchange(.done)
        return goesOn
    }

    private func serve(_ request: HTTPRequest, _ head: MessageHead) async -> Bool {
        let response = await handler(request)
        let keepsAlive = head.keepsAlive && !isDraining && !response.headers.lists("close", in: "Connection")
        let writer = ResponseWriter(response, to: request, keepsAlive: keepsAlive)
        do {
            try await send(writer)
            try await channel.drained(below: settings.sendQueueBytes)
            // The server may have begun to stop while this was sent.
            guard writer.keepsAlive, !isDraining else {
                try await channel.finish(by: SystemClock.monotonic().advanced(by: Limits.lingerTime))
                return false
            }
            return true
        } catch {
            log.info(
                "response cut short", ("peer", origin), ("path", request.path), ("reason", "\(error)"))
            if writer.endsWithConnection { await channel.reset() } else { await channel.close() }
            return false
        }
    }

    private func send(_ writer: ResponseWriter) async throws {
        switch writer.body {
        case .whole(let bytes):
            if bytes.count <= Limits.inlineBodyBytes {
                try await channel.write(writer.headBytes + bytes)
            } else {
                try await channel.write(writer.headBytes)
                try await channel.write(bytes)
            }
        case .stream(let length, let next):
            try await channel.write(writer.headBytes)
            try await stream(length: length, next, writer)
        case .events(let next):
            phase = .responding(isEvents: true)
            if isDraining { await channel.endExchange(.unwanted) }
            try await channel.write(writer.headBytes)
            do {
                try await stream(length: nil, next, writer)
            } catch  where isDraining && !(error is ChannelFailure) {
                // The server stops: the reader is told in good order.
                try await channel.write(writer.lastChunk)
            }
        }
    }

    /// Sends pieces as the client takes them: the next is asked for only while little is queued.
    private func stream(
        length: Int64?, _ next: @Sendable () async throws -> [UInt8]?, _ writer: ResponseWriter
    ) async throws {
        var sent: Int64 = 0
        while true {
            try await channel.drained(below: settings.sendQueueBytes / 2)
            if let length, sent == length { return }
            try Task.checkCancellation()
            guard let piece = try await next() else { break }
            guard !piece.isEmpty else { continue }
            sent += Int64(piece.count)
            if let length, sent > length { throw ProducerFault.tooLong(declared: length) }
            try await channel.write(writer.framed(piece))
        }
        if let length { throw ProducerFault.tooShort(declared: length, given: sent) }
        try await channel.write(writer.lastChunk)
    }
}

/// A producer that does not keep to the length it has declared.
enum ProducerFault: Error, Hashable, Sendable {
    case tooShort(declared: Int64, given: Int64)
    case tooLong(declared: Int64)
}
