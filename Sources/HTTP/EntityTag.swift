/// An entity tag, `"…"` or `W/"…"` (RFC 9110, section 8.8.3).
package struct EntityTag: Hashable, Sendable, CustomStringConvertible {
    package let opaque: String
    package let isWeak: Bool

    /// A strong tag; `opaque` is made of ids and numbers of our own.
    package init(_ opaque: String) {
        precondition(opaque.utf8.allSatisfy(Self.isTagByte), "an entity tag has no quotes and no spaces")
        self.opaque = opaque
        isWeak = false
    }

    private init(opaque: String, isWeak: Bool) {
        self.opaque = opaque
        self.isWeak = isWeak
    }

    package var description: String { (isWeak ? "W/" : "") + "\"\(opaque)\"" }

    private static func isTagByte(_ byte: UInt8) -> Bool { byte == 0x21 || byte >= 0x23 && byte != 0x7f }

    /// Whether an If-None-Match (its lines, joined or not) covers this tag, by weak comparison: then 304.
    package func matches(ifNoneMatch values: [String]) -> Bool {
        values.contains { value in
            HTTPSyntax.trimmed(value) == "*" || Self.list(value).contains { $0.opaque == opaque }
        }
    }

    /// Whether an If-Range names exactly this tag: then, and only then, the range counts.
    package func matches(ifRange value: String?) -> Bool {
        guard let value else { return true }
        return !isWeak && Self.list(value) == [self]
    }

    /// The tags of a list; what follows the first malformed one is left out.
    package static func list(_ value: some StringProtocol) -> [EntityTag] {
        var tags: [EntityTag] = []
        var rest = value.utf8[...]
        while true {
            while let byte = rest.first, byte == 32 || byte == 9 || byte == UInt8(ascii: ",") { rest.removeFirst() }
            let weak = rest.starts(with: "W/".utf8)
            if weak { rest = rest.dropFirst(2) }
            guard rest.popFirst() == UInt8(ascii: "\"") else { return tags }
            let opaque = rest.prefix(while: isTagByte)
            rest = rest[opaque.endIndex...]
            guard rest.popFirst() == UInt8(ascii: "\"") else { return tags }
            tags.append(EntityTag(opaque: String(decoding: opaque, as: UTF8.self), isWeak: weak))
        }
    }
}
