internal import Model

/// What a simulated sensor truly sent, line by line as it stood on the wire: what tests compare recordings with.
package struct QSeriesWireLog: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package enum Kind: Hashable, Sendable {
            /// One sample, whole, and nothing else on its line.
            case sample
            /// What faults made of one or more samples.
            case damaged
            /// Banner, menu, or a mixture with either.
            case text
        }

        /// Without its end.
        package let line: String
        package internal(set) var kind: Kind
        /// Sent close to an unplugging or to a new listener: whoever listens may have got it or not.
        package internal(set) var isCertain: Bool
        let sentAt: MonotonicTime
    }

    package private(set) var entries: [Entry] = []
    private var current: [UInt8] = []
    private var pieces: [Entry.Kind] = []
    private var isBroken = false
    private var isAfterAttach = true

    /// Entries beyond this forget the oldest: a simulator may run for months.
    private static let limit = 100_000

    package init() {}

    package var samples: [String] { entries.filter { $0.kind == .sample }.map(\.line) }

    mutating func sent(_ bytes: [UInt8], kind: Entry.Kind, at now: MonotonicTime) {
        guard !bytes.isEmpty else { return }
        pieces.append(kind)
        for (position, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\n") {
                endLine(at: now)
                if position + 1 < bytes.count { pieces.append(kind) }
            } else {
                current.append(byte)
            }
        }
    }

    private mutating func endLine(at now: MonotonicTime) {
        if current.last == UInt8(ascii: "\r") { current.removeLast() }
        let kind: Entry.Kind = pieces.contains(.text) ? .text : pieces == [.sample] && !isBroken ? .sample : .damaged
        entries.append(
            Entry(
                line: String(decoding: current, as: UTF8.self), kind: kind, isCertain: !isAfterAttach, sentAt: now))
        if entries.count > Self.limit { entries.removeFirst(Self.limit / 10) }
        (current, pieces, isBroken, isAfterAttach) = ([], [], false, false)
    }

    /// Part of a line, or all of it, did not go out.
    mutating func lost() { isBroken = true }

    /// Somebody began to listen, perhaps in the middle of a line.
    mutating func attached() {
        (current, pieces, isBroken, isAfterAttach) = ([], [], false, true)
    }

    /// The line was hung up: what was sent lately may not have been read.
    mutating func unplugged(at now: MonotonicTime) {
        for position in entries.indices.reversed() {
            guard entries[position].sentAt.advanced(by: .milliseconds(250)) > now else { break }
            entries[position].isCertain = false
        }
        attached()
    }
}
