internal import Gateway
internal import HTTP
internal import Model
internal import Reactor
internal import Storage

extension SessionsOptions {
    /// Prints the sessions of the running node, or of the data directory where none runs.
    func execute() -> Int32 {
        onLoop { loop in
            if let session, closes { return printed(try await close(session, on: loop)) }
            if let session {
                let detail = try await detail(of: session, on: loop)
                return printed(json ? jsonText(detail) : Self.text(detail))
            }
            let all = try await list(on: loop).filter { mission == nil || $0.mission == mission }
            return printed(json ? jsonText(all) : Self.text(all))
        }
    }

    private func list(on loop: EventLoop) async throws -> [SessionForm] {
        if let node = try await LocalNode.find(data, on: loop) {
            return try await node.get([SessionForm].self, "/v1/sessions")
        }
        return try await IdleStore.with(data) { store in try await store.sessionForms() }
    }

    private func detail(of id: SessionID, on loop: EventLoop) async throws -> SessionDetailForm {
        if let node = try await LocalNode.find(data, on: loop) {
            return try await node.get(SessionDetailForm.self, "/v1/sessions/\(id)")
        }
        return try await IdleStore.with(data) { store in try await store.sessionForm(id) }
    }

    private func close(_ id: SessionID, on loop: EventLoop) async throws -> String {
        let form: ClosedForm
        if let node = try await LocalNode.find(data, on: loop) {
            let answer = try await node.call(HTTPClientRequest(.post, "/v1/sessions/\(id)/close"))
            form = try WireJSON.decode(ClosedForm.self, from: answer)
        } else {
            form = try await IdleStore.with(data) { store in ClosedForm(id, try await store.closeSession(id)) }
        }
        if json { return jsonText(form) }
        let amount = StatusWords(style: .plain).rowsInChunks(form.rows, form.chunks)
        return "session \(id) ended, \(form.reason): \(amount), \(form.sealedChunks) sealed now\n"
    }

    private static func text(_ sessions: [SessionForm]) -> String {
        guard !sessions.isEmpty else { return "no sessions\n" }
        var table = TerminalTable([
            ("SESSION", .left), ("MISSION", .left), ("STARTED", .left), ("ENDED", .left), ("ROWS", .right),
            ("CHUNKS", .right), ("BYTES", .right), ("STATE", .left),
        ])
        for session in sessions {
            let data = session.streams["data"]
            let missing =
                session.missingChunks > 0
                ? "\(session.missingChunks) chunks missing" : session.endedAt == nil ? "open" : "incomplete"
            let growing = session.partial ? ", partial: \(TerminalQuantity.count(session.partialRows)) rows more" : ""
            let state = session.complete ? "complete" : missing + growing
            table.append([
                session.id.description, session.mission, String(session.startedAt.prefix(19)),
                session.endedAt.map { String($0.prefix(19)) + " \(session.endReason ?? "")" } ?? "–",
                TerminalQuantity.count(data?.rows ?? 0), TerminalQuantity.count(data?.chunks ?? 0),
                TerminalQuantity.bytes(session.streams.values.reduce(0) { $0 + $1.bytes }), state,
            ])
        }
        return table.text(style: .ofStandardOutput)
    }

    private static func text(_ detail: SessionDetailForm) -> String {
        var table = TerminalTable([
            ("STREAM", .left), ("INDEX", .right), ("ROWS", .right), ("BYTES", .right), ("FIRST ROW AT", .left),
            ("SHA-256", .left),
        ])
        for chunk in detail.chunks {
            table.append([
                chunk.stream.description + (chunk.variant ? " (variant)" : ""), "\(chunk.index)",
                TerminalQuantity.count(chunk.rows), TerminalQuantity.count(chunk.bytes), chunk.firstAt,
                chunk.sha256.description,
            ])
        }
        for partial in detail.partials {
            table.append([
                "\(partial.stream) (partial)", "\(partial.index)", TerminalQuantity.count(partial.rows),
                TerminalQuantity.count(partial.bytes), partial.firstAt, "not sealed",
            ])
        }
        return text([detail.session]) + "\n" + TerminalText.safe(detail.session.folder) + "\n\n"
            + table.text(style: .ofStandardOutput)
    }
}

func jsonText(_ value: some Encodable) -> String { String(decoding: WireJSON.encode(value), as: UTF8.self) + "\n" }

extension RecordOptions {
    /// Starts or stops a recording of the running node, or has it remember a moment.
    func execute() -> Int32 {
        onLoop { loop in
            guard let node = try await LocalNode.find(data, on: loop) else {
                throw NodeError("no node runs on \(data); start one with qnode --role vehicle --data \(data)")
            }
            let answer: [UInt8]
            let sentence: String
            switch action {
            case .start(let mission, let interval, let metadata):
                let form = RecordingRequestForm(
                    mission: mission, metadata: metadata.mapValues { .string($0) }, chunkIntervalS: interval?.inSeconds)
                answer = try await node.send(.post, "/v1/recordings", form)
                sentence = "recording session \(try WireJSON.decode(StartedForm.self, from: answer).session)\n"
            case .stop:
                answer = try await node.call(HTTPClientRequest(.delete, "/v1/recordings/current"))
                let stopped = try WireJSON.decode(StoppedForm.self, from: answer)
                let amount = StatusWords(style: .plain).rowsInChunks(stopped.rows, stopped.chunks)
                sentence = "session \(stopped.session) ended: \(amount)\n"
            case .marker(let type, let text):
                answer = try await node.send(.post, "/v1/markers", MarkerForm(type: type, text: text))
                sentence = "marked at \(try WireJSON.decode(MarkedForm.self, from: answer).timestamp)\n"
            }
            return printed(json ? String(decoding: answer, as: UTF8.self) + "\n" : sentence)
        }
    }
}

/// `peers` and `clock`: two parts of the status.
enum PeerVerbs {
    static func peers(_ options: FactsOptions) -> Int32 {
        withStatus(options) { status in
            if options.json { return jsonText(status.peers) }
            guard !status.peers.isEmpty else {
                return "no peers: none was seen on the link, none is named with --peer\n"
            }
            var table = TerminalTable([
                ("NODE", .left), ("NAME", .left), ("ROLE", .left), ("ADDRESS", .left), ("STATE", .left),
                ("BACKLOG", .right), ("PULLED", .right), ("ERRORS", .right), ("LAST TROUBLE", .left),
            ])
            for peer in status.peers {
                table.append([
                    peer.id?.short ?? "?", peer.name ?? "?", peer.role?.rawValue ?? "?",
                    peer.endpoint?.description ?? "–",
                    peer.state, peer.backlogCount.map { TerminalQuantity.count($0) } ?? "–",
                    TerminalQuantity.bytes(peer.bytesMirrored),
                    TerminalQuantity.count(peer.errorCount), peer.lastError ?? "",
                ])
            }
            return table.text(style: .ofStandardOutput)
        }
    }

    static func clock(_ options: FactsOptions) -> Int32 {
        withStatus(options) { status in
            if options.json { return jsonText(status.clocks) }
            guard !status.clocks.isEmpty else { return "no clock is compared yet: no peer is connected\n" }
            return status.clocks.map { clock in
                let name = status.peers.first { $0.id == clock.peer }?.name ?? clock.peer.short
                let delay = clock.delayNs.map { TerminalQuantity.duration(.nanoseconds($0.value)) } ?? "–"
                return TerminalText.safe(name) + ": " + ClockText.offset(clock)
                    + "; delay \(delay), \(clock.exchanges) exchanges, last \(clock.lastAt ?? "never")\n"
            }.joined()
        }
    }

    private static func withStatus(
        _ options: FactsOptions, _ text: @escaping @Sendable (NodeStatusForm) -> String
    ) -> Int32 {
        onLoop { loop in
            guard let node = try await LocalNode.find(options.data, on: loop) else {
                throw NodeError("no node runs on \(options.data); this is known only to a running one")
            }
            return printed(text(try await node.get(NodeStatusForm.self, "/v1/status")))
        }
    }
}
