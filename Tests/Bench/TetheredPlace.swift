import Model
import Reactor
import TestSupport

/// Two hosts on a tether: "a", 10.77.0.1, where a vehicle is, and "b", 10.77.0.2. Both ends of what is measured run
/// on this machine and its clock, each in a network namespace of its own.
struct TetheredPlace: Sendable {
    let place: Place
    let lab: Lab
    let tether: Tether

    static func run(
        _ place: Place, _ shape: TetherShape, _ body: @escaping @Sendable (TetheredPlace) async throws -> Void
    ) async throws {
        if let obstacle = Lab.tetherObstacle { throw BenchError(obstacle) }
        try await Lab.run(.tether(shape)) { lab in
            try await body(TetheredPlace(place: place, lab: lab, tether: try await lab.tether))
        }
    }

    /// Any program on that host; it dies with the bench.
    func start(_ side: String, _ name: String, _ command: [String]) throws -> NodeProcess {
        try NodeProcess(
            place, name, ["netns", "exec", lab.space(side), "setpriv", "--pdeathsig", "KILL"] + command,
            program: "ip")
    }

    /// A node on port 9150 of its host, which finds others as it does by default.
    func node(_ side: String, _ name: String, role: String, _ arguments: [String] = []) throws -> NodeProcess {
        try start(
            side, name,
            [place.program, "--role", role, "--data", "\(place.path)/\(name)", "--name", name] + arguments)
    }

    func pause(_ duration: Duration) async throws { try await lab.loop.sleep(for: duration) }
}
