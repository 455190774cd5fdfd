internal import Reactor

/// A terminal on which one text takes the place of another without flicker: written over from the top left corner in
/// one piece, each line cleared behind its end, and what is left of the one before below it.
struct TerminalScreen {
    private let stream: TerminalStream

    init(on stream: TerminalStream) { self.stream = stream }

    /// An empty screen without a cursor.
    func begin() throws(SyscallError) { try stream.write("\u{1B}[?25l\u{1B}[2J\u{1B}[H") }

    func show(_ text: String) throws(SyscallError) {
        try stream.write("\u{1B}[H" + text.replacing("\n", with: "\u{1B}[K\n") + "\u{1B}[J")
    }

    /// Shows the cursor again. A terminal that is gone has none.
    func end() {
        do { try stream.write("\u{1B}[?25h") } catch {}
    }
}
