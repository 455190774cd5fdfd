/// A file of settings: lines of `name = value`. `#` at the start of a line or after a space begins a comment; a value
/// in double quotes may hold one (`\"` and `\\` within). A list is given by repeating its name.
package enum ConfigurationFile {
    /// Assignments in the order of the file, by name. `names` are the settings there are, and which of them are lists.
    static func parse(
        _ bytes: [UInt8], path: String, settings: [SettingDescription]
    ) throws(UsageError) -> [String: [SettingAssignment]] {
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw UsageError("\(path.shownInMessage) is not UTF-8 text")
        }
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        var assignments: [String: [SettingAssignment]] = [:]
        for (index, raw) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        {
            let origin = SettingOrigin.file(path: path, line: index + 1)
            do {
                guard let (name, value) = try parse(line: trimmed(Substring(raw))) else { continue }
                try check(name, settings, given: assignments[name])
                assignments[name, default: []].append(SettingAssignment(text: value, origin: origin))
            } catch {
                throw UsageError("\(origin): \(error)")
            }
        }
        return assignments
    }

    private static func parse(line: Substring) throws(ValueError) -> (name: String, value: String)? {
        if line.isEmpty || line.first == "#" { return nil }
        guard let equals = line.firstIndex(of: "=") else {
            throw ValueError("\(String(line).quotedForMessage) is not name = value")
        }
        let name = trimmed(line[..<equals])
        let value = try value(in: trimmed(line[line.index(after: equals)...]))
        guard !value.isEmpty else { throw ValueError("\(String(name).quotedForMessage) has no value") }
        return (String(name), value)
    }

    private static func value(in text: Substring) throws(ValueError) -> String {
        guard text.first == "\"" else {
            var previousIsSpace = true
            for index in text.indices {
                if text[index] == "#", previousIsSpace { return String(trimmed(text[..<index])) }
                previousIsSpace = text[index] == " " || text[index] == "\t"
            }
            return String(text)
        }
        var value = ""
        var rest = text.dropFirst()
        while let character = rest.popFirst() {
            switch character {
            case "\"":
                let tail = trimmed(rest)
                guard tail.isEmpty || tail.first == "#" else {
                    throw ValueError("there is something after the closing quote")
                }
                return value
            case "\\":
                guard let escaped = rest.popFirst(), escaped == "\"" || escaped == "\\" else {
                    throw ValueError(#"after \ only \" and \\ make sense"#)
                }
                value.append(escaped)
            default: value.append(character)
            }
        }
        throw ValueError("a quote is not closed")
    }

    private static func check(
        _ name: String, _ settings: [SettingDescription], given: [SettingAssignment]?
    ) throws(ValueError) {
        guard let setting = settings.first(where: { $0.name == name }) else {
            let near = Suggestion.nearest(to: name, among: settings.map(\.name))
            throw ValueError("unknown setting \(name.quotedForMessage)\(near.map { "; did you mean \($0)?" } ?? "")")
        }
        guard name != Settings.config.description.name else {
            throw ValueError("a file cannot name another file; use --config or QNODE_CONFIG")
        }
        if let first = given?.first, !setting.option.repeats {
            throw ValueError("\(name) was set already: \(first.origin)")
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let blanks: Set<Character> = [" ", "\t", "\r"]
        var text = text.drop { blanks.contains($0) }
        while let last = text.last, blanks.contains(last) { text.removeLast() }
        return text
    }
}
