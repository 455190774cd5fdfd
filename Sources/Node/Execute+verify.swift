internal import Model
internal import Reactor
internal import Storage

/// `verify`: reads everything of a data directory, beside a running node or without one.
enum VerifyVerb {
    private struct Form: Encodable {
        struct Finding: Encodable {
            let kind: String
            let subject: String
            let detail: String
            let harmless: Bool
        }
        let chunks: Int64
        let bytes: Int64
        let facts: Int64
        let sessions: Int64
        let sound: Bool
        let findings: [Finding]

        init(_ report: StoreAudit.Report) {
            chunks = report.chunks
            bytes = report.bytes
            facts = report.facts
            sessions = report.sessions
            sound = report.isSound
            findings = report.findings.map {
                Finding(kind: $0.kind.rawValue, subject: $0.subject, detail: $0.detail, harmless: $0.isHarmless)
            }
        }
    }

    static func execute(_ options: FactsOptions) -> Int32 {
        onLoop { _ in
            let lane = DiskLane(name: "audit")
            defer { lane.stop() }
            let shows = TerminalStream.error.isTerminal && !options.json
            let bar = ProgressBar("verify", unit: .bytes, startedAt: SystemClock.monotonic())
            let next = Locked(SystemClock.monotonic())
            let audit = StoreAudit(of: options.data, on: lane) { progress in
                guard shows, isDue(next) else { return }
                complain(
                    "\r"
                        + bar.text(
                            done: progress.doneBytes, total: progress.totalBytes, now: SystemClock.monotonic(),
                            columns: 79))
            }
            let report = try await audit.run()
            if shows { complain("\r\u{1B}[K") }
            let code = printed(options.json ? jsonText(Form(report)) : text(report))
            return code == 0 && !report.isSound ? 3 : code
        }
    }

    private static func isDue(_ next: Locked<MonotonicTime>) -> Bool {
        let now = SystemClock.monotonic()
        return next.withLock { next in
            guard now >= next else { return false }
            next = now.advanced(by: .milliseconds(100))
            return true
        }
    }

    private static func text(_ report: StoreAudit.Report) -> String {
        let count = TerminalQuantity.count
        var text = report.findings.map {
            "\($0.kind.rawValue): \(TerminalText.safe($0.subject)): \(TerminalText.safe($0.detail))\n"
        }
        .joined()
        text +=
            "\(count(report.chunks)) chunks, \(TerminalQuantity.bytes(report.bytes)), \(count(report.facts)) facts, "
        text += "\(count(report.sessions)) sessions: "
        let bad = report.findings.count { !$0.isHarmless }
        return text + (bad == 0 ? "all sound\n" : "\(bad) things are wrong\n")
    }
}
