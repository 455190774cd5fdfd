internal import FoundationEssentials
internal import Gateway
internal import HTTP
internal import Model
internal import Reactor

/// A node of this machine as a look at its data directory found it.
struct NodeView: Sendable {
    enum State: Sendable {
        case running(NodeStatusForm, json: String)
        case absent
        /// It runs and does not answer, or may not be asked by this user.
        case mute(reason: String)
    }

    let data: String
    let state: State

    var status: NodeStatusForm? { if case .running(let status, _) = state { status } else { nil } }
}

extension StatusOptions {
    /// Prints how the running nodes are, once or again and again.
    func execute() -> Int32 {
        onLoop { loop in
            if waitsSynced { return try await waitUntilSynced(on: loop) }
            guard let watch else { return printOnce(try await look(on: loop)) }
            let isTerminal = TerminalStream.output.isTerminal && !json
            let screen = TerminalScreen(on: .output)
            if isTerminal { try screen.begin() }
            defer { if isTerminal { screen.end() } }
            while true {
                let nodes = try await look(on: loop)
                if isTerminal {
                    try screen.show(frame(nodes, style: .ofStandardOutput))
                } else {
                    try TerminalStream.output.write(json ? jsonLines(nodes) : StatusLine.text(nodes))
                }
                try await loop.sleep(for: watch)
            }
        }
    }

    func look(on loop: EventLoop) async throws -> [NodeView] {
        var nodes: [NodeView] = []
        for path in data { nodes.append(NodeView(data: path, state: try await Self.state(of: path, on: loop))) }
        return nodes
    }

    private static func state(of data: String, on loop: EventLoop) async throws -> NodeView.State {
        do {
            guard let node = try await LocalNode.find(data, on: loop) else { return .absent }
            let answer: [UInt8]
            do {
                answer = try await node.call(HTTPClientRequest(.get, "/v1/status"))
            } catch {
                await node.close()
                throw error
            }
            await node.close()
            return .running(
                try WireJSON.decode(NodeStatusForm.self, from: answer), json: String(decoding: answer, as: UTF8.self))
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            return .mute(reason: NodeError(error).description)
        }
    }

    func printOnce(_ nodes: [NodeView]) -> Int32 {
        let code = printed(json ? jsonLines(nodes) : frame(nodes, style: .ofStandardOutput))
        return code == 0 && nodes.contains { $0.status == nil } ? 1 : code
    }

    private func frame(_ nodes: [NodeView], style: TerminalStyle) -> String {
        guard nodes.count == 1, let node = nodes.first else { return StatusOverview(style: style).text(nodes) }
        switch node.state {
        case .running(let status, _): return StatusText(style: style).text(status)
        case .absent: return "no node runs on \(TerminalText.safe(node.data))\n"
        case .mute(let reason): return "\(TerminalText.safe(node.data)): \(TerminalText.safe(reason))\n"
        }
    }

    private struct NotRunning: Encodable {
        let running = false
        let path: String
        let reason: String?
    }

    /// One object a line.
    private func jsonLines(_ nodes: [NodeView]) -> String {
        nodes.map { node in
            switch node.state {
            case .running(_, let json): json + "\n"
            case .absent: jsonText(NotRunning(path: node.data, reason: nil))
            case .mute(let reason): jsonText(NotRunning(path: node.data, reason: reason))
            }
        }
        .joined()
    }
}

/// `status` of one node for people.
struct StatusText {
    let style: TerminalStyle

    func text(_ status: NodeStatusForm) -> String {
        var rows: [(String, String)] = []
        let node = status.node
        let endpoints = node.listen.map(\.description).joined(separator: ", ")
        let words = StatusWords(style: style)
        let name = "\(TerminalText.safe(node.name)) (\(node.id.short))"
        rows.append((node.role.rawValue, "\(name), up \(words.duration(node.uptimeS)), at \(endpoints)"))
        if let instrument = status.instrument { rows.append(("sensor", words.text(instrument))) }
        if let recording = status.recording { rows += lines(recording, words) }
        rows.append(("holds", held(status.store, words)))
        for trouble in status.store.health.troubles { rows.append(("disk", style.bad(TerminalText.safe(trouble)))) }
        if let last = status.store.health.latest.last {
            rows.append(("store", words.incidents(status.store.health, last)))
        }
        for peer in status.peers { rows.append(("peer", text(peer, words, records: status.recording != nil))) }
        if let caps = status.caps { rows.append(("caps", words.caps(caps))) }
        for clock in status.clocks { rows.append(("clock", words.clock(clock, status.peers))) }
        rows.append(("mdns", text(status.discovery)))
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { style.bold(TerminalText.padded($0.0, to: width)) + "  " + $0.1 + "\n" }.joined()
    }

    private func held(_ store: StoreForm, _ words: StatusWords) -> String {
        var text = "nothing yet"
        if let indexed = store.indexed {
            text = style.doubtful("the index is being made from the log, \(Int(indexed * 100)) % done")
        } else if store.sessions > 0 {
            text = words.rowsInChunks(store.rows, store.dataChunks)
            text += " of \(words.counted(store.sessions, "session")), \(TerminalQuantity.bytes(store.chunkBytes))"
            text += " with the raw lines"
        }
        text += "; \(TerminalQuantity.bytes(store.freeBytes)) free"
        if let age = store.oldestReadAgeS { text += "; every byte read within \(words.duration(age))" }
        if store.wanted > 0 { text += "; " + style.doubtful("\(words.count(store.wanted)) chunks still to come") }
        if store.copies > 0 { text += "; \(words.counted(store.copies, "growing chunk")) of other nodes" }
        if store.quarantined > 0 {
            text += "; " + style.bad("\(words.counted(store.quarantined, "file")) in quarantine, see qnode verify")
        }
        return text
    }

    private func lines(_ recording: RecordingForm, _ words: StatusWords) -> [(String, String)] {
        guard recording.isRecording, let session = recording.session else {
            return [("recording", recording.trouble.map { style.bad(TerminalText.safe($0)) } ?? "nothing")]
        }
        var text = "mission \(TerminalText.safe(recording.mission ?? "")): \(words.count(recording.rows)) rows, "
        text += "\(words.count(recording.rows - recording.openChunkRows)) in "
        text += "\(words.counted(recording.sealedChunks, "sealed chunk")), "
        text += "\(words.count(recording.openChunkRows)) in the growing one"
        if recording.rowsLost > 0 { text += ", " + style.bad("\(words.count(recording.rowsLost)) rows lost") }
        if let trouble = recording.trouble { text += ", " + style.bad(TerminalText.safe(trouble)) }
        var rows = [("recording", text), ("session", session.description)]
        if let file = recording.growingFile { rows.append(("growing", TerminalText.safe(file))) }
        return rows
    }

    private func text(_ peer: PeerForm, _ words: StatusWords, records: Bool) -> String {
        var text = words.name(peer)
        if let role = peer.role, peer.name != role.rawValue { text += " (\(role.rawValue))" }
        if let endpoint = peer.endpoint { text += " at \(endpoint)" }
        text += ": " + words.state(peer)
        for part in [
            words.lag(peer), words.behind(peer), words.paused(peer), words.fetched(peer),
            records ? words.safety(peer) : nil,
        ] {
            if let part { text += ", \(part)" }
        }
        if peer.errorCount > 0 {
            text += ", " + style.doubtful(words.counted(peer.errorCount, "error"))
            if let error = peer.lastError { text += ", the last: " + TerminalText.safe(error) }
        }
        return text
    }

    private func text(_ discovery: DiscoveryForm) -> String {
        var text = discovery.responder
        if discovery.responder == "embedded" { text += " responder" }
        text += " (\(TerminalText.safe(discovery.reason)))"
        if let name = discovery.announcedAs { text += ", announced as \(TerminalText.safe(name))" }
        if let fault = discovery.fault { text += ", " + style.bad(TerminalText.safe(fault)) }
        return text
    }
}

/// A clock's offset in words.
enum ClockText {
    static func offset(_ clock: ClockReportForm) -> String {
        guard let offset = clock.offsetNs?.value, let bound = clock.boundNs?.value else { return "not measured yet" }
        let text = TerminalQuantity.offset(.nanoseconds(offset))
        return "\(text) from ours, within \(TerminalQuantity.duration(.nanoseconds(bound)))"
    }
}
