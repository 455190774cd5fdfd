internal import Gateway
internal import Model
internal import Reactor

/// `status --watch` where the output is no terminal: one line for each node each time, as logs want it.
enum StatusLine {
    static func text(_ nodes: [NodeView]) -> String {
        nodes.map { line($0) + "\n" }.joined()
    }

    private static func line(_ node: NodeView) -> String {
        switch node.state {
        case .running(let status, _): line(status)
        case .absent: "\(now()) \(TerminalText.safe(node.data)): not running"
        case .mute(let reason): "\(now()) \(TerminalText.safe(node.data)): \(TerminalText.safe(reason))"
        }
    }

    private static func now() -> String { clockTime(Timestamp.text(SystemClock.reading().realtime)) }
    /// `12:34:56` of an ISO 8601 text.
    private static func clockTime(_ text: String) -> String { String(text.dropFirst(11).prefix(8)) }

    private static func line(_ status: NodeStatusForm) -> String {
        let words = StatusWords(style: .plain)
        let node = status.node
        let who = node.name == node.role.rawValue ? node.name : "\(node.role.rawValue) \(node.name)"
        var parts: [String] = []
        if let recording = status.recording {
            let growing = "\(words.count(recording.openChunkRows)) in the growing chunk"
            parts.append(
                recording.isRecording
                    ? "recorded \(words.counted(recording.rows, "row")), \(growing)" : "records nothing")
        }
        parts.append("holds \(words.rowsInChunks(status.store.rows, status.store.dataChunks))")
        parts += status.store.health.troubles.map(TerminalText.safe)
        if status.peers.isEmpty { parts.append("no peer yet") }
        for peer in status.peers {
            let safety = status.recording == nil ? nil : words.safety(peer)
            let items = [words.state(peer), words.lag(peer), words.behind(peer), words.paused(peer), safety].compactMap
            { $0 }
            parts.append("\(words.name(peer)): " + items.joined(separator: ", "))
        }
        for clock in status.clocks where clock.offsetNs != nil { parts.append(words.clock(clock, status.peers)) }
        return "\(clockTime(node.time)) \(TerminalText.safe(who)): " + parts.joined(separator: "; ")
    }
}
