import FoundationEssentials
import Gateway
import HTTP
import Model
import Reactor
import Storage
import TestSupport

/// A `qnode` in a namespace of the lab: its process, and its socket, by which the test sees what it does.
struct LabNode: Sendable {
    let lab: Lab
    let name: String
    let process: Child
    /// When its process was started.
    let startedAt: MonotonicTime

    var data: String { "\(lab.folder)/\(name)" }

    /// Longer than anything takes on a machine that is busy with something else.
    static let patience = Duration.seconds(90)

    static func start(
        _ lab: Lab, _ side: String, _ role: Role, name: String, _ options: [String]
    ) async throws -> LabNode {
        let startedAt = SystemClock.monotonic()
        let process = try await lab.start(
            side, name,
            [
                Lab.built("qnode"), "--role", role.rawValue, "--name", name, "--data", "\(lab.folder)/\(name)",
            ] + options)
        return LabNode(lab: lab, name: name, process: process, startedAt: startedAt)
    }

    /// Records a simulated sensor in chunks of one second.
    static func vehicle(
        _ lab: Lab, _ side: String = "a", name: String = "vehicle", options: [String] = []
    ) async throws -> LabNode {
        try await start(lab, side, .vehicle, name: name, ["--simulate", "--chunk-interval", "1s"] + options)
    }

    /// With nothing but defaults, where no options are given.
    static func topside(
        _ lab: Lab, _ side: String = "b", name: String = "topside", options: [String] = []
    ) async throws -> LabNode {
        try await start(lab, side, .topside, name: name, options)
    }

    // MARK: Waiting

    /// What `body` gives, or an error that names `what` and the node's last words.
    func within<Answer: Sendable>(
        _ what: String, _ body: @escaping @Sendable () async throws -> Answer
    ) async throws -> Answer {
        let loop = lab.loop
        let answer = try await withThrowingTaskGroup(of: Answer?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await body() }
            group.addTask {
                try await loop.sleep(for: Self.patience)
                return nil
            }
            return try await group.next() ?? nil
        }
        guard let answer else {
            throw ChildError(description: "\(name), after \(Self.patience), not: \(what)\n\(await process.last)")
        }
        return answer
    }

    /// The first status that meets the condition. The node has no bell for what is not a fact: it is asked.
    @discardableResult
    func status(
        _ what: String, until condition: @escaping @Sendable (NodeStatusForm) -> Bool
    ) async throws -> NodeStatusForm {
        try await within("status: \(what)") {
            while true {
                let status = try await get(NodeStatusForm.self, "/v1/status")
                if condition(status) { return status }
                try await lab.loop.sleep(for: .milliseconds(20))
            }
        }
    }

    /// Waits for a fact in the node's log, whenever it was written, and gives all facts up to it.
    @discardableResult
    func facts(
        until kind: String, where condition: @escaping @Sendable (Fact) -> Bool = { _ in true }
    ) async throws -> [Fact] {
        try await within("a fact: \(kind)") {
            var facts: [Fact] = []
            try await follow { fact in
                facts.append(fact)
                return fact.body.kind == kind && condition(fact)
            }
            return facts
        }
    }

    /// Shows `isEnough` every fact of the node's log, and those that come, until it says so.
    func follow(_ isEnough: (Fact) -> Bool) async throws {
        let connection = try await connect()
        let response = try await connection.send(
            HTTPClientRequest(.get, "/v1/events?after=0", bodyTime: Self.patience))
        var parser = ServerSentEventParser()
        while let bytes = try await response.body.next() {
            for event in try parser.consume(bytes) {
                guard let fact = RecordedFact(parsing: Array(event.data.utf8))?.fact, isEnough(fact) else { continue }
                await connection.close()
                return
            }
        }
        throw ChildError(description: "\(name) ended its events")
    }

    // MARK: Asking

    func get<Form: Decodable & Sendable>(_ form: Form.Type, _ target: String) async throws -> Form {
        try await WireJSON.decode(form, from: call(HTTPClientRequest(.get, target)))
    }

    @discardableResult
    func call(_ request: HTTPClientRequest) async throws -> [UInt8] {
        let connection = try await connect()
        let response = try await connection.send(request)
        let body = try await response.body.collect()
        await connection.close()
        guard response.status.isSuccess else {
            throw ChildError(
                description: "\(request.target): \(response.status) \(String(decoding: body, as: UTF8.self))")
        }
        return body
    }

    /// To the node's socket, which may not be there yet.
    private func connect() async throws -> HTTPConnection {
        while true {
            do {
                return try await HTTPConnection.open(toUnixSocket: "\(data)/node.sock", on: lab.loop)
            } catch {
                guard case .unreachable(let cause) = error, cause.isNotFound || cause.isRefused else { throw error }
                try await lab.loop.sleep(for: .milliseconds(5))
            }
        }
    }
}

extension NodeStatusForm {
    /// The peer of that name, while facts come from it.
    func live(_ name: String) -> PeerForm? { peers.first { $0.name == name && $0.state == "live" } }
}
