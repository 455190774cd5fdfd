internal import Gateway
internal import HTTP
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
        onLoop { loop in
            let lane = DiskLane(name: "audit")
            defer { lane.stop() }
            let shows = TerminalStream.error.isTerminal && !options.json
            let bar = ProgressBar("verify", unit: .bytes, startedAt: SystemClock.monotonic())
            let next = Locked(SystemClock.monotonic())
            let node = try IdleStore.node(of: options.data)
            let audit = StoreAudit(of: options.data, node: node, on: lane) { progress in
                guard shows, isDue(next) else { return }
                complain(
                    "\r"
                        + bar.text(
                            done: progress.doneBytes, total: progress.totalBytes, now: SystemClock.monotonic(),
                            columns: 79))
            }
            let report = try await audit.run()
            if shows { complain("\r\u{1B}[K") }
            let isTold = try await tell(report, options.data, loop)
            let code = printed(options.json ? jsonText(Form(report)) : text(report, isTold: isTold))
            return code == 0 && !report.isSound ? 3 : code
        }
    }

    /// A running node reads at once what was found, and takes it back from a peer. Whether there was something to tell
    /// and somebody to hear it.
    private static func tell(_ report: StoreAudit.Report, _ data: String, _ loop: EventLoop) async throws -> Bool {
        let suspects: [StoreAudit.Finding.Kind] = [.damagedChunk, .missingChunk, .wrongLength]
        let chunks = report.findings.filter { suspects.contains($0.kind) }.compactMap { ChunkID($0.subject) }
        let isLogDamaged = report.findings.contains { $0.kind == .damagedLine }
        guard !chunks.isEmpty || isLogDamaged, let node = try await LocalNode.find(data, on: loop) else { return false }
        _ = try await node.send(.post, "/v1/suspects", SuspectsForm(chunks: chunks, log: isLogDamaged))
        await node.close()
        return true
    }

    static func isDue(_ next: Locked<MonotonicTime>) -> Bool {
        let now = SystemClock.monotonic()
        return next.withLock { next in
            guard now >= next else { return false }
            next = now.advanced(by: .milliseconds(100))
            return true
        }
    }

    private static func text(_ report: StoreAudit.Report, isTold: Bool) -> String {
        let count = TerminalQuantity.count
        var text = report.findings.map {
            "\($0.kind.rawValue): \(TerminalText.safe($0.subject)): \(TerminalText.safe($0.detail))\n"
        }
        .joined()
        text +=
            "\(count(report.chunks)) chunks, \(TerminalQuantity.bytes(report.bytes)), \(count(report.facts)) facts, "
        text += "\(StatusWords(style: .plain).counted(report.sessions, "session")): "
        let bad = report.findings.count { !$0.isHarmless }
        guard bad > 0 else { return text + "all sound\n" }
        text += "\(StatusWords(style: .plain).counted(Int64(bad), "thing")) wrong"
        return text + (isTold ? "; the node was told and takes back what a peer has\n" : "\n")
    }
}

/// `rebuild`: makes what is derived again, from the log and the chunks alone.
enum RebuildVerb {
    private struct Form: Encodable {
        let facts: Int64
        let sessions: Int64
        let chunks: Int64
        /// Chunks that the log names and that are not there.
        let missing: Int64
    }

    static func execute(_ options: FactsOptions) -> Int32 {
        onLoop { _ in
            let shows = TerminalStream.error.isTerminal && !options.json
            let bar = ProgressBar("rebuild", unit: .bytes, startedAt: SystemClock.monotonic())
            let next = Locked(SystemClock.monotonic())
            let index = IndexOpening.anew { done, total in
                guard shows, VerifyVerb.isDue(next) else { return }
                complain("\r" + bar.text(done: done, total: total, now: SystemClock.monotonic(), columns: 79))
            }
            let summary = try await IdleStore.with(options.data, index: index) { try await $0.summary() }
            if shows { complain("\r\u{1B}[K") }
            let form = Form(
                facts: summary.facts, sessions: summary.sessions, chunks: summary.chunks, missing: summary.wanted)
            return printed(options.json ? jsonText(form) : text(form))
        }
    }

    private static func text(_ form: Form) -> String {
        let count = TerminalQuantity.count
        let sessions = StatusWords(style: .plain).counted(form.sessions, "session")
        let text = "the index is made again: \(count(form.facts)) facts, \(sessions), \(count(form.chunks)) chunks"
        guard form.missing > 0 else { return text + "\n" }
        return text + "; \(count(form.missing)) chunks are not here, peers are asked for them\n"
    }
}
