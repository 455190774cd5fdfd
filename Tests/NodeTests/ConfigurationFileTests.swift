import Model
import Testing

@testable import Node

@Suite struct ConfigurationFileTests {
    private func parse(_ text: String) throws -> [String: [String]] {
        try parse(Array(text.utf8))
    }

    private func parse(_ bytes: [UInt8]) throws -> [String: [String]] {
        try ConfigurationFile.parse(bytes, path: "f", settings: Settings.all).mapValues { $0.map(\.text) }
    }

    @Test("lines of name = value, comments and blank lines, with any spacing and line ends")
    func plain() throws {
        #expect(try parse("") == [:])
        #expect(try parse("# only\n\n  \t\n   # comments\r\n") == [:])
        #expect(
            try parse("role=vehicle\n  chunk-interval \t=  5m  \r\n") == [
                "role": ["vehicle"], "chunk-interval": ["5m"],
            ])
        #expect(try parse("\u{FEFF}role = vehicle") == ["role": ["vehicle"]])
        #expect(try parse("peer = a:1\npeer = b:2") == ["peer": ["a:1", "b:2"]])
        #expect(try parse("mission = a = b") == ["mission": ["a = b"]])
    }

    @Test("a comment begins after a space, and a quoted value may hold anything")
    func comments() throws {
        #expect(try parse("mission = dive   # the third") == ["mission": ["dive"]])
        #expect(try parse("mission = dive#3") == ["mission": ["dive#3"]])
        #expect(try parse("mission = \"dive # 3\" # the third") == ["mission": ["dive # 3"]])
        #expect(try parse(#"mission = "say \"go\" \\ now""#) == ["mission": [#"say "go" \ now"#]])
        #expect(try parse("mission = \" padded \"") == ["mission": [" padded "]])
    }

    @Test(
        "a bad line is refused with its number",
        arguments: [
            ("role", #"f line 1: "role" is not name = value"#),
            ("\n\nrole =", #"f line 3: "role" has no value"#),
            ("role = # nothing", #"f line 1: "role" has no value"#),
            ("= vehicle", #"f line 1: unknown setting """#),
            ("rolle = vehicle", #"f line 1: unknown setting "rolle"; did you mean role?"#),
            ("chunk_interval = 5s", #"f line 1: unknown setting "chunk_interval"; did you mean chunk-interval?"#),
            ("--role = vehicle", #"f line 1: unknown setting "--role"; did you mean role?"#),
            ("pair = off", #"f line 1: unknown setting "pair""#),
            ("role = vehicle\nrole = topside", "f line 2: role was set already: f line 1"),
            ("config = g", "f line 1: a file cannot name another file; use --config or QNODE_CONFIG"),
            (#"mission = "open"#, "f line 1: a quote is not closed"),
            (#"mission = "a" b"#, "f line 1: there is something after the closing quote"),
            (#"mission = "a\n""#, #"f line 1: after \ only \" and \\ make sense"#),
        ])
    func bad(_ text: String, _ sentence: String) {
        let error = #expect(throws: UsageError.self) { try parse(text) }
        #expect(error?.description.hasPrefix(sentence) == true, "\(error?.description ?? "")")
        #expect(isOneSentence(error?.description ?? ""))
    }

    @Test("bytes that are no text are refused")
    func notText() {
        #expect(throws: UsageError("f is not UTF-8 text")) { try parse([0xFF, 0xFE, 0x41]) }
        #expect(throws: UsageError.self) { try parse([0, 0, 0, 0]) }
        #expect(throws: UsageError.self) { try parse(Array(repeating: UInt8(ascii: "="), count: 60_000)) }
    }

    @Test("any cut of a good file is either read or refused, never a crash")
    func cuts() {
        let bytes = Array("role = vehicle # é\nmission = \"a \\\"b\\\" #\"\npeer = [fe80::1%eth0]:9150\r\n".utf8)
        var read = 0
        for length in 0...bytes.count {
            if let values = try? parse(Array(bytes.prefix(length))) { read += values.isEmpty ? 0 : 1 }
        }
        #expect(read > 10)
    }

    @Test("a value from a file is validated with its line")
    func validated() throws {
        #expect(
            try refusal(["--role", "vehicle", "--config", "/f"], files: ["/f": "\npeer = a:1\npeer = b:x"])
                == #"/f line 3: "b:x" is not HOST:PORT; write for example 192.168.2.2:9150 or [fe80::1%eth0]:9150"#)
    }
}
