import Foundation
import Model
import Reactor
import Recording
import Testing

/// Ten minutes of two sensors that go wrong in every way, and nodes that are killed meanwhile.
@Suite(.serialized, .timeLimit(.minutes(3))) struct SoakTests {
    @Test("nothing that was durable is lost, and both stores end equal, whoever is killed when")
    func soak() throws {
        let seed = ProcessInfo.processInfo.environment["SOAK_SEED"].flatMap { UInt64($0) } ?? .random(in: 0..<1_000_000)
        print("SOAK_SEED=\(seed)")
        try Scratch.run { scratch in
            let soak = try await Soak(scratch, seed: seed)
            do { try await soak.run() } catch {
                Issue.record("SOAK_SEED=\(seed): \(error)")
                await soak.abandon()
                return
            }
            let findings = try await soak.audit()
            #expect(findings.isEmpty, "SOAK_SEED=\(seed)\n\(findings.prefix(40).joined(separator: "\n"))")
        }
    }
}
