/// A command line that makes no sense (exit code 2), or one that does in a world that does not (1): one sentence.
package struct UsageError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    package let exitCode: Int32

    package init(_ description: String, exitCode: Int32 = 2) {
        self.description = description
        self.exitCode = exitCode
    }
}

/// A command line taken apart by a table: which verb, its options in order, its operands. Values are still text.
package struct ParsedCommand: Hashable, Sendable {
    package struct Occurrence: Hashable, Sendable {
        package let name: String
        package let text: String
    }

    /// Names from the program's down to the verb's.
    package let path: [String]
    package let command: CommandDescription
    package let occurrences: [Occurrence]
    package let operands: [String]

    package func has(_ option: OptionDescription) -> Bool { occurrences.contains { $0.name == option.name } }

    package func value<Value>(_ option: CommandOption<Value>) throws(UsageError) -> Value? {
        try values(option).last
    }

    package func values<Value>(_ option: CommandOption<Value>) throws(UsageError) -> [Value] {
        var values: [Value] = []
        for occurrence in occurrences where occurrence.name == option.description.name {
            do {
                values.append(try option.form.read(occurrence.text))
            } catch {
                throw UsageError("option --\(occurrence.name): \(error)")
            }
        }
        return values
    }
}

/// Takes arguments apart by the conventions of GNU getopt_long: options and operands in any order, `--name value` and
/// `--name=value`, unambiguous abbreviations, `--` ends the options. `-h` is the only short option.
package struct CommandLineParser: Sendable {
    private var path: [String]
    private var command: CommandDescription
    private var pending: ArraySlice<String>
    private var occurrences: [ParsedCommand.Occurrence] = []
    private var operands: [String] = []
    private var optionsEnded = false

    private init(_ program: CommandDescription, _ arguments: [String]) {
        path = [program.name]
        command = program
        pending = arguments[...]
    }

    /// `arguments` are without the program's name.
    package static func parse(
        _ arguments: [String], by program: CommandDescription
    ) throws(UsageError) -> ParsedCommand {
        var parser = Self(program, arguments)
        while let argument = parser.pending.popFirst() { try parser.take(argument) }
        return ParsedCommand(
            path: parser.path, command: parser.command, occurrences: parser.occurrences, operands: parser.operands)
    }

    private mutating func take(_ argument: String) throws(UsageError) {
        if optionsEnded || argument == "-" || !argument.hasPrefix("-") {
            try takeOperand(argument)
        } else if argument == "--" {
            optionsEnded = true
        } else if argument.hasPrefix("--") {
            try takeLong(argument.dropFirst(2))
        } else if argument == "-h" {
            occurrences.append(ParsedCommand.Occurrence(name: CommandDescription.help.name, text: ""))
        } else {
            let long = command.options.first { $0.name == argument.dropFirst() }
            let hint = long.map { "did you mean --\($0.name)?" } ?? seeHelp
            throw UsageError("unknown option \(argument.quotedForMessage); \(hint)")
        }
    }

    private mutating func takeOperand(_ word: String) throws(UsageError) {
        if !command.verbs.isEmpty, command.operand == nil || command.verbs.contains(where: { $0.name == word }) {
            try enter(word)
        } else if let operand = command.operand, operand.count == .any || operands.isEmpty {
            operands.append(word)
        } else {
            throw UsageError("unexpected argument \(word.quotedForMessage); \(seeHelp)")
        }
    }

    private mutating func enter(_ word: String) throws(UsageError) {
        guard let verb = command.verbs.first(where: { $0.name == word }) else {
            let noun = path.count == 1 ? "verb" : "verb of \(path.dropFirst().joined(separator: " ")):"
            let near = Suggestion.nearest(to: word, among: command.verbs.map(\.name))
            throw UsageError(
                "unknown \(noun) \(word.quotedForMessage); \(near.map { "did you mean \($0)?" } ?? seeHelp)")
        }
        path.append(verb.name)
        command = verb
        // Options before the verb are the verb's where it has them too.
        for occurrence in occurrences where !verb.options.contains(where: { $0.name == occurrence.name }) {
            throw UsageError(
                "option --\(occurrence.name) does not belong to \(path.dropFirst().joined(separator: " ")); \(seeHelp)")
        }
    }

    private mutating func takeLong(_ body: Substring) throws(UsageError) {
        let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count == 2 ? String(parts[1]) : nil
        let option = try option(named: String(parts[0]))
        let text: String
        switch option.argument {
        case .none:
            guard value == nil else { throw UsageError("option --\(option.name) takes no value") }
            text = ""
        case .required:
            guard let found = value ?? pending.popFirst() else {
                throw UsageError("option --\(option.name) needs a value: \(option.synopsis)")
            }
            text = found
        case .optional(let bare):
            if value == nil, let next = pending.first, option.words.contains(next) {
                pending.removeFirst()
                text = next
            } else {
                text = value ?? bare
            }
        }
        occurrences.append(ParsedCommand.Occurrence(name: option.name, text: text))
    }

    private func option(named name: String) throws(UsageError) -> OptionDescription {
        if let exact = command.options.first(where: { $0.name == name }) { return exact }
        let matches = name.isEmpty ? [] : command.options.filter { $0.name.hasPrefix(name) }
        if matches.count == 1 { return matches[0] }
        let plain = name.utf8.allSatisfy { $0 > 32 && $0 < 127 } && name.utf8.count <= 60
        let shown = plain ? "--\(name)" : "--\(name)".quotedForMessage
        if matches.count > 1 {
            let names = matches.map { "--\($0.name)" }.joined(separator: ", ")
            throw UsageError("option \(shown) is ambiguous: \(names)")
        }
        let near = Suggestion.nearest(to: name, among: command.options.map(\.name))
        throw UsageError("unknown option \(shown); \(near.map { "did you mean --\($0)?" } ?? seeHelp)")
    }

    private var seeHelp: String { "see \(path.joined(separator: " ")) --help" }
}
