internal import Gateway
internal import Model

/// The phrases that the views of a node's status have in common.
struct StatusWords {
    let style: TerminalStyle

    func count(_ number: Int64) -> String { TerminalQuantity.count(number) }

    /// `1 chunk`, `2 chunks`.
    func counted(_ number: Int64, _ noun: String) -> String { "\(count(number)) \(noun)\(number == 1 ? "" : "s")" }

    func rowsInChunks(_ rows: Int64, _ chunks: Int64) -> String {
        "\(counted(rows, "row")) in \(counted(chunks, "chunk"))"
    }

    func duration(_ seconds: Double) -> String { TerminalQuantity.duration(.nanoseconds(Int64(seconds * 1e9))) }

    func text(_ instrument: InstrumentForm) -> String {
        var text = state(instrument)
        if let port = instrument.port { text += " on \(TerminalText.safe(port))" }
        if let id = instrument.sensorID { text += ", called \(TerminalText.safe(id))" }
        if let period = instrument.periodS { text += ", a row each \(duration(period))" }
        let rejected = instrument.rejected.values.reduce(0, +)
        if rejected > 0 { text += ", \(counted(rejected, "line")) no rows and kept as raw" }
        if let trouble = instrument.trouble { text += ", " + style.doubtful(TerminalText.safe(trouble)) }
        return text
    }

    func state(_ instrument: InstrumentForm) -> String {
        switch instrument.state {
        case "acq_freerun": style.good("free-running")
        case "acq_polled": style.good("polled")
        case "streaming": style.good("streaming")
        case "config_menu": style.doubtful("in its menu")
        case "banner": style.doubtful("starting")
        default: style.doubtful(TerminalText.safe(instrument.state))
        }
    }

    func name(_ peer: PeerForm) -> String {
        let name = peer.name ?? peer.id?.short ?? peer.role.map { "a \($0.rawValue)" } ?? "a node"
        return TerminalText.safe(name)
    }

    func state(_ peer: PeerForm) -> String {
        switch peer.state {
        case "live": style.good("live")
        // It is not followed, and its statements come.
        case "unfollowed" where peer.unacknowledged != nil:
            style.good("follows us") + (peer.silenceS.map { $0 >= 15 ? ", silent for \(duration($0))" : "" } ?? "")
        default: style.doubtful(TerminalText.safe(peer.state))
        }
    }

    /// How far the rows that are here are behind those that are there; nil where nobody can say.
    func lag(_ peer: PeerForm) -> String? {
        guard let lag = peer.lagS, peer.state == "live" else { return nil }
        if lag < 1 { return peer.growingChunks > 0 ? style.good("rows here within the second") : nil }
        return style.doubtful("rows here \(duration(lag)) late")
    }

    /// What this node has still to fetch from a peer; nil where it fetches nothing from it.
    func behind(_ peer: PeerForm) -> String? {
        guard let behindFor = peer.behindForS else { return nil }
        guard let chunks = peer.backlogCount, let bytes = peer.backlogBytes else {
            return style.doubtful("what is to fetch is unknown")
        }
        guard chunks > 0 else { return "nothing to fetch" }
        var text = "\(counted(chunks, "chunk")) to fetch, \(TerminalQuantity.bytes(bytes))"
        if peer.bytesPerS > 0 { text += " at \(TerminalQuantity.bytes(peer.bytesPerS))/s" }
        if let left = peer.timeToDoneS { text += ", \(duration(left)) left" }
        return style.doubtful(text + ", behind for \(duration(behindFor))")
    }

    /// Why nothing is fetched for now.
    func paused(_ peer: PeerForm) -> String? {
        peer.pullPaused.map { style.doubtful("pulling paused: \(TerminalText.safe($0))") }
    }

    /// What happened to the store since the start, the last of it in its words.
    func incidents(_ health: StoreHealthForm, _ last: StoreHealthForm.Incident) -> String {
        let count = health.incidents.values.reduce(0, +)
        return
            "\(counted(count, "incident")), the last at \(TerminalText.safe(last.at)): \(TerminalText.safe(last.text))"
    }

    func fetched(_ peer: PeerForm) -> String? {
        guard peer.chunksDownloaded > 0 else { return nil }
        return "\(counted(peer.chunksDownloaded, "chunk")) fetched, \(TerminalQuantity.bytes(peer.bytesMirrored))"
    }

    /// What is not safe yet: facts of this node that the peer did not state to hold.
    func safety(_ peer: PeerForm) -> String? {
        guard let missing = peer.unacknowledged else { return nil }
        return missing == 0
            ? "has all that is sealed here" : style.doubtful("lacks \(counted(missing, "fact")) of ours")
    }

    /// `fetches at most 500KiB/s, 487 KB/s now; serves without a cap`.
    func caps(_ caps: CapsForm) -> String {
        func text(_ cap: Int64?) -> String {
            cap.map { "at most \(ByteRate(bytesPerSecond: $0))" } ?? "without a cap"
        }
        let now = caps.receivedBytesPerS.map { ", \(TerminalQuantity.bytes($0))/s now" } ?? ""
        return "fetches \(text(caps.pullBytesPerS))\(now); serves \(text(caps.serveBytesPerS))"
    }

    func clock(_ clock: ClockReportForm, _ peers: [PeerForm]) -> String {
        let name = peers.first { $0.id == clock.peer }.map(name) ?? clock.peer.short
        return "\(name) is \(ClockText.offset(clock))"
    }
}
