internal import HTTP
package import Model
internal import Reactor
internal import Replication
internal import Storage
internal import Timekeeping

/// Who this node is, for those who ask.
package struct NodeProfile: Sendable {
    package let id: NodeID
    package let name: String
    package let role: Role
    package let version: String
    /// What it fetches from peers, in the words of its setting.
    package let pull: String

    package init(id: NodeID, name: String, role: Role, version: String, pull: String = "all") {
        self.pull = pull
        self.id = id
        self.name = name
        self.role = role
        self.version = version
    }
}

/// The calls that nodes make of each other: `Docs/Protocol.md`, "Between nodes".
struct PeerRoutes: Sendable {
    let loop: EventLoop
    let identity: NodeProfile
    let store: Store
    let growth: GrowthWatch
    /// How this node's own peers stand.
    let news: @Sendable () -> PeerWatch.News
    let reader: ChunkReader
    let places = StreamPlaces(limit: Limits.eventStreams, perAddress: Limits.eventStreamsPerAddress)
    /// A peer stated what it holds.
    let stated: @Sendable (StatementForm) async -> AcknowledgedHoldings.Outcome

    var routes: [Route] {
        [
            Route(.get, "/v1/node", .peer) { _, _ in try await node() },
            Route(.get, "/v1/have", .peer) { request, _ in try await have(request) },
            Route(.post, "/v1/have", .peer) { request, _ in try await takeStatement(request) },
            Route(.post, "/v1/facts", .peer) { request, _ in try await facts(request) },
            Route(.get, "/v1/events", .peer) { request, _ in try events(request) },
            Route(.get, "/v1/chunks/{sha256}", .peer) { request, parameters in
                try await chunk(request, parameters["sha256"])
            },
            Route(.post, "/v1/chunks", .peer) { request, _ in try bundle(request) },
            Route(.get, "/v1/clock", .peer) { request, _ in clock(request) },
        ]
    }

    private func node() async throws -> HTTPResponse {
        .json(
            WireJSON.encode(
                NodeForm(
                    id: identity.id, name: identity.name, role: identity.role, version: identity.version,
                    epoch: store.incarnation, head: await store.head(),
                    capabilities: ["facts", "events", "chunks", "clock", "heartbeat", "tail", "bundle"])))
    }

    private func author(_ request: HTTPRequest) throws(CallError) -> NodeID? {
        guard let text = request.query("author") else { return nil }
        guard let author = NodeID(text) else { throw .invalid("author= is a node's id, 64 hex digits") }
        return author
    }

    private func have(_ request: HTTPRequest) async throws -> HTTPResponse {
        let author = try author(request)
        let (holdings, head) = try await store.holdings()
        let shown = author.map { author in holdings.filtered { $0 == author } } ?? holdings
        return .json(WireJSON.encode(HaveForm(head: head, epoch: store.incarnation, authors: shown)))
    }

    private func takeStatement(_ request: HTTPRequest) async throws -> HTTPResponse {
        let form = try decode(StatementForm.self, request)
        guard form.node != identity.id else { throw CallError.invalid("a node does not state to itself") }
        let outcome = await stated(form)
        return .json(WireJSON.encode(StatementAnswerForm(needsWhole: outcome == .needsWhole)))
    }

    private func facts(_ request: HTTPRequest) async throws -> HTTPResponse {
        let asked = try decode(FactsForm.self, request).authors
        var bytes = Limits.factsAnswerBytes
        if let text = request.query("bytes") {
            guard let least = Int(text), least > 0 else { throw CallError.invalid("bytes= is a number of bytes") }
            bytes = min(bytes, least)
        }
        let (facts, more) = try await store.facts(in: asked, byteLimit: bytes)
        var body: [UInt8] = []
        for fact in facts {
            body += fact.bytes
            body.append(UInt8(ascii: "\n"))
        }
        var response = HTTPResponse(.ok, .jsonLines, body)
        response.headers.set(QnodeHeader.more, more ? "true" : "false")
        return response
    }

    private func events(_ request: HTTPRequest) throws -> HTTPResponse {
        let start = try EventStart(request, epoch: store.incarnation)
        let author = try author(request)
        let heartbeat = try heartbeat(request)
        guard let place = places.take(for: request.origin) else {
            throw CallError(
                status: .unavailable, code: "limit",
                detail: "as many event streams are open as there may be, or as one host may have")
        }
        let feed = EventFeed(
            on: loop, store: store, growth: growth, news: news, author: author, start: start.seq, heartbeat: heartbeat,
            place: place)
        var response = HTTPResponse.events { try await feed.next() }
        // Proxies are known to buffer what they forward.
        response.headers.set("X-Accel-Buffering", "no")
        return response
    }

    /// How often the client wants to hear that the node is there, as far as that is sensible.
    private func heartbeat(_ request: HTTPRequest) throws(CallError) -> Duration {
        guard let text = request.query("heartbeat_ms") else { return Limits.heartbeatInterval }
        guard let wish = Int64(text), wish > 0, wish < 1_000_000 else {
            throw .invalid("heartbeat_ms= is a number of milliseconds")
        }
        let range = Limits.heartbeatRange
        return min(max(.milliseconds(wish), range.lowerBound), range.upperBound)
    }

    private func chunk(_ request: HTTPRequest, _ name: String) async throws -> HTTPResponse {
        guard let id = ChunkID(name) else { throw CallError.notFound("a chunk's name is 64 hex digits") }
        return ChunkResponse(reader: reader).answer(request, try await store.openChunk(id), type: .bytes)
    }

    private func bundle(_ request: HTTPRequest) throws -> HTTPResponse {
        let names = try decode(BundleRequestForm.self, request).chunks
        guard names.count <= Limits.bundleChunks else {
            throw CallError.invalid("chunks names at most \(Limits.bundleChunks)")
        }
        let ids = names.compactMap { ChunkID($0) }
        guard ids.count == names.count else { throw CallError.invalid("a chunk's name is 64 hex digits") }
        return BundleResponse(store: store) { [reader] in try await reader.pace($0) }.answer(ids)
    }

    private func clock(_ request: HTTPRequest) -> HTTPResponse {
        let sent = ClockSample.now()
        // The head was read earlier than this ran: the other clocks are carried back by the raw one.
        let age = max(0, sent.raw - request.receivedRaw)
        let received =
            request.receivedRaw == 0
            ? sent
            : ClockSample(
                raw: request.receivedRaw, realtime: sent.realtime - age, boottime: sent.boottime - age,
                uncertainty: sent.uncertainty + age / 10_000)
        var response = HTTPResponse.json(
            WireJSON.encode(
                ClockForm(received: .init(received), sent: .init(.now()), bootID: SystemClock.reading().bootID)))
        response.headers.set("Cache-Control", "no-store")
        return response
    }

    private func decode<Form: Decodable>(_ form: Form.Type, _ request: HTTPRequest) throws(CallError) -> Form {
        do {
            return try WireJSON.decode(form, from: request.body)
        } catch {
            throw .invalid("the body is not the JSON that \(request.path) takes")
        }
    }
}
