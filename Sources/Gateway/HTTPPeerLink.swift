package import HTTP
package import Model
package import Reactor
package import Replication

/// Reaches peers over HTTP.
package struct HTTPPeerDialer: PeerDialing {
    private let loop: EventLoop
    private let speaker: Speaker
    private let pacer: ReadPacer?

    /// Who states and asks: a node, or a verb on a node's data directory, which has no name of its own.
    struct Speaker: Sendable {
        let node: NodeID
        let name: String?
        let role: Role?
    }

    package init(
        on loop: EventLoop, node: NodeID, name: String? = nil, role: Role? = nil, pacer: ReadPacer? = nil
    ) {
        self.loop = loop
        self.pacer = pacer
        speaker = Speaker(node: node, name: name, role: role)
    }

    package func dial(_ endpoint: Endpoint) async throws -> any PeerLink {
        let link = HTTPPeerLink(on: loop, endpoint: endpoint, speaker: speaker, pacer: pacer)
        try await link.connect()
        return link
    }
}

/// One connected peer: a few kept-alive connections, one exchange at a time on each.
package actor HTTPPeerLink: PeerLink {
    private enum State { case open, closed }

    let loop: EventLoop
    let endpoint: Endpoint
    let speaker: HTTPPeerDialer.Speaker
    /// The cap that all connections count against.
    let pacer: ReadPacer?
    private var state = State.open
    var idle: [HTTPConnection] = []
    var busy: [ObjectIdentifier: HTTPConnection] = [:]
    var eventConnection: HTTPConnection?
    /// Those that carry a live tail.
    var tailConnections: Set<ObjectIdentifier> = []
    /// Of questions that wait for theirs.
    let turn = PullTurn()
    /// The peer says at any pace that it is there.
    private var hasBeats = false

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(on loop: EventLoop, endpoint: Endpoint, speaker: HTTPPeerDialer.Speaker, pacer: ReadPacer? = nil) {
        self.pacer = pacer
        self.loop = loop
        self.endpoint = endpoint
        self.speaker = speaker
    }

    /// Opens the first connection, which says whether the peer is there at all.
    func connect() async throws { release(try await open(.control)) }

    package func close() async {
        state = .closed
        let all = idle + busy.values
        idle = []
        busy = [:]
        for connection in all { await connection.close() }
    }

    // MARK: Connections

    private func open(_ traffic: TrafficClass) async throws -> HTTPConnection {
        let connection: HTTPConnection
        do {
            connection = try await HTTPConnection.open(
                to: endpoint, on: loop, settings: HTTPConnection.Settings(pacer: pacer, traffic))
        } catch {
            throw PeerLinkError(error)
        }
        guard state == .open else {
            await connection.close()
            throw PeerLinkError.closed
        }
        busy[ObjectIdentifier(connection)] = connection
        return connection
    }

    /// A connection that no other exchange gets.
    func openLive() async throws -> HTTPConnection { try await open(.live) }

    /// A connection for one exchange, and whether it was used before.
    private func acquire(_ traffic: TrafficClass) async throws -> (connection: HTTPConnection, isUsed: Bool) {
        guard state == .open else { throw PeerLinkError.closed }
        // Each class has its own: what a small window holds back must not hold back answers to questions.
        while let position = idle.lastIndex(where: { $0.kind == traffic.kind }) {
            let connection = idle.remove(at: position)
            busy[ObjectIdentifier(connection)] = connection
            if await connection.isIdle { return (connection, true) }
            busy[ObjectIdentifier(connection)] = nil
        }
        return (try await open(traffic), false)
    }

    func release(_ connection: HTTPConnection) {
        guard busy.removeValue(forKey: ObjectIdentifier(connection)) != nil, state == .open else { return }
        idle.append(connection)
    }

    func discard(_ connection: HTTPConnection) async {
        busy[ObjectIdentifier(connection)] = nil
        tailConnections.remove(ObjectIdentifier(connection))
        await connection.close()
    }

    /// Sends a request and gives its response with the connection that carries the body. A kept-alive connection that
    /// the peer had ended is replaced once.
    func exchange(
        _ request: HTTPClientRequest
    ) async throws -> (response: HTTPClientResponse, connection: HTTPConnection) {
        let traffic = request.traffic ?? .control
        var (connection, isUsed) = try await acquire(traffic)
        while true {
            do {
                return (try await connection.send(request), connection)
            } catch {
                await discard(connection)
                guard isUsed, error.kind == .closedBeforeResponse else { throw PeerLinkError(error) }
                connection = try await open(traffic)
                isUsed = false
            }
        }
    }

    /// A whole answer in memory.
    func call(
        _ request: HTTPClientRequest, limit: Int
    ) async throws -> (body: [UInt8], headers: HTTPHeaders) {
        let (response, connection) = try await exchange(request)
        let body: [UInt8]
        do {
            body = try await response.body.collect(limit: limit)
        } catch {
            await discard(connection)
            throw PeerLinkError(error)
        }
        release(connection)
        guard response.status.isSuccess else { throw Self.refusal(response.status, body) }
        return (body, response.headers)
    }

    fileprivate static func refusal(_ status: HTTPStatus, _ body: [UInt8]) -> PeerLinkError {
        let form = try? WireJSON.decode(ErrorForm.self, from: body)
        return .refused(status: status.code, reason: String((form?.detail ?? status.reason).prefix(200)))
    }

    func decode<Form: Decodable>(_ form: Form.Type, _ body: [UInt8]) throws(PeerLinkError) -> Form {
        do {
            return try WireJSON.decode(form, from: body)
        } catch {
            throw .malformed(reason: "not the JSON of \(form)")
        }
    }

    // MARK: Calls

    package func greeting() async throws -> PeerGreeting {
        let (body, _) = try await call(HTTPClientRequest(.get, "/v1/node"), limit: Limits.smallAnswerBytes)
        let greeting = try decode(NodeForm.self, body).greeting
        hasBeats = greeting.capabilities.contains("heartbeat")
        return greeting
    }

    package func have(author: NodeID?) async throws -> HaveAnswer {
        let query = author.map { "?author=\($0)" } ?? ""
        let (body, _) = try await call(HTTPClientRequest(.get, "/v1/have" + query), limit: Limits.requestBodyBytes)
        let form = try decode(HaveForm.self, body)
        guard form.head >= 0 else { throw PeerLinkError.malformed(reason: "a negative head") }
        return HaveAnswer(head: form.head, epoch: form.epoch, holdings: form.authors)
    }

    package func postHave(_ statement: HoldingsStatement) async throws -> Bool {
        let form = StatementForm(
            node: speaker.node, name: speaker.name, role: speaker.role?.rawValue, epoch: statement.epoch,
            head: statement.head, whole: statement.isWhole, authors: statement.holdings)
        let (body, _) = try await call(json("/v1/have", form), limit: Limits.smallAnswerBytes)
        return try decode(StatementAnswerForm.self, body).needsWhole
    }

    package func facts(in ranges: Holdings) async throws -> FactsAnswer {
        var query = ""
        if let cap = pacer?.cap {
            // It comes at once, whatever else has its turn: a short one leaves the cap whole.
            let bytes = max(Limits.factsAnswerFloor, Int64(Double(cap) * Limits.cappedFactsTime.inSeconds))
            if bytes < Limits.factsAnswerBytes { query = "?bytes=\(bytes)" }
        }
        var request = json("/v1/facts" + query, FactsForm(authors: ranges))
        request.traffic = .facts
        request.onTurn = Self.tell(turn)
        let (body, headers) = try await call(request, limit: Limits.factsAnswerBytes + Limits.factBytes + 1)
        let lines = body.split(separator: UInt8(ascii: "\n")).map(Array.init)
        return FactsAnswer(facts: lines, hasMore: headers[QnodeHeader.more] == "true")
    }

    func json(_ target: String, _ form: some Encodable) -> HTTPClientRequest {
        HTTPClientRequest(
            .post, target, headers: ["Content-Type": MediaType.json.description], body: WireJSON.encode(form))
    }

    package func events(after seq: Int64?, author: NodeID?) async throws -> any PeerEvents {
        var items: [String] = []
        if let seq { items.append("after=\(seq)") }
        if let author { items.append("author=\(author)") }
        if hasBeats { items.append("heartbeat_ms=\(Limits.linkHeartbeat.nanoseconds / 1_000_000)") }
        let query = items.isEmpty ? "" : "?" + items.joined(separator: "&")
        // A stream may rest for a heartbeat; the follower decides when silence is too long.
        let request = HTTPClientRequest(
            .get, "/v1/events" + query, headers: ["Accept": MediaType.eventStream.description],
            bodyTime: Limits.heartbeatInterval * 6)
        let (response, connection) = try await exchange(request)
        guard response.status.isSuccess else { throw try await refusal(response, on: connection) }
        // A stream that is begun anew ends the one before: nobody reads that any more.
        if let old = eventConnection { await discard(old) }
        eventConnection = connection
        return HTTPPeerEvents(on: loop, body: response.body)
    }

    package func chunk(_ id: ChunkID, from offset: Int64, rank: PullRank) async throws -> any ChunkTransfer {
        var headers: HTTPHeaders = [:]
        if offset > 0 { headers.set("Range", "bytes=\(offset)-") }
        var request = HTTPClientRequest(
            .get, "/v1/chunks/\(id)", headers: headers, traffic: .data(priority: rank.priority),
            expectedBytes: rank.bytes.map { $0 - offset + Limits.answerHeadBytes })
        request.onTurn = Self.tell(rank.turn)
        let (response, connection) = try await exchange(request)
        switch response.status {
        case .ok where offset == 0:
            guard let length = response.contentLength else { break }
            return HTTPChunkTransfer(link: self, connection: connection, body: response.body, totalLength: length)
        case .partialContent:
            guard let range = response.headers["Content-Range"].flatMap(ContentRange.init),
                range.range.lowerBound == offset,
                let length = range.length, range.range.upperBound == length
            else { break }
            return HTTPChunkTransfer(link: self, connection: connection, body: response.body, totalLength: length)
        case .notFound:
            _ = try await refusal(response, on: connection)
            throw PeerLinkError.notFound
        default: throw try await refusal(response, on: connection)
        }
        await discard(connection)
        throw PeerLinkError.malformed(reason: "a chunk's answer without its length")
    }

    func refusal(
        _ response: HTTPClientResponse, on connection: HTTPConnection
    ) async throws -> PeerLinkError {
        do {
            let body = try await response.body.collect(limit: Limits.smallAnswerBytes)
            // Nobody takes up one that was opened for a tail.
            if connection.kind == .live { await discard(connection) } else { release(connection) }
            return Self.refusal(response.status, body)
        } catch {
            await discard(connection)
            return PeerLinkError(error)
        }
    }
}

/// A chunk on its way; gives its connection back at the end.
private struct HTTPChunkTransfer: ChunkTransfer {
    let link: HTTPPeerLink
    let connection: HTTPConnection
    let body: HTTPClientBody
    let totalLength: Int64

    func next() async throws -> [UInt8]? {
        do {
            guard let piece = try await body.next() else {
                await link.release(connection)
                return nil
            }
            return piece
        } catch {
            await link.discard(connection)
            throw PeerLinkError(error)
        }
    }

    func close() async { await link.discard(connection) }
}

/// A peer's event stream, parsed.
private actor HTTPPeerEvents: PeerEvents {
    private let loop: EventLoop
    private let body: HTTPClientBody
    private var parser = ServerSentEventParser()
    private var pending: [PeerEvent] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(on loop: EventLoop, body: HTTPClientBody) {
        self.loop = loop
        self.body = body
    }

    func next() async throws -> PeerEvent? {
        while pending.isEmpty {
            let comments = parser.commentCount
            do {
                guard let piece = try await body.next() else { return nil }
                pending = try parser.consume(piece).map(Self.event).reversed()
            } catch let error as HTTPClientError {
                throw PeerLinkError(error)
            } catch let error as ServerSentEventParser.Failure {
                throw PeerLinkError.malformed(reason: "\(error)")
            }
            if pending.isEmpty, parser.commentCount > comments { return .heartbeat }
        }
        return pending.removeLast()
    }

    private static func event(_ event: ServerSentEvent) throws(PeerLinkError) -> PeerEvent {
        let data = Array(event.data.utf8)
        switch event.name {
        case "hello":
            guard let form = try? WireJSON.decode(HelloForm.self, from: data), form.head >= 0 else {
                throw .malformed(reason: "hello")
            }
            return .hello(epoch: form.epoch, head: form.head)
        case "status": return .status(data)
        case "tail":
            guard let form = try? WireJSON.decode(TailForm.self, from: data) else { throw .malformed(reason: "tail") }
            return .tail(
                author: form.author, session: form.session, stream: form.stream, index: form.index,
                length: max(0, form.length))
        default:
            // A fact of any kind has a position; what has none is an event of a later release.
            guard let parts = event.id?.split(separator: "-"), parts.count == 2, let epoch = Incarnation(parts[0]),
                let seq = Int64(parts[1]), seq >= 1
            else { return .heartbeat }
            return .fact(seq: seq, epoch: epoch, kind: event.name, bytes: data)
        }
    }
}

extension PeerLinkError {
    init(_ error: HTTPClientError) {
        self =
            switch error {
            case .unreachable, .unresolved, .tooManyLookups: .unreachable(reason: error.description)
            case .connectTimeout, .headTimeout, .bodyTimeout, .stalled: .timedOut
            case .closedBeforeResponse, .broken, .closed, .cancelled, .busy: .closed
            case .cutShort: .cutOff
            case .surplus, .malformed, .bodyTooLarge: .malformed(reason: error.description)
            }
    }
}
