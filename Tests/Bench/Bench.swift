import Glibc
import Reactor

/// Prints figures of a node beside what the same machine does without one, in the same run. Never a test: it says how
/// much, not whether.
@main
enum Bench {
    private static let all: [(name: String, run: @Sendable (Place) async throws -> Void)] = [
        ("idle", { try await IdleBench(place: $0).run() }),
        ("start", { try await StartBench(place: $0).run() }),
        ("seal", { try await SealBench(place: $0).run() }),
        ("tail", { try await TailBench(place: $0).run() }),
        ("streams", { try await StreamsBench(place: $0).run() }),
        ("ingest", { try await IngestBench(place: $0).run() }),
        ("bulk", { try await BulkBench(place: $0).run() }),
        ("cap", { try await CapBench(place: $0).run() }),
        ("recovery", { try await RecoveryBench(place: $0).run() }),
        ("compare", { try await CompareBench(place: $0).run() }),
        ("amplification", { try await AmplificationBench(place: $0).run() }),
        ("outage", { try await OutageBench(place: $0).run([(5, 3), (60, 2)]) }),
        ("outage-long", { try await OutageBench(place: $0).run([(330, 1)]) }),
    ]
    /// Taken only where they are asked for.
    private static let long: Set<String> = ["outage-long"]

    static func main() {
        let names = Array(CommandLine.arguments.dropFirst())
        if let mode = names.first.flatMap({ StreamsBench.Mode(rawValue: $0) }) { return part(mode) }
        let known = Set(all.map(\.name))
        guard known.isSuperset(of: names) else {
            print("usage: qnode-bench [\(all.map(\.name).joined(separator: "|"))]…")
            exit(2)
        }
        let chosen = all.filter { names.isEmpty ? !long.contains($0.name) : names.contains($0.name) }
        atPlace { place in
            Report.machine(place)
            for bench in chosen {
                Report.title(bench.name, place)
                try await bench.run(place)
            }
        }
    }

    /// One end of what another process of this program measures.
    private static func part(_ mode: StreamsBench.Mode) { atPlace { try await mode.run($0) } }

    private static func atPlace(_ body: @escaping @Sendable (Place) async throws -> Void) {
        let loop = EventLoop()
        do {
            try loop.runBlocking {
                let place = try Place(loop: loop)
                defer { place.remove() }
                try await body(place)
            }
            loop.stop()
        } catch {
            print("bench: \(error)")
            exit(1)
        }
    }
}

/// A figure that could not be taken, and why.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
