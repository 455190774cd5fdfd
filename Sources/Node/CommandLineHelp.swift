/// The help of one command, made from its row of the table.
package struct CommandHelp: Sendable {
    private let command: CommandDescription
    private let path: [String]
    private let columns: Int

    package init(_ command: CommandDescription, path: [String], columns: Int) {
        self.command = command
        self.path = path
        self.columns = columns
    }

    package var text: String {
        var blocks = [usage]
        blocks.append(wrapped(sentence(command.summary), indent: 0))
        if !command.discussion.isEmpty { blocks.append(wrapped(command.discussion, indent: 0)) }
        if let operand = command.operand {
            blocks.append("Arguments:\n" + list([(operand.placeholder, operand.help)]))
        }
        if !command.verbs.isEmpty { blocks.append("Verbs:\n" + list(command.verbs.map { ($0.name, $0.summary) })) }
        var sections: [(name: String, rows: [(String, String)])] = []
        for option in command.options {
            let row = (option.synopsis, option.help)
            if let index = sections.firstIndex(where: { $0.name == option.section }) {
                sections[index].rows.append(row)
            } else {
                sections.append((option.section, [row]))
            }
        }
        blocks += sections.map { "\($0.name):\n" + list($0.rows) }
        if path.count == 1 {
            blocks.append(
                wrapped(
                    "Sizes: KB is 1000 bytes, KiB is 1024. Times: 200ms, 60s, 5m, 1h. Exit codes: 0 fine, 1 a failure "
                        + "that is explained, 2 wrong usage, 3 verify or doctor found something.", indent: 0))
        }
        return blocks.joined(separator: "\n\n") + "\n"
    }

    /// What `qnode` alone shows.
    package var shortText: String {
        let verbs = command.verbs.map { ($0.name, $0.summary) }
        return "\(usage)\n\n\(wrapped(sentence(command.summary), indent: 0))\n\nVerbs:\n\(list(verbs))\n\n"
            + "See \(path.joined(separator: " ")) --help for every option.\n"
    }

    private var usage: String {
        let name = path.joined(separator: " ")
        if path.count == 1 {
            return "Usage: \(name) --role vehicle|topside [OPTION]...\n  or:  \(name) VERB [ARGUMENT]... [OPTION]..."
        }
        let operand = command.operand?.synopsis ?? (command.verbs.isEmpty ? nil : "VERB")
        return (["Usage:", name] + [operand].compactMap(\.self) + ["[OPTION]..."]).joined(separator: " ")
    }

    private func sentence(_ summary: String) -> String { summary.prefix(1).uppercased() + summary.dropFirst() + "." }

    /// Two columns; a left part that is too wide stands on a line of its own.
    private func list(_ rows: [(left: String, right: String)]) -> String {
        let widest = rows.map { TerminalText.width($0.left) }.filter { $0 <= 24 }.max() ?? 0
        let indent = 2 + widest + 2
        return rows.map { row in
            let body = wrapped(row.right, indent: indent)
            let width = TerminalText.width(row.left)
            if width > widest { return "  \(row.left)\n\(body)" }
            let gap = String(repeating: " ", count: indent - 2 - width)
            return "  \(row.left)\(gap)\(body.dropFirst(indent))"
        }
        .joined(separator: "\n")
    }

    /// Filled lines, each after `indent` spaces.
    private func wrapped(_ text: String, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, indent + TerminalText.width(line) + 1 + TerminalText.width(String(word)) > columns {
                lines.append(margin + line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " \(word)"
        }
        lines.append(margin + line)
        return lines.joined(separator: "\n")
    }
}
