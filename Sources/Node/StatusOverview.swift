internal import FoundationEssentials
internal import Gateway
internal import Model

/// `status` of several nodes of this machine: one column each, so that they can be compared at a glance.
struct StatusOverview {
    private let style: TerminalStyle
    private let words: StatusWords

    init(style: TerminalStyle) {
        self.style = style
        words = StatusWords(style: style)
    }

    private struct Cell {
        var text: String
        var paint: (String) -> String = { $0 }
    }

    func text(_ nodes: [NodeView]) -> String {
        let statuses = nodes.map(\.status)
        var rows: [(label: String, cells: [Cell])] = [("", nodes.map(heading))]
        rows.append(("data", nodes.map { Cell(text: Self.shortened($0.data)) }))
        func row(_ label: String, _ cell: (NodeStatusForm) -> Cell) {
            rows.append((label, statuses.map { $0.map(cell) ?? Cell(text: "") }))
        }
        row("listens") { Cell(text: $0.node.listen.map(\.description).joined(separator: " ")) }
        row("up") { Cell(text: words.duration($0.node.uptimeS)) }
        row("sensor", sensor)
        row("recorded") { recorded($0.recording) }
        row("sealed") { Cell(text: words.rowsInChunks($0.store.rows, $0.store.dataChunks)) }
        row("peer") { peer($0.peers) }
        row("lag", lag)
        row("safe", safe)
        row("clock") { clock($0) }
        return table(rows) + "\n" + growing(nodes) + faults(nodes)
    }

    // MARK: Cells

    private func heading(_ node: NodeView) -> Cell {
        switch node.state {
        case .running(let status, _):
            let (role, name) = (status.node.role.rawValue, status.node.name)
            return Cell(text: role == name ? role : "\(role) \(name)", paint: style.bold)
        case .absent: return Cell(text: "not running", paint: style.doubtful)
        case .mute: return Cell(text: "does not answer", paint: style.bad)
        }
    }

    private func sensor(_ status: NodeStatusForm) -> Cell {
        guard let instrument = status.instrument else { return Cell(text: "–") }
        let text = StatusWords(style: .plain).state(instrument)
        guard let period = instrument.periodS else { return Cell(text: text, paint: style.doubtful) }
        return Cell(text: "\(text), a row each \(words.duration(period))")
    }

    private func recorded(_ recording: RecordingForm?) -> Cell {
        guard let recording else { return Cell(text: "–") }
        guard recording.isRecording else { return Cell(text: "nothing", paint: style.doubtful) }
        let text =
            "\(words.counted(recording.rows, "row")), \(words.count(recording.openChunkRows)) in the growing chunk"
        return Cell(text: text, paint: style.good)
    }

    private func peer(_ peers: [PeerForm]) -> Cell {
        guard let first = foremost(peers) else { return Cell(text: "looking for one", paint: style.doubtful) }
        let isLive = first.state == "live" || (first.state == "unfollowed" && first.unacknowledged != nil)
        let state = StatusWords(style: .plain).state(first)
        let others = peers.count { $0.state == "live" } - (first.state == "live" ? 1 : 0)
        let more = others > 0 ? ", and \(others) more" : ""
        let text = "\(words.name(first)), \(state)\(more)"
        return isLive ? Cell(text: text, paint: style.good) : Cell(text: text, paint: style.doubtful)
    }

    private func foremost(_ peers: [PeerForm]) -> PeerForm? { peers.first { $0.state == "live" } ?? peers.first }

    /// How late rows are here, and what is sealed at peers and still to be fetched.
    private func lag(_ status: NodeStatusForm) -> Cell {
        let compared = status.peers.filter { $0.behindForS != nil }
        guard !compared.isEmpty else { return Cell(text: "–") }
        let chunks = compared.reduce(0) { $0 + ($1.backlogCount ?? 0) }
        let lag = compared.compactMap { $0.lagS ?? $0.behindForS }.max() ?? 0
        guard chunks > 0 || lag >= 1 else {
            guard compared.allSatisfy({ $0.backlogCount != nil && $0.tail != "awaited" }) else {
                return Cell(text: "unknown", paint: style.doubtful)
            }
            let grows = compared.contains { $0.growingChunks > 0 }
            return Cell(text: grows ? "none, growing here too" : "none, nothing to fetch", paint: style.good)
        }
        let bytes = compared.reduce(0) { $0 + ($1.backlogBytes ?? 0) }
        return Cell(
            text: "\(words.duration(lag)), \(words.counted(chunks, "chunk")), \(TerminalQuantity.bytes(bytes))",
            paint: style.doubtful)
    }

    /// What this node recorded, at the peer that has most of it.
    private func safe(_ status: NodeStatusForm) -> Cell {
        let told = status.peers.filter { $0.unacknowledged != nil }
        guard status.recording != nil, let best = told.min(by: { ($0.unacknowledged ?? 0) < ($1.unacknowledged ?? 0) })
        else {
            return Cell(text: "–")
        }
        let missing = best.unacknowledged ?? 0
        return missing == 0
            ? Cell(text: "all that is sealed, at \(words.name(best))", paint: style.good)
            : Cell(text: "\(words.counted(missing, "fact")) not yet at \(words.name(best))", paint: style.doubtful)
    }

    private func clock(_ status: NodeStatusForm) -> Cell {
        let measured = status.clocks.filter { $0.offsetNs != nil }
        let peer = foremost(status.peers)?.id
        guard let clock = measured.first(where: { $0.peer == peer }) ?? measured.first else { return Cell(text: "–") }
        guard let offset = clock.offsetNs?.value, let bound = clock.boundNs?.value else { return Cell(text: "–") }
        let name = status.peers.first { $0.id == clock.peer }.map(words.name) ?? clock.peer.short
        let text = TerminalQuantity.offset(.nanoseconds(offset))
        return Cell(text: "\(name) \(text) ± \(TerminalQuantity.duration(.nanoseconds(bound)))")
    }

    // MARK: Lines

    private func table(_ rows: [(label: String, cells: [Cell])]) -> String {
        let columns = rows.first?.cells.count ?? 0
        let label = rows.map { TerminalText.width($0.label) }.max() ?? 0
        // Columns as wide as half a screen of 100 leave them standing still while numbers grow.
        let widths = (0..<columns).map { column in
            max(40, rows.map { TerminalText.width(TerminalText.safe($0.cells[column].text)) }.max() ?? 0)
        }
        return rows.map { row in
            var line = style.dim(TerminalText.padded(row.label, to: label))
            for (column, cell) in row.cells.enumerated() {
                let text = TerminalText.safe(cell.text)
                let isLast = column == columns - 1
                line += "  " + cell.paint(text)
                if !isLast { line += TerminalText.padded("", to: widths[column] - TerminalText.width(text)) }
            }
            return line + "\n"
        }
        .joined()
    }

    /// Paths stand on lines of their own, whole: somebody will copy them.
    private func growing(_ nodes: [NodeView]) -> String {
        let files = nodes.compactMap { $0.status?.recording?.growingFile }
        guard !files.isEmpty else { return "" }
        let lines = files.map { "  \(TerminalText.safe(Self.shortened($0)))\n" }.joined()
        return style.dim("growing file") + "\n" + lines
    }

    private func faults(_ nodes: [NodeView]) -> String {
        var lines: [String] = []
        for node in nodes {
            let who = TerminalText.safe(node.status?.node.name ?? Self.shortened(node.data))
            if case .mute(let reason) = node.state { lines.append("\(who): \(reason)") }
            guard let status = node.status else { continue }
            if let fault = status.discovery.fault { lines.append("\(who): mDNS: \(fault)") }
            if let trouble = status.instrument?.trouble { lines.append("\(who): \(trouble)") }
            for trouble in status.store.health.troubles { lines.append("\(who): \(trouble)") }
            if let trouble = status.recording?.trouble { lines.append("\(who): \(trouble)") }
            if let paused = status.peers.compactMap(words.paused).first { lines.append("\(who): \(paused)") }
            for peer in status.peers where peer.errorCount > 0 && peer.state != "live" {
                if let error = peer.lastError { lines.append("\(who): \(words.name(peer)): \(error)") }
            }
        }
        return lines.map { style.bad(TerminalText.safe($0)) + "\n" }.joined()
    }

    /// A path below the working directory as it is written there.
    static func shortened(_ path: String) -> String {
        let here = FileManager.default.currentDirectoryPath + "/"
        return path.hasPrefix(here) ? String(path.dropFirst(here.count)) : path
    }
}
