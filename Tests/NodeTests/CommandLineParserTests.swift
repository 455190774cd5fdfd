import Testing

@testable import Node

@Suite struct CommandLineParserTests {
    private static let size = CommandOption<Int64>(
        "chunk-size", .size(in: 1...100, because: "it is so"), help: "a size")
    private static let peers = CommandOption<String>("peer", .identifier("P", limit: 9), repeats: true, help: "a list")
    private static let record = CommandOption<Bool>("record", .onOff, bare: "on", help: "a switch")
    private static let json = OptionDescription(name: "json", argument: .none, help: "a flag")
    private static let commit = OptionDescription(name: "commit-interval", argument: .required, help: "an interval")
    private static let program = CommandDescription(
        "prog", summary: "a program",
        options: [size.description, peers.description, record.description, commit],
        verbs: [
            CommandDescription(
                "show", summary: "shows", options: [json, peers.description],
                operand: OperandDescription("WHAT", .atMostOne, help: "what")),
            CommandDescription("many", summary: "many", operand: OperandDescription("ITEM", .any, help: "items")),
            CommandDescription("group", summary: "group", verbs: [CommandDescription("inner", summary: "inner")]),
        ])

    private func parse(_ arguments: String...) throws -> ParsedCommand {
        try CommandLineParser.parse(arguments, by: Self.program)
    }

    private func refusal(_ arguments: String...) throws -> String {
        let error = #expect(throws: UsageError.self) { try CommandLineParser.parse(arguments, by: Self.program) }
        let refusal = try #require(error)
        #expect(isOneSentence(refusal.description))
        #expect(refusal.exitCode == 2)
        return refusal.description
    }

    @Test("a value follows after a space or after =")
    func values() throws {
        #expect(try parse("--chunk-size", "5").value(Self.size) == 5)
        #expect(try parse("--chunk-size=5").value(Self.size) == 5)
        #expect(try parse("--peer=a=b").values(Self.peers) == ["a=b"])
        #expect(try parse("--peer", "--odd").values(Self.peers) == ["--odd"])
    }

    @Test("the last of a repeated option counts, and a list keeps all")
    func repeated() throws {
        #expect(try parse("--chunk-size", "5", "--chunk-size", "6").value(Self.size) == 6)
        #expect(try parse("--peer", "a", "--peer=b").values(Self.peers) == ["a", "b"])
        #expect(try parse().value(Self.size) == nil)
    }

    @Test("a plain switch means on, and takes on or off only as a word of its own")
    func optionalValue() throws {
        #expect(try parse("--record").value(Self.record) == true)
        #expect(try parse("--record", "off").value(Self.record) == false)
        #expect(try parse("--record=off").value(Self.record) == false)
        let followed = try parse("--record", "--chunk-size", "5")
        #expect(try followed.value(Self.record) == true)
        #expect(try followed.value(Self.size) == 5)
        #expect(try refusal("--record", "show", "a", "b").contains("does not belong to show"))
        #expect(throws: UsageError("option --record: \"\" is neither on nor off")) {
            try parse("--record=").value(Self.record)
        }
    }

    @Test("options stand before, between and after operands")
    func order() throws {
        for arguments in [["show", "x", "--json"], ["show", "--json", "x"], ["--peer", "p", "show", "x", "--json"]] {
            let command = try CommandLineParser.parse(arguments, by: Self.program)
            #expect(command.path == ["prog", "show"])
            #expect(command.operands == ["x"])
            #expect(command.has(Self.json))
        }
    }

    @Test("-- ends the options")
    func terminator() throws {
        #expect(try parse("show", "--", "--json").operands == ["--json"])
        #expect(try parse("many", "--", "-x", "--", "y").operands == ["-x", "--", "y"])
        #expect(try parse("many", "-").operands == ["-"])
    }

    @Test("an unambiguous beginning is enough, an ambiguous one names what it could be")
    func abbreviations() throws {
        #expect(try parse("--chunk", "5").value(Self.size) == 5)
        #expect(try parse("--p=a").values(Self.peers) == ["a"])
        #expect(try parse("show", "--j").has(Self.json))
        #expect(try refusal("--c", "5") == "option --c is ambiguous: --chunk-size, --commit-interval")
    }

    @Test("nested verbs are found, and help is understood everywhere")
    func nested() throws {
        #expect(try parse("group", "inner").path == ["prog", "group", "inner"])
        for arguments in [["--help"], ["-h"], ["show", "--help"], ["group", "inner", "--hel"], ["group", "-h"]] {
            #expect(try CommandLineParser.parse(arguments, by: Self.program).has(CommandDescription.help))
        }
    }

    @Test("a misspelt option or verb is answered with the nearest")
    func suggestions() throws {
        #expect(
            try refusal("--comit-interval", "1") == "unknown option --comit-interval; did you mean --commit-interval?")
        #expect(try refusal("--chunk_size", "1") == "unknown option --chunk_size; did you mean --chunk-size?")
        #expect(try refusal("shwo") == "unknown verb \"shwo\"; did you mean show?")
        #expect(try refusal("group", "iner") == "unknown verb of group: \"iner\"; did you mean inner?")
        #expect(try refusal("-json").contains("unknown option"))
        #expect(try refusal("show", "-json") == "unknown option \"-json\"; did you mean --json?")
        #expect(try refusal("--zzzzzz") == "unknown option --zzzzzz; see prog --help")
        #expect(try refusal("qqqqqq") == "unknown verb \"qqqqqq\"; see prog --help")
    }

    @Test("what is missing or too much is named")
    func counts() throws {
        #expect(try refusal("--chunk-size") == "option --chunk-size needs a value: --chunk-size SIZE")
        #expect(try refusal("show", "--json=1") == "option --json takes no value")
        #expect(try refusal("show", "a", "b") == "unexpected argument \"b\"; see prog show --help")
        #expect(try refusal("group", "inner", "x") == "unexpected argument \"x\"; see prog group inner --help")
        #expect(
            try refusal("--chunk-size", "1", "show")
                == "option --chunk-size does not belong to show; see prog show --help")
    }

    @Test("a bad value names its option")
    func badValue() throws {
        #expect(throws: UsageError("option --chunk-size: \"1KB\" is outside 1B to 100B: it is so")) {
            try parse("--chunk-size", "1KB").value(Self.size)
        }
    }

    @Test(
        "hostile words give one plain sentence and no control characters",
        arguments: [
            "--\u{1B}[2J", "--=", "---", "--=x", "\u{202E}evil", "--näme", "-", "-\u{0}", "show\nme",
            "--" + String(repeating: "a", count: 100_000), String(repeating: "é", count: 50_000), "--\u{0}",
            "\u{FEFF}show",
        ])
    func hostile(_ word: String) throws {
        let refusal = try refusal(word)
        #expect(refusal.utf8.count < 1000)
        #expect(!refusal.unicodeScalars.contains { $0.value == 0x202E || $0.value == 0xFEFF })
    }

    @Test("the empty word is refused as a verb")
    func empty() throws { #expect(try refusal("") == "unknown verb \"\"; see prog --help") }
}
