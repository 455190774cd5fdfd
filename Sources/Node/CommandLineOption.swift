/// How a text becomes a value, and how the value is described to people and to shells.
package struct ValueForm<Value: Sendable>: Sendable {
    /// What stands for the value in a help line: `TIME`, `on|off`.
    package let placeholder: String
    package let completion: Completion
    package let read: @Sendable (String) throws(ValueError) -> Value

    package init(
        _ placeholder: String, completion: Completion = .nothing,
        read: @escaping @Sendable (String) throws(ValueError) -> Value
    ) {
        self.placeholder = placeholder
        self.completion = completion
        self.read = read
    }
}

/// What a shell offers where a value is expected.
package enum Completion: Hashable, Sendable {
    case nothing, files, directories
    case words([String])
}

/// One option of a command as parsing, help and completions see it.
package struct OptionDescription: Hashable, Sendable {
    package enum Argument: Hashable, Sendable {
        case none
        case required
        /// The option alone means `bare`. A value follows after `=`, or as the next word where it is one of the form's
        /// words.
        case optional(bare: String)
    }

    /// Without the dashes.
    package let name: String
    package let argument: Argument
    package let placeholder: String
    package let completion: Completion
    /// Every occurrence counts; otherwise the last one does.
    package let repeats: Bool
    /// One sentence without a full stop.
    package let help: String
    /// The heading it is listed under.
    package let section: String

    package init(
        name: String, argument: Argument, placeholder: String = "", completion: Completion = .nothing,
        repeats: Bool = false, help: String, section: String = "Options"
    ) {
        self.name = name
        self.argument = argument
        self.placeholder = placeholder
        self.completion = completion
        self.repeats = repeats
        self.help = help
        self.section = section
    }

    /// `--name VALUE`, `--name[=VALUE]`, with `...` where it may be repeated.
    package var synopsis: String {
        let dots = repeats ? "..." : ""
        return switch argument {
        case .none: "--\(name)"
        case .required: "--\(name) \(placeholder)\(dots)"
        case .optional: "--\(name)[=\(placeholder)]\(dots)"
        }
    }

    /// Words that the value is one of, or [] where it is open.
    var words: [String] { if case .words(let words) = completion { words } else { [] } }
}

/// An option of a verb whose value has a type.
package struct CommandOption<Value: Sendable>: Sendable {
    package let description: OptionDescription
    package let form: ValueForm<Value>

    package init(
        _ name: String, _ form: ValueForm<Value>, bare: String? = nil, repeats: Bool = false, help: String
    ) {
        self.form = form
        description = OptionDescription(
            name: name, argument: bare.map { .optional(bare: $0) } ?? .required, placeholder: form.placeholder,
            completion: form.completion, repeats: repeats, help: help)
    }
}

/// A word of a command that is no option.
package struct OperandDescription: Hashable, Sendable {
    package enum Count: Hashable, Sendable { case one, atMostOne, any }

    package let placeholder: String
    package let count: Count
    package let completion: Completion
    package let help: String

    package init(_ placeholder: String, _ count: Count, completion: Completion = .nothing, help: String) {
        self.placeholder = placeholder
        self.count = count
        self.completion = completion
        self.help = help
    }

    package var synopsis: String {
        switch count {
        case .one: placeholder
        case .atMostOne: "[\(placeholder)]"
        case .any: "[\(placeholder)]..."
        }
    }
}

/// A program or one of its verbs: a row of the table from which parsing, help and completions are made.
package struct CommandDescription: Hashable, Sendable {
    package let name: String
    /// One line for lists, without a full stop.
    package let summary: String
    /// Paragraphs for its own help.
    package let discussion: String
    package let options: [OptionDescription]
    package let operand: OperandDescription?
    package let verbs: [CommandDescription]

    package init(
        _ name: String, summary: String, discussion: String = "", options: [OptionDescription] = [],
        operand: OperandDescription? = nil, verbs: [CommandDescription] = []
    ) {
        self.name = name
        self.summary = summary
        self.discussion = discussion
        // Every command answers these two.
        self.options = options + [Self.help, Self.version]
        self.operand = operand
        self.verbs = verbs
    }

    package static let help = OptionDescription(name: "help", argument: .none, help: "Show this help and exit")
    package static let version = OptionDescription(name: "version", argument: .none, help: "Show the version and exit")
}
