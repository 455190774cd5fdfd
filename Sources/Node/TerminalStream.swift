internal import Glibc
package import Reactor

/// Standard output or standard error.
package struct TerminalStream: Hashable, Sendable {
    private let number: Int32

    package static let output = TerminalStream(number: 1)
    package static let error = TerminalStream(number: 2)

    private init(number: Int32) { self.number = number }

    package var isTerminal: Bool { isatty(number) == 1 }

    /// Writes all of `text`, whoever else writes to the same descriptor.
    package func write(_ text: String) throws(SyscallError) {
        let copy = dup(number)
        guard copy >= 0 else { throw SyscallError("dup", code: errno) }
        try Descriptor(adopting: copy).write(Array(text.utf8))
    }
}
