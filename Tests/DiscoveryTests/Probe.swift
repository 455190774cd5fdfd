import FoundationEssentials
import Model
import Reactor
import TestSupport

extension Lab {
    /// A node's discovery in a namespace; it asks for a daemon on that side's bus.
    func probe(
        _ side: String, _ name: String, id: UInt64, role: Role = .vehicle, mode: String = "auto",
        interfaces: [String] = [], environment: [String: String] = [:]
    ) async throws -> Child {
        try await start(
            side, name,
            [Self.built("discovery-probe"), Hex.string(id, count: 16), name, role.rawValue, "\(9000 + id)", mode]
                + interfaces,
            environment: environment, ending: .input)
    }

    /// A wall clock that can be set, for the probes that are given its environment.
    func clock() throws -> SteppedClock {
        let clock = SteppedClock(folder: folder)
        try write(SteppedClock.source, to: "clock.c")
        try clock.set(0)
        try shell("cc -shared -fPIC -o \(clock.library) \(folder)/clock.c")
        return clock
    }
}

/// One line of the probe.
struct Report: Decodable, Sendable {
    struct Peer: Decodable, Sendable {
        let instance: String
        let id: String
        let role: String?
        let boot: String?
        let endpoints: [String]
    }
    /// Milliseconds since the probe's start.
    let at: Int64
    let responder: String
    let reason: String
    let announcedAs: String?
    let fault: String?
    let invalid: Int64
    let peers: [Peer]

    func peer(_ id: UInt64) -> Peer? { peers.first { $0.id == Hex.string(id, count: 16) } }
}

extension Child {
    /// The first report after the `skipping` first lines that meets the condition, and how many lines there were up to
    /// it.
    @discardableResult
    func report(
        _ what: String, after skipping: Int = 0, within limit: Duration = .seconds(60),
        _ condition: @Sendable (Report) -> Bool
    ) async throws -> Report {
        try await wait(what, within: limit) { lines in
            for line in lines.dropFirst(skipping) where line.hasPrefix("{") {
                let report = try JSONDecoder().decode(Report.self, from: Data(line.utf8))
                if condition(report) { return report }
            }
            return nil
        }
    }

    var lineCount: Int { lines.count }
}
