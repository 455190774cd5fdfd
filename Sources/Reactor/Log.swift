internal import Glibc
internal import Model

/// Structured lines on standard error: `level source: message key=value …`. Under journald the level travels as `<n>`
/// and the time is the journal's.
package struct Log: Sendable {
    package enum Level: Int, Sendable, Comparable, CaseIterable {
        case debug, info, notice, warning, error

        package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
        package init?(name: some StringProtocol) {
            guard let level = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
            self = level
        }
        /// Severity of RFC 5424.
        var severity: Int { 7 - rawValue }
    }

    package typealias Field = (String, any CustomStringConvertible & Sendable)

    private let source: String
    private let level: Level
    private let sink: @Sendable (String) -> Void
    private let forJournal: Bool

    /// Writes to standard error.
    package init(source: String, level: Level) {
        self.init(source: source, level: level, forJournal: getenv("JOURNAL_STREAM") != nil) { line in
            let bytes = Array(line.utf8.prefix(Limits.logLineBytes - 1)) + [UInt8(ascii: "\n")]
            // One write a line, so that lines of several threads do not mix. A log that cannot be written is not worth
            // dying for.
            _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
        }
    }

    package init(source: String, level: Level, forJournal: Bool, sink: @escaping @Sendable (String) -> Void) {
        self.source = source
        self.level = level
        self.forJournal = forJournal
        self.sink = sink
    }

    /// For tests: says nothing.
    package static let silent = Log(source: "", level: .error, forJournal: false) { _ in }

    /// The same log under another source's name.
    package func named(_ source: String) -> Log {
        Log(source: source, level: level, forJournal: forJournal, sink: sink)
    }

    package func debug(_ message: String, _ fields: Field...) { write(.debug, message, fields) }
    package func info(_ message: String, _ fields: Field...) { write(.info, message, fields) }
    package func notice(_ message: String, _ fields: Field...) { write(.notice, message, fields) }
    package func warning(_ message: String, _ fields: Field...) { write(.warning, message, fields) }
    package func error(_ message: String, _ fields: Field...) { write(.error, message, fields) }

    package func write(_ level: Level, _ message: String, _ fields: Field...) { write(level, message, fields) }

    package func write(_ level: Level, _ message: String, _ fields: [Field]) {
        guard level >= self.level else { return }
        let head = forJournal ? "<\(level.severity)>" : "\(Timestamp.text(SystemClock.reading().realtime)) \(level) "
        let tail = fields.map { " \($0.0)=\(Self.quoted("\($0.1)"))" }.joined()
        sink("\(head)\(source): \(Self.escaped(message))\(tail)")
    }

    private static func quoted(_ text: String) -> String {
        let plain =
            !text.isEmpty
            && text.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        return plain ? text : "\"\(escaped(text).replacing("\"", with: "\\\""))\""
    }

    /// Control characters would let a peer or a sensor write lines of its own.
    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else { return text }
        return text.unicodeScalars.map {
            $0.value < 32 || $0.value == 127 ? "\\x\(Hex.string([UInt8($0.value)]))" : String($0)
        }
        .joined()
    }
}
