internal import HTTP
internal import Model
internal import Reactor
internal import Storage

/// The calls by which open chunks are copied while they grow: `Docs/Protocol.md`, "Live tail".
struct TailRoutes: Sendable {
    let loop: EventLoop
    let store: Store
    let places = StreamPlaces(limit: Limits.tails, perAddress: Limits.tailsPerAddress)

    var routes: [Route] {
        [
            Route(.post, "/v1/tail", .peer) { request, _ in try tails(request) },
            Route(.get, "/v1/sessions/{id}/streams/{stream}/chunks/{index}/tail", .peer) { request, parameters in
                try await tail(request, parameters)
            },
        ]
    }

    private func tails(_ request: HTTPRequest) throws -> HTTPResponse {
        let asked = (try? WireJSON.decode(TailRequestForm.self, from: request.body))?.request
        guard let asked else { throw CallError.invalid("the body is not the JSON that \(request.path) takes") }
        return try answer(asked, to: request.origin)
    }

    private func tail(_ request: HTTPRequest, _ parameters: Route.Parameters) async throws -> HTTPResponse {
        guard let session = SessionID(parameters["id"]), let stream = StreamName(parameters["stream"]),
            let index = Int64(parameters["index"]), index >= 0
        else { throw CallError.notFound("there is no such chunk") }
        guard let from = Int64(request.query("from") ?? "0"), from >= 0 else {
            throw CallError.invalid("from= is a number of bytes")
        }
        let author = try await store.session(session).author
        let slot = ChunkSlot(author: author, session: session, stream: stream, index: index)
        guard let length = store.openLength(of: slot) else {
            throw CallError.notFound("this chunk is not open here; what is sealed is listed with its session")
        }
        guard from <= length else {
            throw CallError(
                status: .conflict, code: "beyond", detail: "\(length) bytes of this chunk are committed here")
        }
        return try answer(TailRequest(copies: [TailPosition(slot: slot, length: from)], only: slot), to: request.origin)
    }

    private func answer(_ asked: TailRequest, to origin: PeerOrigin) throws -> HTTPResponse {
        guard let place = places.take(for: origin) else {
            throw CallError(
                status: .unavailable, code: "limit",
                detail: "as many tails are open as there may be, or as one host may have")
        }
        let feed = TailFeed(on: loop, store: store, request: asked, place: place)
        var response = HTTPResponse.events { try await feed.next() }
        response.headers.set("Content-Type", MediaType.bytes.description)
        // Proxies are known to buffer what they forward.
        response.headers.set("X-Accel-Buffering", "no")
        return response
    }
}
