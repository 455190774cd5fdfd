internal import HTTP
internal import Model
internal import Recording
internal import Replication
internal import Storage

/// The calls of the person at this machine: `Docs/Protocol.md`, "For the person at the machine".
struct LocalRoutes: Sendable {
    let parts: NodeParts

    var routes: [Route] {
        [
            Route(.get, "/v1/status", .local) { _, _ in .json(WireJSON.encode(try await parts.status())) },
            Route(.get, "/v1/sessions", .local) { _, _ in .json(WireJSON.encode(try await parts.sessions())) },
            Route(.get, "/v1/sessions/{id}", .local) { _, parameters in
                guard let id = SessionID(parameters["id"]) else { throw CallError.notFound("a session's id is a UUID") }
                return .json(WireJSON.encode(try await parts.session(id)))
            },
            Route(.post, "/v1/sessions/{id}/close", .local) { _, parameters in
                guard let id = SessionID(parameters["id"]) else { throw CallError.notFound("a session's id is a UUID") }
                return .json(WireJSON.encode(ClosedForm(id, try await parts.store.closeSession(id))))
            },
            Route(.post, "/v1/recordings", .local) { request, _ in try await start(request) },
            Route(.delete, "/v1/recordings/current", .local) { _, _ in try await stop() },
            Route(.post, "/v1/markers", .local) { request, _ in try await mark(request) },
            Route(.post, "/v1/suspects", .local) { request, _ in
                let form = try body(SuspectsForm.self, request)
                await parts.store.suspect(Array(form.chunks.prefix(Limits.suspects)), log: form.log)
                return HTTPResponse(.accepted)
            },
            Route(.put, "/v1/settings/{name}", .local) { request, parameters in
                let form = try body(CapForm.self, request)
                try await parts.caps.set(parameters["name"], form)
                return .json(WireJSON.encode(form))
            },
            Route(.post, "/v1/pull", .local) { _, _ in
                await parts.replicator.requestPull()
                return HTTPResponse(.accepted)
            },
        ]
    }

    private func recorder() throws(CallError) -> Recorder {
        guard let recorder = parts.recorder else {
            throw CallError(
                status: .failedDependency, code: "no_instrument",
                detail: "this node has no instrument; start it with --serial, --source or --simulate")
        }
        return recorder
    }

    private func body<Form: Decodable>(_ form: Form.Type, _ request: HTTPRequest) throws(CallError) -> Form {
        do {
            return try WireJSON.decode(form, from: request.body.isEmpty ? Array("{}".utf8) : request.body)
        } catch {
            throw .invalid("the body is not the JSON that \(request.path) takes")
        }
    }

    private func start(_ request: HTTPRequest) async throws -> HTTPResponse {
        let recorder = try recorder()
        let started = try await recorder.start(try body(RecordingRequestForm.self, request).request())
        return .json(WireJSON.encode(StartedForm(session: started.session)), status: .created)
    }

    private func stop() async throws -> HTTPResponse {
        .json(WireJSON.encode(StoppedForm(try await recorder().stop())))
    }

    private func mark(_ request: HTTPRequest) async throws -> HTTPResponse {
        let form = try body(MarkerForm.self, request)
        guard (form.type?.utf8.count ?? 0) <= Limits.markerTypeBytes,
            (form.text?.utf8.count ?? 0) <= Limits.markerTextBytes
        else { throw CallError.invalid("a marker's type or text is too long") }
        let id = UniqueID.random().description
        let recorded = try await recorder().mark(id: id, type: form.type, text: form.text)
        return .json(
            WireJSON.encode(MarkedForm(id: id, timestamp: Timestamp.text(recorded.fact.at.realtime))), status: .created)
    }
}
