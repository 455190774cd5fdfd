internal import Model
internal import Reactor

/// One connection of the server: reads a request, has it answered, and only then looks at the next.
actor ServerConnection {
    /// Where the connection is between two requests; what a graceful stop may close at once, and what it lets finish.
    enum Phase {
        /// Nothing of a request has come.
        case idle
        case reading
        case responding(isEvents: Bool)
    }

    let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let channel: Channel
    let origin: PeerOrigin
    let settings: HTTPServer.Settings
    let budget: ByteBudget
    /// Bytes of the request at hand that count against the budget.
    var bodyHeld = 0
    let handler: HTTPServer.Handler
    let log: Log
    let parser = MessageParser(.request)
    var phase = Phase.idle
    var isFirst = true
    var isDraining = false
    /// Bytes that were read and not yet taken by the parser.
    var input: [UInt8] = []
    var offset = 0

    init(
        _ channel: Channel, from origin: PeerOrigin, on loop: EventLoop, settings: HTTPServer.Settings,
        budget: ByteBudget, log: Log, handler: @escaping HTTPServer.Handler
    ) {
        self.channel = channel
        self.origin = origin
        self.loop = loop
        self.settings = settings
        self.budget = budget
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
        defer { giveBodyBack() }
        do {
            while let (head, request) = try await nextRequest() {
                phase = .responding(isEvents: false)
                guard await answer(request, head) else { return }
                giveBodyBack()
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

    private func giveBodyBack() {
        budget.give(bodyHeld)
        bodyHeld = 0
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
            for range in progress.body { body += input[range] }
            guard body.count <= settings.bodyBytes else { throw RequestFault.bodyTooLarge(limit: settings.bodyBytes) }
            guard budget.take(body.count - bodyHeld) else { throw RequestFault.tooManyBodies }
            bodyHeld = body.count
            if progress.isComplete {
                // An idle connection holds on to no buffer.
                if offset == input.count { (input, offset) = ([], 0) }
                return body
            }
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
