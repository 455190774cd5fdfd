/// Completions of one shell, made from the table of commands.
package enum CommandLineCompletions {
    package static func script(for shell: Shell, program: CommandDescription) -> String {
        let text =
            switch shell {
            case .bash: BashCompletions(program).text
            case .zsh: ZshCompletions(program).text
            case .fish: FishCompletions(program).text
            }
        return text + "\n"
    }

    /// Every command below and with `command`, each with the words that lead to it.
    static func flattened(
        _ command: CommandDescription, path: [String] = []
    ) -> [(path: [String], command: CommandDescription)] {
        [(path, command)] + command.verbs.flatMap { flattened($0, path: path + [$0.name]) }
    }

    /// Within single quotes of a POSIX shell.
    static func quoted(_ text: String) -> String { "'\(text.replacing("'", with: "'\\''"))'" }
}

/// For bash 3.2 and later, without the bash-completion package.
struct BashCompletions {
    private let commands: [(path: [String], command: CommandDescription)]

    init(_ program: CommandDescription) { commands = CommandLineCompletions.flattened(program) }

    var text: String {
        let options = commands.flatMap(\.command.options)
        let withValue = Set(options.filter { $0.argument == .required }.map { "--\($0.name)" }).sorted()
        let verbs = commands.map { "/" + $0.path.joined(separator: "/") }.dropFirst()
        return """
            # bash completion for qnode; made by: qnode completions bash
            _qnode() {
                local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= option= i word
                for ((i = 1; i < COMP_CWORD; i++)); do
                    word=${COMP_WORDS[i]}
                    case $word in
                        \(withValue.joined(separator: "|")))
                            [[ ${COMP_WORDS[i+1]} == = ]] && ((i++))
                            ((i++)) ;;
                        -*) ;;
                        *) case $path/$word in \(verbs.joined(separator: "|"))) path=$path/$word ;; esac ;;
                    esac
                done
                if [[ $cur == = ]]; then
                    option=$prev cur=
                elif [[ $prev == = && COMP_CWORD -ge 2 ]]; then
                    option=${COMP_WORDS[COMP_CWORD-2]}
                elif [[ $prev == --* ]]; then
                    option=$prev
                fi
                case $path:$option in
            \(values.joined(separator: "\n"))
                esac
                case $path:$cur in
            \(words.joined(separator: "\n"))
                esac
            }
            complete -F _qnode qnode
            """
    }

    /// What follows an option that takes a value.
    private var values: [String] {
        commands.flatMap { path, command in
            command.options.filter { $0.argument != .none }.compactMap { option in
                // An option whose value is optional is mostly followed by something else.
                guard option.argument == .required || !option.words.isEmpty else { return nil }
                let pattern = "\(prefix(path)):--\(option.name)"
                return "        \(pattern)) \(reply(option.completion)); return ;;"
            }
        }
    }

    /// What starts a new word: options after a dash, else verbs or an operand.
    private var words: [String] {
        commands.flatMap { path, command in
            let options = command.options.map { "--\($0.name)" }
            let operand =
                command.verbs.isEmpty
                ? command.operand?.completion ?? .nothing : Completion.words(command.verbs.map(\.name))
            return [
                "        \(prefix(path)):-*) \(reply(.words(options))) ;;",
                "        \(prefix(path)):*) \(reply(operand)) ;;",
            ]
        }
    }

    private func prefix(_ path: [String]) -> String { path.map { "/\($0)" }.joined() }

    private func reply(_ completion: Completion) -> String {
        switch completion {
        case .nothing: "COMPREPLY=()"
        case .files: #"COMPREPLY=($(compgen -f -- "$cur"))"#
        case .directories: #"COMPREPLY=($(compgen -d -- "$cur"))"#
        case .words(let words): #"COMPREPLY=($(compgen -W '\#(words.joined(separator: " "))' -- "$cur"))"#
        }
    }
}

/// For fish 3 and later.
struct FishCompletions {
    private let commands: [(path: [String], command: CommandDescription)]

    init(_ program: CommandDescription) { commands = CommandLineCompletions.flattened(program) }

    var text: String {
        let head = ["# fish completion for qnode; made by: qnode completions fish", "complete -c qnode -f"]
        return (head + commands.flatMap { lines($0.path, $0.command) }).joined(separator: "\n")
    }

    private func lines(_ path: [String], _ command: CommandDescription) -> [String] {
        var condition = path.map { "__fish_seen_subcommand_from \($0)" }.joined(separator: "; and ")
        let verbs = command.verbs.map(\.name).joined(separator: " ")
        if path.isEmpty {
            condition = "__fish_use_subcommand"
        } else if !verbs.isEmpty {
            condition += "; and not __fish_seen_subcommand_from \(verbs)"
        }
        let start = "complete -c qnode -n \(quoted(condition))"
        let options = command.options.map { option in
            // -x: a value, and no file; -r: a value; an optional one follows after `=`.
            let openToFiles = option.completion == .files || option.completion == .directories
            let value = option.argument == .required ? (openToFiles ? " -r" : " -x") : ""
            return "\(start) -l \(option.name)\(value)\(candidates(option.completion)) -d \(quoted(option.help))"
        }
        let words = command.verbs.map { "\(start) -a \($0.name) -d \(quoted($0.summary))" }
        let operand = command.operand.map { candidates($0.completion) } ?? ""
        return words + (operand.isEmpty ? [] : [start + operand]) + options
    }

    private func candidates(_ completion: Completion) -> String {
        switch completion {
        case .nothing: ""
        case .files: " -F"
        case .directories: " -a '(__fish_complete_directories)'"
        case .words(let words): " -a \(quoted(words.joined(separator: " ")))"
        }
    }

    /// Within single quotes fish reads `\\` and `\'`.
    private func quoted(_ text: String) -> String {
        "'\(text.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
    }
}
