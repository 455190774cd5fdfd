import Foundation
import Testing

/// What is wrong on a command line or in a file is said in one sentence, before anything is touched.
@Suite struct UsageTests {
    @Test(
        "wrong usage is one sentence and exit code 2",
        arguments: [
            (["--role", "vehicle", "--frobnicate"], "unknown option --frobnicate"),
            (["--role", "pilot"], "pilot"),
            (["--name", "x"], "role"),
            (["--role", "vehicle", "--chunk-size", "5XB"], "--chunk-size"),
            (["--role", "vehicle", "--chunk-size", "99999999999999999999"], "--chunk-size"),
            (["--role", "vehicle", "--chunk-interval", "soon"], "--chunk-interval"),
            (["--role", "vehicle", "--chunk-interval", "0.1s"], "--chunk-interval"),
            (["--role", "vehicle", "--listen", "nowhere"], "--listen"),
            (["--role", "vehicle", "--peer", "host:99999"], "--peer"),
            (["--role", "vehicle", "--serial", "/dev/x@17"], "--serial"),
            (["--role", "vehicle", "--averaging", "5"], "averaging"),
            (["launch"], "unknown verb"),
            (["record"], "start, stop, marker"),
            (["record", "marker"], "marker"),
            (["status", "--watch=0"], "--watch"),
            (["sessions", "not-an-id"], "session"),
            (["pull", "none"], "nothing"),
            (["simulate", "q-series", "--fault", "gremlins"], "gremlins"),
            (["completions", "tcsh"], "tcsh"),
        ])
    func usage(_ arguments: [String], _ word: String) throws {
        let scratch = try Scratch()
        let outcome = try Program(
            [Program.qnode] + arguments, in: scratch, environment: ["QNODE_DATA": "\(scratch.path)/data"]
        ).ended()
        #expect(outcome.code == 2, "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.sentences.count == 1, "\(outcome)")
        #expect(outcome.errors.hasPrefix("qnode: ") && outcome.errors.contains(word), "\(outcome)")
        #expect(!FileManager.default.fileExists(atPath: "\(scratch.path)/data"))
    }

    @Test(
        "a file of settings with an error is refused with its line",
        arguments: [
            ("role = vehicle\nchunk-intervall = 5s\n", "line 2"),
            ("role = vehicle\nrole = topside\n", "line 2"),
            ("\n\njust words\n", "line 3"),
            ("role = vehicle\nname = \"open\n", "line 2"),
            ("chunk-size = 5 parsecs\nrole = vehicle\n", "line 1"),
            ("config = other\n", "line 1"),
        ])
    func file(_ text: String, _ place: String) throws {
        let scratch = try Scratch()
        let file = try scratch.write(text, to: "node.conf")
        let outcome = try scratch.run("--config", file, "--data", "\(scratch.path)/data")
        #expect(outcome.code == 2, "\(outcome)")
        #expect(outcome.sentences.count == 1 && outcome.errors.contains(place), "\(outcome)")
    }

    @Test("a file of settings that cannot be read is a failure, no wrong usage")
    func unreadable() throws {
        let scratch = try Scratch()
        for file in ["\(scratch.path)/none", scratch.path, "/dev/zero"] {
            let outcome = try scratch.run("--config", file, "--role", "topside")
            #expect(outcome.code == 1, "\(outcome)")
            #expect(outcome.sentences.count == 1 && outcome.errors.contains(file), "\(outcome)")
        }
    }

    @Test("a variable that is no setting is named")
    func environment() throws {
        let scratch = try Scratch()
        let outcome = try scratch.run("--role", "topside", environment: ["QNODE_CHUNK_INTERVALL": "5s"])
        #expect(outcome.code == 2 && outcome.sentences.count == 1, "\(outcome)")
        #expect(outcome.errors.contains("QNODE_CHUNK_INTERVALL"))
    }

    @Test(
        "without a node its verbs say so",
        arguments: [
            ["record", "start"], ["record", "stop"], ["record", "marker", "x"], ["peers"], ["clock"], ["pull"],
        ])
    func noNode(_ arguments: [String]) throws {
        let scratch = try Scratch()
        let data = "\(scratch.path)/data"
        let outcome = try Program([Program.qnode] + arguments + ["--data", data], in: scratch).ended()
        #expect(outcome.code == 1, "\(outcome)")
        #expect(outcome.sentences.count == 1 && outcome.errors.contains("no node runs on \(data)"), "\(outcome)")
        #expect(!FileManager.default.fileExists(atPath: data))
    }

    @Test("status of no node is an answer: said, and exit code 1")
    func noStatus() throws {
        let scratch = try Scratch()
        let text = try scratch.run("status", "--data", "\(scratch.path)/data")
        #expect(text.code == 1 && text.output == "no node runs on \(scratch.path)/data\n" && text.errors.isEmpty)
        let json = try scratch.run("status", "--json", "--data", "\(scratch.path)/data")
        #expect(json.code == 1)
        #expect(try object(json.output)["running"] as? Bool == false)
    }

    @Test("a closed standard output is a failure, no crash")
    func closedOutput() throws {
        let scratch = try Scratch()
        let command = "'\(Program.qnode)' --help >/dev/full"
        let outcome = try Program(["/bin/sh", "-c", command], in: scratch).ended()
        #expect(outcome.code == 1 && outcome.sentences.count == 1, "\(outcome)")
    }
}
