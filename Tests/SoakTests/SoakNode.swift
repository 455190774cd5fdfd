import Foundation
import Model
import Reactor

@testable import Gateway
@testable import Node

/// One node of a soak: its process, its data directory and its port, which stay the same over every restart.
final class SoakNode: Sendable {
    let name: String
    let role: Role
    let data: String
    let process: NodeProcess
    private let loop: EventLoop
    let port: UInt16
    private let settings: [String]

    /// `settings` are the options that it is started with each time.
    init(
        _ name: String, _ role: Role, in folder: String, port: UInt16, on loop: EventLoop, _ settings: [String] = []
    ) {
        self.name = name
        self.port = port
        self.role = role
        self.loop = loop
        self.settings = settings
        data = "\(folder)/\(name)"
        process = NodeProcess(name, logPath: "\(folder)/\(name).log", on: loop)
    }

    var address: String { "127.0.0.1:\(port)" }

    /// Starts the process and waits until it answers.
    func start(_ more: [String] = []) async throws {
        let common = [
            "--role", role.rawValue, "--data", data, "--listen", address, "--name", name, "--mdns", "off",
            "--cap", "off",
        ]
        try await process.start(common + settings + more)
        _ = try await wait("it answers") { $0 }
    }

    func kill() async throws {
        let code = try await process.end(by: SIGKILL)
        guard code == -SIGKILL else { throw NodeProcess.Failure(description: "\(name) ended by itself: \(code)") }
    }

    /// An orderly end.
    func stop() async throws {
        let code = try await process.end(by: SIGTERM)
        guard code == 0 else {
            throw NodeProcess.Failure(description: "\(name) ended with \(code)\n\(process.logTail)")
        }
    }

    // MARK: Asking it

    /// nil where it does not answer.
    private func ask<Form: Decodable & Sendable>(_ form: Form.Type, _ target: String) async throws -> Form? {
        guard let node = try await LocalNode.find(data, on: loop) else { return nil }
        let answer: Result<Form, any Error>
        do { answer = .success(try await node.get(form, target)) } catch { answer = .failure(error) }
        await node.close()
        return try answer.get()
    }

    func status() async throws -> NodeStatusForm? { try await ask(NodeStatusForm.self, "/v1/status") }
    func have() async throws -> HaveForm? { try await ask(HaveForm.self, "/v1/have") }
    func sessions() async throws -> [SessionForm] { try await ask([SessionForm].self, "/v1/sessions") ?? [] }

    /// What it says of sessions that should be over, and here.
    func incompleteSessions() async throws -> [String] {
        try await sessions().filter {
            !$0.complete || $0.endReason != SessionEnd.Reason.stopped || $0.missingChunks > 0
        }
        .map { "\(name): session \($0.id) ended \($0.endReason ?? "not"), lacks \($0.missingChunks) chunks" }
    }

    /// Waits until `found` makes something of the status.
    func wait<Found: Sendable>(
        _ what: String, within limit: Duration = .seconds(60), _ found: (NodeStatusForm) -> Found?
    ) async throws -> Found {
        let deadline = SystemClock.monotonic().advanced(by: limit)
        while true {
            if let status = try await status(), let result = found(status) { return result }
            guard await process.pid != nil else {
                throw NodeProcess.Failure(description: "\(name) ended before: \(what)\n\(process.logTail)")
            }
            guard SystemClock.monotonic() < deadline else {
                throw NodeProcess.Failure(description: "\(name), after \(limit), not: \(what)\n\(process.logTail)")
            }
            try await loop.sleep(for: .milliseconds(30))
        }
    }

    /// Waits until all that its sensor sent has been read and is durable: nothing changes for a second.
    func waitForQuiet() async throws {
        var last: (lines: Int64, rows: Int64, since: MonotonicTime)?
        _ = try await wait("nothing more comes") { status -> Bool? in
            guard let lines = status.instrument?.lines, let rows = status.recording?.rows,
                status.recording?.queuedRows == 0
            else { return nil }
            let now = SystemClock.monotonic()
            if let last, last.lines == lines, last.rows == rows {
                return last.since.duration(to: now) > .seconds(1) ? true : nil
            }
            last = (lines, rows, now)
            return nil
        }
    }

    /// Waits until all of these hold the same facts, this one's among them.
    func waitForEqualHoldings(_ others: [SoakNode], within limit: Duration = .seconds(60)) async throws {
        let deadline = SystemClock.monotonic().advanced(by: limit)
        while true {
            let own = try await have()?.authors
            var isEqual = own != nil
            for other in others where isEqual { isEqual = try await other.have()?.authors == own }
            if isEqual { return }
            guard SystemClock.monotonic() < deadline else {
                var text = "after \(limit) their holdings differ\n"
                for node in [self] + others {
                    let status = try await node.status()
                    text += "\(node.name): \(String(describing: try await node.have()?.authors.count)) facts, "
                    text += "wanted \(String(describing: status?.store.wanted)), peers "
                    let peers = status?.peers ?? []
                    text += peers.map { "\($0.name ?? "?") \($0.state) \($0.lastError ?? "") \($0.errors)" }
                        .joined(separator: "; ")
                    text += "\n\(node.process.logTail)\n"
                }
                throw NodeProcess.Failure(description: text)
            }
            try await loop.sleep(for: .milliseconds(50))
        }
    }

    /// Runs a verb on its data directory; the exit code. What it says goes to a file that is named in failures.
    func verb(_ words: [String]) async throws -> Int32 {
        let verb = NodeProcess("\(name) \(words[0])", logPath: "\(data).\(words[0]).log", on: loop)
        try await verb.start(words + ["--data", data])
        return try await verb.ended()
    }
}
