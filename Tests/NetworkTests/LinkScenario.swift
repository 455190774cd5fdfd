import Gateway
import HTTP
import Model
import Reactor
import TestSupport
import Testing

/// A vehicle and a topside on a tether that may do anything: what must hold in the end, and how long things took.
struct LinkScenario: Sendable {
    let name: String
    let lab: Lab
    let mirror: Mirror
    let arrivals: ChunkArrivals

    /// What a link that is back may take until verified bytes flow again; printed beside what it took.
    static let budget = Duration.seconds(1)
    /// What fails a test, for a node of a debug build among twenty others on two cores.
    static let bound = Duration.seconds(5)
    /// Connected, behind, and nothing moving for so long is a stall. The vehicle seals a chunk each second; the rest is
    /// the busy machine's.
    static let stall = Duration.seconds(5) + .seconds(3)
    /// Before any scenario begins, and after it, so many chunks pass.
    private static let settling = 3

    /// Runs `body` once chunks pass, and then has both stores compared.
    static func run(
        _ name: String, _ shape: TetherShape = TetherShape(delay: .milliseconds(2)), usesIPv6: Bool = true,
        vehicle options: [String] = [], _ body: @escaping @Sendable (LinkScenario) async throws -> Void
    ) async throws {
        try await Lab.run(.tether(shape)) { lab in
            if !usesIPv6 { for side in ["a", "b"] { try await lab.switchOffIPv6(side) } }
            let mirror = Mirror(
                vehicle: try await .vehicle(lab, options: options), topside: try await .topside(lab))
            try await ChunkArrivals.follow(mirror.topside) { arrivals in
                let scenario = LinkScenario(name: name, lab: lab, mirror: mirror, arrivals: arrivals)
                _ = try await arrivals.wait(settling, after: mirror.startedAt, at: mirror.topside)
                try await body(scenario)
            }
            try await mirror.equal()
        }
    }

    /// Gives the link back by `plugIn`, and judges how long it takes until something new is at the topside, and that
    /// it goes on from there.
    func back(_ plugIn: () async throws -> Void) async throws {
        let begun = SystemClock.monotonic()
        try await plugIn()
        let first = begun.duration(to: try await arrivals.wait(1, after: begun, at: mirror.topside))
        print("link: \(name): first verified bytes after \(first.rounded), budget \(Self.budget.rounded)")
        #expect(first <= Self.bound, "\(name)")
        try await flows(from: SystemClock.monotonic(), chunks: Self.settling)
    }

    /// Waits for so many chunks and judges the longest pause between them.
    func flows(from start: MonotonicTime, chunks: Int) async throws {
        let end = try await arrivals.wait(chunks, after: start, at: mirror.topside)
        let pause = arrivals.longestPause(from: start, to: end)
        #expect(pause <= Self.stall, "\(name)")
        print("link: \(name): \(chunks) chunks in \(start.duration(to: end).rounded), longest pause \(pause.rounded)")
    }

    /// Something that an event will not end: the outage's own length.
    func pass(_ duration: Duration) async throws { try await lab.loop.sleep(for: duration) }
}

/// How a link is lost.
enum LinkLoss: String, Sendable, CustomTestStringConvertible {
    /// Both hosts see it.
    case carrier
    /// Nobody sees it.
    case silence
    /// The topside hears nothing and is heard.
    case vehicleMute = "vehicle mute"
    case topsideMute = "topside mute"

    var testDescription: String { rawValue }

    func set(_ isLost: Bool, _ tether: Tether) async throws {
        switch self {
        case .carrier: try await tether.carrier(!isLost)
        case .silence: try await tether.silence(isLost)
        case .vehicleMute: try await tether.silence(isLost, [.ab])
        case .topsideMute: try await tether.silence(isLost, [.ba])
        }
    }
}

/// What a node says that it holds, author by author.
private struct HoldingsForm: Decodable, Sendable {
    let authors: Holdings
}

extension Mirror {
    /// Ends the recording, waits until both nodes hold the same, facts and chunks, ends both in order, and has each
    /// store verified.
    func equal(isRecording: Bool = true) async throws {
        try await converged(isRecording: isRecording)
        try await topside.within("the same holdings") {
            while true {
                let (recorded, mirrored) = (
                    try await vehicle.get(HoldingsForm.self, "/v1/have"),
                    try await topside.get(HoldingsForm.self, "/v1/have")
                )
                if recorded.authors == mirrored.authors { return }
                try await topside.lab.loop.sleep(for: .milliseconds(50))
            }
        }
        for node in [topside, vehicle] {
            #expect(try await node.process.stop() == 0)
            try await node.lab.shell(
                "\(Lab.built("qnode")) verify --data \(node.data) > \(node.data).verified 2>&1"
                    + " || { cat \(node.data).verified; false; }")
        }
    }
}
