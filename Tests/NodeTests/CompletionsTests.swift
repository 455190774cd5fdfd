import Foundation
import Testing

@testable import Node

@Suite struct CompletionsTests {
    /// What bash offers for a line; words as bash splits them, `=` being one of its own.
    private func offered(_ words: String...) throws -> Set<String> {
        let script = CommandLineCompletions.script(for: .bash, program: Commands.program)
        let list = words.map(CommandLineCompletions.quoted).joined(separator: " ")
        let output = try run(
            "/bin/bash",
            [
                "--norc", "-c",
                "\(script)\nCOMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1); _qnode\n"
                    + #"printf '%s\n' "${COMPREPLY[@]}""#,
            ])
        return Set(output.split(separator: "\n").map(String.init))
    }

    private func run(_ program: String, _ arguments: [String], input: String = "") throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let (output, source) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardInput = source
        try process.run()
        source.fileHandleForWriting.write(Data(input.utf8))
        try source.fileHandleForWriting.close()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("bash offers verbs, options and words where they belong")
    func bash() throws {
        #expect(try offered("qnode", "s") == ["status", "sessions", "simulate"])
        #expect(try offered("qnode", "--chunk-") == ["--chunk-interval", "--chunk-size"])
        #expect(try offered("qnode", "record", "") == ["start", "stop", "marker"])
        #expect(try offered("qnode", "record", "start", "--m") == ["--mission", "--metadata"])
        #expect(try offered("qnode", "--role", "") == ["vehicle", "topside"])
        #expect(try offered("qnode", "--role", "=", "v") == ["vehicle"])
        #expect(try offered("qnode", "--mdns", "=") == ["auto", "daemon", "embedded", "off"])
        #expect(try offered("qnode", "completions", "") == ["bash", "zsh", "fish"])
        #expect(try offered("qnode", "--data", "record", "st") == ["status"])
        #expect(try offered("qnode", "--data", "=", "record", "status", "--wat") == ["--watch"])
        #expect(try offered("qnode", "status", "--json", "x") == [])
    }

    @Test("an option takes a value everywhere or nowhere, which completion relies on")
    func arity() {
        var argument: [String: Bool] = [:]
        for (path, command) in CommandLineCompletions.flattened(Commands.program) {
            for option in command.options {
                let takes = option.argument == .required
                #expect(argument.updateValue(takes, forKey: option.name) ?? takes == takes, "\(path) \(option.name)")
            }
        }
    }

    @Test("zsh and fish know each option of each verb", arguments: [Shell.zsh, .fish])
    func others(_ shell: Shell) throws {
        let script = CommandLineCompletions.script(for: shell, program: Commands.program)
        for (path, command) in CommandLineCompletions.flattened(Commands.program) {
            for option in command.options {
                #expect(
                    script.contains(shell == .zsh ? "--\(option.name)" : "-l \(option.name)"), "\(path) \(option.name)")
            }
            for verb in command.verbs { #expect(script.contains(verb.name)) }
        }
        let interpreter = "/usr/bin/\(shell.rawValue)"
        // The shell's own parser judges where it is installed; quoting is checked everywhere.
        if FileManager.default.isExecutableFile(atPath: interpreter) {
            _ = try run(interpreter, [shell == .zsh ? "-n" : "--no-execute", "/dev/stdin"], input: script)
        }
    }

    @Test("apostrophes and brackets of a help line do not end a quote")
    func quoting() {
        let option = OptionDescription(
            name: "x", argument: .required, placeholder: "A:B", completion: .words(["a"]), help: "the node's [one]: \\")
        let program = CommandDescription("qnode", summary: "it's", options: [option])
        let zsh = CommandLineCompletions.script(for: .zsh, program: program)
        #expect(zsh.contains(#"'--x=[the node'\''s \[one\]\: \\]:A\:B:(a)'"#))
        let fish = CommandLineCompletions.script(for: .fish, program: program)
        #expect(fish.contains(#"-l x -x -a 'a' -d 'the node\'s [one]: \\'"#))
    }
}
