/// Text as a terminal shows it.
package enum TerminalText {
    /// Columns that a text takes: wide characters two, combining ones none.
    package static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

    private static func width(_ character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        if first.isASCII { return first.value >= 32 && first.value != 127 ? 1 : 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: break
        }
        let emoji = character.unicodeScalars.contains { $0.properties.isEmojiPresentation || $0.value == 0xFE0F }
        return emoji || wide.contains { $0.contains(first.value) } ? 2 : 1
    }

    /// East Asian Wide and Fullwidth (Unicode TR 11), the blocks in use.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
        0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
        0x20000...0x3FFFD,
    ]

    /// Names come from peers and sensors: what would move the cursor or turn the writing around is shown as a question
    /// mark.
    package static func safe(_ text: String) -> String {
        let harmless = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value < 127 }
        if harmless { return text }
        var safe = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: safe.append("?")
            // U+200D joins emoji; the other format characters include the ones that turn the direction.
            case .format where scalar.value != 0x200D: safe.append("?")
            default: safe.append(scalar)
            }
        }
        return String(safe)
    }

    /// `text` filled with spaces to `width` columns.
    package static func padded(_ text: String, to width: Int, _ alignment: TerminalTable.Alignment = .left) -> String {
        let gap = String(repeating: " ", count: max(0, width - Self.width(text)))
        return alignment == .left ? text + gap : gap + text
    }

    /// The beginning of `text` that fits, with an ellipsis where something was cut.
    package static func truncated(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        var (kept, used) = ("", 0)
        for character in text {
            let next = width(character)
            if used + next > columns - 1 { break }
            kept.append(character)
            used += next
        }
        return columns > 0 ? kept + "…" : ""
    }
}

/// Rows of cells in aligned columns, two spaces apart. Cells are made safe: they may come from a peer.
package struct TerminalTable: Sendable {
    package enum Alignment: Sendable { case left, right }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    /// Titles that are all empty make no header line.
    package init(_ columns: [(title: String, alignment: Alignment)]) { self.columns = columns }

    package mutating func append(_ row: [String]) {
        precondition(row.count == columns.count, "a row has a cell for each column")
        rows.append(row.map(TerminalText.safe))
    }

    /// Lines with a newline each, cut to `limit` columns where one is given.
    package func text(style: TerminalStyle = .plain, limit: Int? = nil) -> String {
        let header = columns.map(\.title)
        let shown = header.allSatisfy(\.isEmpty) ? rows : [header] + rows
        let widths = columns.indices.map { column in shown.map { TerminalText.width($0[column]) }.max() ?? 0 }
        let lines = shown.enumerated().map { index, row in
            let cells = columns.indices.map { TerminalText.padded(row[$0], to: widths[$0], columns[$0].alignment) }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            if let limit { line = TerminalText.truncated(line, to: limit) }
            return index == 0 && shown.count > rows.count ? style.bold(line) : line
        }
        return lines.map { $0 + "\n" }.joined()
    }
}

/// Colours and weight where a terminal wants them, nothing where it does not.
package struct TerminalStyle: Hashable, Sendable {
    private let enabled: Bool

    package static let plain = TerminalStyle(enabled: false)

    private init(enabled: Bool) { self.enabled = enabled }

    /// `NO_COLOR` (no-color.org): any value that is not empty means none.
    package init(isTerminal: Bool, environment: [String: String]) {
        let refused = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        enabled = isTerminal && !refused && environment["TERM"] != "dumb"
    }

    package func bold(_ text: String) -> String { wrap(text, 1) }
    package func dim(_ text: String) -> String { wrap(text, 2) }
    package func good(_ text: String) -> String { wrap(text, 32) }
    package func doubtful(_ text: String) -> String { wrap(text, 33) }
    package func bad(_ text: String) -> String { wrap(text, 31) }

    private func wrap(_ text: String, _ code: Int) -> String { enabled ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
