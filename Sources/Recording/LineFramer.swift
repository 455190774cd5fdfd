internal import Model

/// Cuts a stream of bytes into lines. Every byte comes out once and in order, the line's own end (LF, CR before it or
/// not) with it.
package struct LineFramer: Sendable {
    package struct Line: Hashable, Sendable {
        /// As received, with its end where it had one.
        package let bytes: [UInt8]
        /// Nothing of the line is missing: it is neither cut at the length limit nor by the end of the stream.
        package let isWhole: Bool

        package init(bytes: [UInt8], isWhole: Bool) {
            self.bytes = bytes
            self.isWhole = isWhole
        }

        /// Without the line's end.
        package var content: ArraySlice<UInt8> {
            var content = bytes[...]
            if content.last == UInt8(ascii: "\n") { content.removeLast() }
            if content.last == UInt8(ascii: "\r") { content.removeLast() }
            return content
        }
    }

    /// What has come of a line that has no end yet.
    package private(set) var pending: [UInt8] = []
    /// The head of the pending line went out as a piece: what follows up to its end is no line either.
    private var isCut = false
    private let limit: Int

    package init(limit: Int = Limits.lineBytes) { self.limit = limit }

    package mutating func append(_ bytes: [UInt8]) -> [Line] {
        var lines: [Line] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            take(rest[...end], &lines)
            lines.append(Line(bytes: pending, isWhole: !isCut))
            pending = []
            isCut = false
            rest = rest[(end + 1)...]
        }
        take(rest, &lines)
        return lines
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>, _ lines: inout [Line]) {
        var bytes = bytes
        while pending.count + bytes.count > limit {
            let room = limit - pending.count
            pending += bytes.prefix(room)
            lines.append(Line(bytes: pending, isWhole: false))
            pending = []
            isCut = true
            bytes = bytes.dropFirst(room)
        }
        pending += bytes
    }

    /// The stream ended: what was pending, as a piece.
    package mutating func finish() -> Line? {
        defer {
            pending = []
            isCut = false
        }
        return pending.isEmpty ? nil : Line(bytes: pending, isWhole: false)
    }
}
