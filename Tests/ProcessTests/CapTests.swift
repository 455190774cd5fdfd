import Foundation
import Testing

/// Caps as a person at a shell sets them.
@Suite struct CapTests {
    @Test("a running node's cap is changed, shown, and lasts until its end; without a node that is said")
    func set() throws {
        let scratch = try Scratch()
        let node = try scratch.node("node", ["--role", "topside", "--cap", "500KiB/s"])
        func caps() throws -> [String: Any] { try #require(try node.status()?.json["caps"] as? [String: Any]) }
        #expect(try caps()["pull_bytes_per_s"] as? Int == 512_000)
        #expect(try scratch.run("status", "--data", node.data).output.contains("fetches at most 500KiB/s"))
        let outcome = try scratch.run("config", "set", "cap", "200KiB/s", "--data", node.data)
        #expect(outcome.code == 0)
        #expect(
            outcome.output
                == "cap is 200KiB/s until this node ends; to keep it, write cap = 200KiB/s in its file of settings, or "
                + "start it with --cap 200KiB/s\n")
        #expect(try caps()["pull_bytes_per_s"] as? Int == 204_800)
        #expect(try scratch.run("config", "set", "serve-cap", "1MB/s", "--data", node.data).code == 0)
        #expect(try caps()["serve_bytes_per_s"] as? Int == 1_000_000)
        #expect(try scratch.run("config", "set", "cap", "off", "--data", node.data).code == 0)
        #expect(try caps()["pull_bytes_per_s"] == nil)
        #expect(try node.stop().code == 0)
        let without = try scratch.run("config", "set", "cap", "1MB/s", "--data", node.data)
        #expect(without.code == 1 && without.errors.contains("no node runs on"))
    }
}
