internal import Gateway
internal import HTTP
internal import Model
internal import Reactor

extension StatusOptions {
    /// Prints how the running node is, once or again and again.
    func execute() -> Int32 {
        onLoop { loop in
            while true {
                let (text, isRunning) = try await current(on: loop)
                let clear = watch != nil && TerminalStream.output.isTerminal ? "\u{1B}[H\u{1B}[J" : ""
                try TerminalStream.output.write(clear + text)
                guard let watch else { return isRunning ? 0 : 1 }
                try await loop.sleep(for: watch)
            }
        }
    }

    private func current(on loop: EventLoop) async throws -> (text: String, isRunning: Bool) {
        guard let node = try await LocalNode.find(data, on: loop) else {
            return (json ? "{\"running\":false}\n" : "no node runs on \(data)\n", false)
        }
        let bytes = try await node.call(HTTPClientRequest(.get, "/v1/status"))
        await node.close()
        if json { return (String(decoding: bytes, as: UTF8.self) + "\n", true) }
        let status = try WireJSON.decode(NodeStatusForm.self, from: bytes)
        return (StatusText(style: .ofStandardOutput).text(status), true)
    }
}

/// `status` for people.
struct StatusText {
    let style: TerminalStyle

    func text(_ status: NodeStatusForm) -> String {
        var rows: [(String, String)] = []
        let node = status.node
        let endpoints = node.listen.map(\.description).joined(separator: ", ")
        rows.append(
            (node.role.rawValue, "\(node.name)  \(node.id.short)  \(endpoints)  up \(duration(node.uptimeS))"))
        if let instrument = status.instrument { rows.append(("sensor", text(instrument))) }
        if let recording = status.recording { rows += lines(recording) }
        let store = status.store
        var held =
            "\(count(store.rows)) rows  \(count(store.chunks)) chunks  \(TerminalQuantity.bytes(store.chunkBytes))"
        held += "  \(count(store.sessions)) sessions  \(TerminalQuantity.bytes(store.freeBytes)) free"
        if store.wanted > 0 { held += "  \(count(store.wanted)) chunks still to come" }
        if store.quarantined > 0 { held += "  " + style.bad("\(store.quarantined) in quarantine") }
        rows.append(("held", held))
        for peer in status.peers { rows.append(("peer", text(peer))) }
        for clock in status.clocks { rows.append(("clock", text(clock, status.peers))) }
        rows.append(("mdns", text(status.discovery)))
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { style.bold(TerminalText.padded($0.0, to: width)) + "  " + $0.1 + "\n" }.joined()
    }

    private func count(_ number: Int64) -> String { TerminalQuantity.count(number) }
    private func duration(_ seconds: Double) -> String { TerminalQuantity.duration(.nanoseconds(Int64(seconds * 1e9))) }

    private func text(_ instrument: InstrumentForm) -> String {
        let name = TerminalText.safe(instrument.sensorID ?? "–")
        var text = "\(instrument.state)  \(name)"
        if let port = instrument.port { text += "  \(port)" }
        if let period = instrument.periodS { text += "  a row each \(duration(period))" }
        let rejected = instrument.rejected.values.reduce(0, +)
        if rejected > 0 { text += "  \(count(rejected)) lines kept as raw only" }
        if let trouble = instrument.trouble { text += "  " + style.doubtful(TerminalText.safe(trouble)) }
        return text
    }

    private func lines(_ recording: RecordingForm) -> [(String, String)] {
        guard recording.isRecording, let session = recording.session else {
            return [("recording", recording.trouble.map { style.bad($0) } ?? "nothing")]
        }
        var text = "\(TerminalText.safe(recording.mission ?? ""))  \(count(recording.rows)) rows"
        text +=
            "  \(count(recording.sealedChunks)) chunks sealed  \(count(recording.openChunkRows)) rows in the open one"
        if recording.rowsLost > 0 { text += "  " + style.bad("\(count(recording.rowsLost)) rows lost") }
        if let trouble = recording.trouble { text += "  " + style.bad(TerminalText.safe(trouble)) }
        var rows = [("recording", text), ("session", session.description)]
        if let file = recording.growingFile { rows.append(("growing", TerminalText.safe(file))) }
        return rows
    }

    private func text(_ peer: PeerForm) -> String {
        var text = TerminalText.safe(peer.name ?? peer.id?.short ?? "?")
        if let role = peer.role { text += " (\(role.rawValue))" }
        if let endpoint = peer.endpoint { text += "  \(endpoint)" }
        text += "  " + (peer.state == "live" ? style.good(peer.state) : style.doubtful(peer.state))
        if peer.chunksDownloaded > 0 {
            text += "  \(count(peer.chunksDownloaded)) chunks pulled"
        }
        if peer.backlogCount > 0 {
            text += "  backlog \(count(peer.backlogCount)) chunks, \(TerminalQuantity.bytes(peer.backlogBytes))"
            text += "  lag \(duration(peer.behindForS ?? 0))"
        } else if peer.behindForS != nil {
            text += "  nothing behind"
        }
        if let unacknowledged = peer.unacknowledged {
            text += unacknowledged == 0 ? "  has all of ours" : "  lacks \(count(unacknowledged)) facts of ours"
        }
        if peer.errorCount > 0 { text += "  \(count(peer.errorCount)) errors" }
        if peer.state != "live", let error = peer.lastError { text += "  " + TerminalText.safe(error) }
        return text
    }

    private func text(_ clock: ClockReportForm, _ peers: [PeerForm]) -> String {
        let name = TerminalText.safe(peers.first { $0.id == clock.peer }?.name ?? clock.peer.short)
        return "\(name)  " + ClockText.offset(clock)
    }

    private func text(_ discovery: DiscoveryForm) -> String {
        var text = "\(discovery.responder)  (\(TerminalText.safe(discovery.reason)))"
        if let name = discovery.announcedAs { text += "  announced as \(TerminalText.safe(name))" }
        if let fault = discovery.fault { text += "  " + style.bad(TerminalText.safe(fault)) }
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
