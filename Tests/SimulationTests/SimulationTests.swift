import Foundation
import TestSupport
import Testing

/// Simulated worlds in processes of their own: few of them; `Deploy/simulate` runs ten thousand.
@Suite(.timeLimit(.minutes(3)), .serialized) struct SimulationTests {
    private struct Outcome {
        let code: Int32
        let text: String
        /// `hash …, … jobs`
        var hash: Substring? { text.split(separator: "\n").first { $0.contains(": hash ") } }
    }

    private func simulate(_ arguments: String...) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: Lab.built("qnode-sim"))
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(code: process.terminationStatus, text: String(decoding: output, as: UTF8.self))
    }

    @Test("every world comes to its end: everything is everywhere, and no law was broken")
    func worlds() throws {
        let from = Int.random(in: 1_000_000...2_000_000)
        let outcome = try simulate("--seeds", "60", "--from", "\(from)", "--failures", "5")
        #expect(outcome.code == 0, "\(outcome.text)")
    }

    @Test("a seed makes the same world each time, and another seed another", arguments: [3, 17, 40])
    func again(_ seed: Int) throws {
        let first = try simulate("--seed", "\(seed)")
        let second = try simulate("--seed", "\(seed)")
        #expect(first.hash != nil)
        #expect(first.hash == second.hash)
        // In the middle of others, too.
        let among = try simulate("--seeds", "2", "--from", "\(seed - 1)", "--hashes")
        #expect(among.text.contains(first.hash ?? "none"), "\(among.text)")
        #expect(try simulate("--seed", "\(seed + 1)").hash != first.hash)
    }

    @Test("what is wrong is found, and said with the seed", arguments: ["gone", "altered", "lie", "deaf"])
    func defects(_ name: String) throws {
        let outcome = try simulate("--seeds", "20", "--from", "1", "--defect", name, "--failures", "1")
        #expect(outcome.code == 1, "\(outcome.text)")
        #expect(outcome.text.contains(#/FAILED seed \d+: /#))
        #expect(outcome.text.contains(#/again: Deploy/simulate --seed \d+/#))
    }
}
