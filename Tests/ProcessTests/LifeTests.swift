import Foundation
import Glibc
import Testing

/// A node's life from outside: recording, stops, kills, and what its verbs say.
@Suite struct LifeTests {
    private func vehicle(_ scratch: Scratch, _ sensor: String, _ arguments: String...) throws -> RunningNode {
        try scratch.node(
            "vehicle", ["--role", "vehicle", "--serial", sensor, "--chunk-interval", "1s"] + arguments)
    }

    private func sessions(_ scratch: Scratch, _ data: String) throws -> [[String: Any]] {
        let outcome = try scratch.run("sessions", "--json", "--data", data)
        guard let list = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [[String: Any]] else {
            throw ProgramError(description: "\(outcome)")
        }
        return list
    }

    private func rows(_ session: [String: Any]) -> Int {
        let data = (session["streams"] as? [String: Any])?["data"] as? [String: Any]
        return data?["rows"] as? Int ?? 0
    }

    private func facts(_ data: String, _ words: String...) throws -> Int {
        let log = "\(data)/log"
        return try FileManager.default.contentsOfDirectory(atPath: log).reduce(0) { sum, name in
            let text = try String(contentsOfFile: "\(log)/\(name)", encoding: .utf8)
            return sum + text.split(separator: "\n").count { line in words.allSatisfy { line.contains($0) } }
        }
    }

    @Test("SIGTERM seals every row and ends within two seconds; the session goes on at the next start")
    func orderlyStop() throws {
        let scratch = try Scratch()
        let sensor = try scratch.sensor()
        let first = try vehicle(scratch, sensor)
        let status = try first.until("it records") { $0.sealed >= 1 && $0.rows > 20 }
        #expect(try first.stop(within: 2).code == 0)
        let before = try sessions(scratch, first.data)
        #expect(before.count == 1 && rows(before[0]) >= status.rows)
        #expect(before[0]["ended_at"] == nil)
        let again = try vehicle(scratch, sensor)
        try again.until("the session goes on") { $0.session == status.session && $0.rows > rows(before[0]) }
        // Told when the process is back, and once more with its end at the next row.
        #expect(try facts(again.data, "\"gap\"", "\"restart\"") == 2)
        #expect(try again.stop(within: 2).code == 0)
        let audit = try scratch.run("verify", "--data", again.data)
        #expect(audit.code == 0 && audit.output.contains("all sound"), "\(audit)")
    }

    @Test("after SIGKILL the sealed chunks are there, the open one is sealed, and the session goes on")
    func killed() throws {
        let scratch = try Scratch()
        let sensor = try scratch.sensor()
        let first = try vehicle(scratch, sensor, "--commit-interval", "0")
        try first.until("chunks are sealed") { $0.sealed >= 2 }
        let status = try first.until("one is open") { ($0.recording["open_chunk_rows"] as? Int ?? 0) > 0 }
        try first.kill()
        // The verbs find what is there without a node, too.
        let list = try sessions(scratch, first.data)
        #expect(list.count == 1 && rows(list[0]) >= status.rows)
        let again = try vehicle(scratch, sensor)
        try again.until("the session goes on") { $0.session == status.session && $0.rows > status.rows }
        #expect(try facts(again.data, "\"gap\"", "\"restart\"") >= 1)
        #expect(try again.stop().code == 0)
        #expect(try scratch.run("verify", "--data", again.data).code == 0)
    }

    @Test("a flipped byte is found: exit code 3")
    func flipped() throws {
        let scratch = try Scratch()
        let node = try vehicle(scratch, try scratch.sensor())
        try node.until("chunks are sealed") { $0.sealed >= 1 }
        #expect(try node.stop().code == 0)
        #expect(try scratch.run("verify", "--data", node.data).code == 0)
        let chunks = "\(node.data)/chunks"
        let files = FileManager.default.enumerator(atPath: chunks)?.compactMap { $0 as? String } ?? []
        let name = try #require(files.first { $0.count > 64 })
        var bytes = try Data(contentsOf: URL(filePath: "\(chunks)/\(name)"))
        bytes[bytes.count / 2] ^= 1
        #expect(chmod("\(chunks)/\(name)", 0o640) == 0)
        // In place: the folder for people has the same file by another name.
        let file = try #require(FileHandle(forWritingAtPath: "\(chunks)/\(name)"))
        try file.write(contentsOf: bytes)
        try file.close()
        let text = try scratch.run("verify", "--data", node.data)
        #expect(text.code == 3 && text.output.contains(String(name.suffix(64))), "\(text)")
        let json = try scratch.run("verify", "--json", "--data", node.data)
        #expect(json.code == 3)
        #expect(try object(json.output)["sound"] as? Bool == false)
    }

    @Test("a start, a marker and a stop by hand; what is pressed twice is said")
    func byHand() throws {
        let scratch = try Scratch()
        let node = try vehicle(scratch, try scratch.sensor(), "--record", "off")
        try node.until("rows come") { ($0.instrument["rows"] as? Int ?? 0) > 0 }
        #expect(try node.status()?.session == nil)
        func record(_ arguments: String...) throws -> Program.Outcome {
            try Program([Program.qnode, "record"] + arguments + ["--data", node.data], in: scratch).ended()
        }
        let early = try record("stop")
        #expect(early.code == 1 && early.errors == "qnode: nothing is being recorded\n", "\(early)")
        let started = try record("start", "--mission", "reef", "--metadata", "diver=Ada", "--json")
        #expect(started.code == 0, "\(started)")
        let session = try #require(try object(started.output)["session"] as? String)
        let twice = try record("start")
        #expect(twice.code == 1 && twice.sentences.count == 1 && twice.errors.contains(session), "\(twice)")
        try node.until("rows are recorded") { $0.session == session && $0.rows > 5 }
        #expect(try record("marker", "at depth").code == 0)
        let stopped = try record("stop", "--json")
        #expect(stopped.code == 0, "\(stopped)")
        #expect(try object(stopped.output)["rows"] as? Int ?? 0 > 5)
        #expect(try facts(node.data, "\"marker\"", "at depth") == 1)
        #expect(try facts(node.data, "\"session\"", "reef", "Ada") == 1)
        #expect(try node.stop().code == 0)
    }

    @Test("every verb that prints facts prints JSON that parses")
    func json() throws {
        let scratch = try Scratch()
        let node = try vehicle(scratch, try scratch.sensor())
        let status = try node.until("chunks are sealed") { $0.sealed >= 1 }
        let session = try #require(status.session)
        let verbs = [
            ["status"], ["sessions"], ["sessions", session], ["peers"], ["clock"], ["verify"], ["doctor"],
            ["record", "marker", "x"],
        ]
        for verb in verbs {
            let outcome = try Program([Program.qnode] + verb + ["--json", "--data", node.data], in: scratch).ended()
            #expect(outcome.code == 0 || verb == ["doctor"], "\(verb): \(outcome)")
            #expect(outcome.errors.isEmpty, "\(verb): \(outcome)")
            _ = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
        }
        for verb in [["version"], ["config"]] {
            _ = try object(try Program([Program.qnode] + verb + ["--json"], in: scratch).ended().output)
        }
        let both = try scratch.run("status", "--json", "--data", node.data, "--data", "\(scratch.path)/none")
        #expect(both.code == 1)
        let lines = both.output.split(separator: "\n").map(String.init)
        #expect(lines.count == 2)
        for line in lines { _ = try object(line) }
        #expect(try node.stop().code == 0)
    }
}
