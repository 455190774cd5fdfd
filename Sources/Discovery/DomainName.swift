/// A DNS name as its labels: arbitrary bytes, compared without regard to ASCII case.
package struct DomainName: Sendable, CustomStringConvertible {
    package let labels: [[UInt8]]
    /// The labels in lower case: what names are compared by.
    private let folded: [[UInt8]]

    /// Bounds of RFC 1035.
    private static let labelBytes = 63
    private static let nameBytes = 255

    package init?(labels: [[UInt8]]) {
        let bounded = labels.allSatisfy { (1...Self.labelBytes).contains($0.count) }
        guard !labels.isEmpty, bounded, labels.reduce(1, { $0 + $1.count + 1 }) <= Self.nameBytes else { return nil }
        self.labels = labels
        folded = labels.map { label in
            label.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 }
        }
    }

    /// The whole of `bytes` as an uncompressed name, closed by the root label.
    package init?(wire bytes: ArraySlice<UInt8>) {
        var labels: [[UInt8]] = []
        var rest = bytes
        while let length = rest.popFirst() {
            if length == 0 {
                guard rest.isEmpty else { return nil }
                self.init(labels: labels)
                return
            }
            // The two high bits would be a compression pointer; Avahi has undone those.
            guard length <= Self.labelBytes, rest.count >= Int(length) else { return nil }
            labels.append(Array(rest.prefix(Int(length))))
            rest = rest.dropFirst(Int(length))
        }
        return nil
    }

    /// `child` one label below this name.
    package func appending(below child: [UInt8]) -> DomainName? { DomainName(labels: [child] + labels) }

    /// Whether this name is exactly one label below `parent`.
    package func isChild(of parent: DomainName) -> Bool {
        folded.count == parent.folded.count + 1 && Array(folded.dropFirst()) == parent.folded
    }

    /// Whether the name is in the link's own domain: all that multicast DNS may answer for.
    package var isLocal: Bool { folded.count >= 2 && folded.last == Array("local".utf8) }

    /// Master-file form, as Avahi takes it: every byte but letters, digits, `-` and `_` escaped, so always ASCII.
    package var description: String { labels.map(Self.escaped).joined(separator: ".") }

    private static func escaped(_ label: [UInt8]) -> String {
        label.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                String(UnicodeScalar(byte))
            case UInt8(ascii: "."), UInt8(ascii: "\\"): "\\" + String(UnicodeScalar(byte))
            default: "\\" + (byte < 10 ? "00" : byte < 100 ? "0" : "") + String(byte)
            }
        }.joined()
    }
}

extension DomainName: Hashable {
    package static func == (lhs: Self, rhs: Self) -> Bool { lhs.folded == rhs.folded }
    package func hash(into hasher: inout Hasher) { hasher.combine(folded) }
}
