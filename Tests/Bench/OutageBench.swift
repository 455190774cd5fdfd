import Model
import Reactor
import TestSupport

/// After so many seconds in which nothing passed and nobody was told: from the link's return to the first new chunk, or
/// file, that is whole at the other end. All rivals wait at the same time, each on a tether of its own.
struct OutageBench {
    let place: Place

    /// A usual link: 20 ms round trip.
    private static let shape = TetherShape(delay: .milliseconds(10))
    /// Longer than any of them should need; who needs more is said to.
    private static let patience = 400.0

    private static let rivals: [@Sendable (TetheredPlace) throws -> any OutageRival] = [
        { try MirrorRival($0) },
        { try SyncthingRival($0, name: "syncthing as installed") },
        { try SyncthingRival($0, name: "syncthing, set to be quick", reconnection: 5, watch: 1) },
        { try RsyncRival($0) },
    ]

    func run(_ outages: [(seconds: Int, rounds: Int)]) async throws {
        let place = place
        let results = try await withThrowingTaskGroup(of: (Int, Result).self) { group in
            for (number, rival) in Self.rivals.enumerated() {
                group.addTask { (number, try await Self.measure(place, outages, rival)) }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for outage in outages {
            for number in Self.rivals.indices {
                guard let result = results[number], let samples = result.seconds[outage.seconds] else { continue }
                let each = samples.map { $0.map { "\(Report.fixed($0, 2)) s" } ?? "not within \(Int(Self.patience)) s" }
                Report.line(
                    "\(outage.seconds) s: \(result.name)", each.joined(separator: ", "),
                    budget: number == 0 ? "1 s" : "")
            }
        }
    }

    private struct Result: Sendable {
        let name: String
        /// By the outage's length, one for each round; nil where nothing came in time.
        var seconds: [Int: [Double?]] = [:]
    }

    private static func measure(
        _ place: Place, _ outages: [(seconds: Int, rounds: Int)],
        _ make: @escaping @Sendable (TetheredPlace) throws -> any OutageRival
    ) async throws -> Result {
        let outcome = Locked<Result?>(nil)
        try await TetheredPlace.run(place, shape) { hosts in
            let rival = try make(hosts)
            defer { rival.stop() }
            var result = Result(name: rival.name)
            guard try await wait(hosts, rival, { $0 >= 2 }) != nil else {
                throw BenchError("\(rival.name): nothing came on a link that was there")
            }
            for outage in outages {
                for _ in 0..<outage.rounds {
                    try await hosts.tether.silence(true)
                    let loss = Stopwatch()
                    while loss.seconds < Double(outage.seconds) { try await tick(hosts, rival) }
                    let held = try rival.arrived()
                    let owed = try rival.made()
                    let back = Stopwatch()
                    try await hosts.tether.silence(false)
                    let first = try await wait(hosts, rival) { $0 > held } == nil ? nil : back.seconds
                    result.seconds[outage.seconds, default: []].append(first)
                    // The next outage finds it at rest.
                    _ = try await wait(hosts, rival) { $0 >= owed }
                }
            }
            outcome.withLock { $0 = result }
        }
        guard let result = outcome.withLock({ $0 }) else { throw BenchError("no result") }
        return result
    }

    /// nil where it did not come to that within the patience.
    private static func wait(
        _ hosts: TetheredPlace, _ rival: any OutageRival, _ condition: (Int) -> Bool
    ) async throws -> Int? {
        let watch = Stopwatch()
        while watch.seconds < patience {
            let count = try rival.arrived()
            if condition(count) { return count }
            try await tick(hosts, rival)
        }
        return nil
    }

    private static func tick(_ hosts: TetheredPlace, _ rival: any OutageRival) async throws {
        try rival.work()
        try await hosts.pause(.milliseconds(5))
    }
}

/// Something that brings from host a to host b what is made there each second.
protocol OutageRival: AnyObject {
    var name: String { get }
    /// Called all the time: what it has to do itself.
    func work() throws
    /// What has been made at a so far, chunks or files.
    func made() throws -> Int
    /// What of it is whole at b.
    func arrived() throws -> Int
    func stop()
}
