/// For zsh 5 and later: nested `_arguments`, one function a command.
struct ZshCompletions {
    private let commands: [(path: [String], command: CommandDescription)]

    init(_ program: CommandDescription) { commands = CommandLineCompletions.flattened(program) }

    var text: String {
        let head = ["#compdef qnode", "# zsh completion for qnode; made by: qnode completions zsh"]
        let tail = [#"if [ "$funcstack[1]" = _qnode ]; then _qnode "$@"; else compdef _qnode qnode; fi"#]
        return (head + commands.map { function($0.path, $0.command) } + tail).joined(separator: "\n")
    }

    private func function(_ path: [String], _ command: CommandDescription) -> String {
        let specifications = command.options.flatMap(specifications)
        let arguments = (specifications + operands(command)).map { "        \($0)" }.joined(separator: " \\\n")
        guard !command.verbs.isEmpty else {
            return "\(name(path))() {\n    _arguments -S \\\n\(arguments)\n}"
        }
        let verbs = command.verbs.map {
            "        \(CommandLineCompletions.quoted("\($0.name):\($0.summary)"))"
        }
        let cases = command.verbs.map { "            \($0.name)) \(name(path + [$0.name])) ;;" }
        return """
            \(name(path))() {
                local curcontext="$curcontext" state line
                local -a verbs=(
            \(verbs.joined(separator: "\n"))
                )
                _arguments -S -C \\
            \(arguments)
                case $state in
                    verb) _describe -t verbs verb verbs ;;
                    rest)
                        words=($line[1] "${words[@]}")
                        (( CURRENT += 1 ))
                        case $line[1] in
            \(cases.joined(separator: "\n"))
                        esac ;;
                esac
            }
            """
    }

    private func name(_ path: [String]) -> String {
        (["_qnode"] + path).joined(separator: "_").replacing("-", with: "_")
    }

    private func specifications(_ option: OptionDescription) -> [String] {
        let star = option.repeats ? "*" : ""
        let explanation = "[\(escaped(option.help))]"
        let value = ":\(escaped(option.placeholder)):\(action(option.completion))"
        return switch option.argument {
        case .none: [CommandLineCompletions.quoted("\(star)--\(option.name)\(explanation)")]
        case .required: [CommandLineCompletions.quoted("\(star)--\(option.name)=\(explanation)\(value)")]
        case .optional: [CommandLineCompletions.quoted("\(star)--\(option.name)=-\(explanation):\(value)")]
        }
    }

    private func operands(_ command: CommandDescription) -> [String] {
        if !command.verbs.isEmpty { return ["'1: :->verb'", "'*::: :->rest'"] }
        guard let operand = command.operand else { return [] }
        let position =
            switch operand.count {
            case .one: "1:"
            case .atMostOne: "1::"
            case .any: "*:"
            }
        let tail = "\(escaped(operand.placeholder)):\(action(operand.completion))"
        return [CommandLineCompletions.quoted(position + tail)]
    }

    private func action(_ completion: Completion) -> String {
        switch completion {
        case .nothing: " "
        case .files: "_files"
        case .directories: "_files -/"
        case .words(let words): "(\(words.joined(separator: " ")))"
        }
    }

    private func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("[", with: "\\[").replacing("]", with: "\\]")
            .replacing(":", with: "\\:")
    }
}
