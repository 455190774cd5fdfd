internal import FoundationEssentials
internal import Gateway
internal import Model
internal import Reactor
internal import Recording
internal import Storage

/// `doctor`: looks at what a node needs, and says what to do.
enum DoctorVerb {
    struct Check: Encodable {
        enum Outcome: String, Encodable { case fine, note, wrong }
        let name: String
        let outcome: Outcome
        let detail: String
    }

    static func execute(_ options: DoctorOptions) -> Int32 {
        onLoop { loop in
            let (status, node) = await node(options.data, on: loop)
            let minFree = status?.store.health.minFreeBytes ?? options.minFree
            let checks = [directory(options.data), space(options.data, minFree: minFree), clock()] + serial() + node
            let code = printed(options.json ? jsonText(checks) : text(checks))
            return code == 0 && checks.contains { $0.outcome == .wrong } ? 3 : code
        }
    }

    private static func text(_ checks: [Check]) -> String {
        let style = TerminalStyle.ofStandardOutput
        return checks.map { check in
            let mark =
                switch check.outcome {
                case .fine: style.good("fine ")
                case .note: style.doubtful("note ")
                case .wrong: style.bad("WRONG")
                }
            return "\(mark)  \(TerminalText.padded(check.name, to: 9))  \(TerminalText.safe(check.detail))\n"
        }.joined()
    }

    private static func directory(_ data: String) -> Check {
        let manager = FileManager.default
        guard manager.fileExists(atPath: data) else {
            return Check(name: "data", outcome: .note, detail: "\(data) does not exist yet; the first start makes it")
        }
        guard manager.isWritableFile(atPath: data) else {
            return Check(
                name: "data", outcome: .wrong,
                detail: "\(data) is not writable for this user; change its owner or choose another with --data")
        }
        return Check(name: "data", outcome: .fine, detail: data)
    }

    private static func space(_ data: String, minFree: Int64) -> Check {
        var path = data
        while !FileManager.default.fileExists(atPath: path), path.count > 1 {
            path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
            if path.isEmpty { path = "/" }
        }
        do {
            let space = try Directory.open(path).space()
            let text = "\(TerminalQuantity.bytes(space.free)) free of \(TerminalQuantity.bytes(space.total))"
            let wanted = TerminalQuantity.bytes(minFree)
            return space.free < minFree
                ? Check(
                    name: "disk", outcome: .wrong,
                    detail: "only \(text), less than the \(wanted) of --min-free; make room before recording")
                : Check(name: "disk", outcome: .fine, detail: text)
        } catch {
            return Check(name: "disk", outcome: .wrong, detail: "\(path): \(error.reason)")
        }
    }

    private static func clock() -> Check {
        let now = SystemClock.reading().realtime
        let text = Timestamp.text(now)
        return now < Limits.earliestPlausibleTime
            ? Check(
                name: "clock", outcome: .wrong,
                detail: "it says \(text); set it, or connect a topside: rows are corrected by its clock later")
            : Check(name: "clock", outcome: .fine, detail: text)
    }

    private static func serial() -> [Check] {
        let ports = SerialPort.available()
        guard !ports.isEmpty else {
            return [
                Check(
                    name: "serial", outcome: .note,
                    detail: "no USB serial adapter is plugged in; --simulate needs none")
            ]
        }
        return ports.map { port in
            FileManager.default.isWritableFile(atPath: port.path)
                ? Check(name: "serial", outcome: .fine, detail: port.idName ?? port.path)
                : Check(
                    name: "serial", outcome: .wrong,
                    detail: "\(port.path) may not be opened by this user; add it to the group dialout and log in anew")
        }
    }

    private static func node(_ data: String, on loop: EventLoop) async -> (NodeStatusForm?, [Check]) {
        do {
            guard let node = try await LocalNode.find(data, on: loop) else {
                return (nil, [Check(name: "node", outcome: .note, detail: "none runs on \(data)")])
            }
            let status = try await node.get(NodeStatusForm.self, "/v1/status")
            return (status, running(status))
        } catch {
            return (nil, [Check(name: "node", outcome: .wrong, detail: "\(NodeError(error))")])
        }
    }

    private static func running(_ status: NodeStatusForm) -> [Check] {
        var checks = [
            Check(name: "node", outcome: .fine, detail: "a \(status.node.role.rawValue) runs, \(status.node.version)")
        ]
        if let instrument = status.instrument {
            checks.append(
                Check(
                    name: "sensor", outcome: instrument.trouble == nil ? .fine : .wrong,
                    detail: instrument.trouble ?? StatusWords(style: .plain).text(instrument)))
        }
        // Of the room there is the disk's own line.
        let troubles = status.store.health.troubles.dropFirst(status.store.health.disk == "low" ? 1 : 0)
        checks += troubles.map { Check(name: "store", outcome: .wrong, detail: $0) }
        if let trouble = status.recording?.trouble {
            checks.append(Check(name: "recording", outcome: .wrong, detail: trouble))
        }
        let discovery = status.discovery
        checks.append(
            Check(
                name: "mdns", outcome: discovery.fault == nil ? .fine : .wrong,
                detail: discovery.fault ?? "\(discovery.responder): \(discovery.reason)"))
        let words = StatusWords(style: .plain)
        for peer in status.peers {
            let trouble = peer.state == "live" ? nil : peer.lastError
            checks.append(
                Check(
                    name: "peer", outcome: peer.state == "live" || peer.state == "unfollowed" ? .fine : .note,
                    detail: "\(words.name(peer)): \(words.state(peer))" + (trouble.map { ", \($0)" } ?? "")))
        }
        if status.store.quarantined > 0 {
            checks.append(
                Check(
                    name: "store", outcome: .wrong,
                    detail: "\(status.store.quarantined) files are in quarantine; qnode verify says more"))
        }
        return checks
    }
}
