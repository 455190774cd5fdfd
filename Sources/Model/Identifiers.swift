/// A name that is text on every wire and disk: parsed once, printed the same.
package protocol TextualID: Hashable, Sendable, Codable, CustomStringConvertible {
    init?(_ text: some StringProtocol)
}

extension TextualID {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a \(Self.self)")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The SHA-256 of a chunk's bytes: a chunk's only name, on disk and on the wire. 64 lower-case hex digits.
package struct ChunkID: TextualID, Comparable {
    package let digest: Digest256

    package init(digest: Digest256) { self.digest = digest }
    package init?(_ text: some StringProtocol) {
        guard let digest = Digest256(hex: text) else { return nil }
        self.digest = digest
    }
    package var description: String { digest.hex }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.digest < rhs.digest }
}

/// The SHA-256 of a node's public key (SubjectPublicKeyInfo, DER). 64 lower-case hex digits.
package struct NodeID: TextualID, Comparable {
    package let digest: Digest256

    package init(digest: Digest256) { self.digest = digest }
    package init?(_ text: some StringProtocol) {
        guard let digest = Digest256(hex: text) else { return nil }
        self.digest = digest
    }
    package var description: String { digest.hex }
    /// The first 16 digits: what mDNS carries and people see.
    package var short: String { String(digest.hex.prefix(16)) }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.digest < rhs.digest }
}

/// One process of a node, from its start to its end; minted at random. 16 lower-case hex digits. Also the epoch of its
/// log positions.
package struct Incarnation: TextualID, Comparable {
    package let word: UInt64

    package init(word: UInt64) { self.word = word }
    package init?(_ text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 16, let word = Hex.word(digits) else { return nil }
        self.word = word
    }
    package static func random() -> Self { Self(word: .random(in: 1 ... .max)) }
    package var description: String { Hex.string(word, count: 16) }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.word < rhs.word }
}

/// A UUID in its lower-case form (RFC 9562); any version is taken, version 4 is minted.
package struct UniqueID: TextualID, Comparable {
    private let high: UInt64
    private let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init?(_ text: some StringProtocol) {
        let characters = Array(text.utf8)
        guard characters.count == 36 else { return nil }
        var digits: [UInt8] = []
        for (position, byte) in characters.enumerated() {
            if [8, 13, 18, 23].contains(position) {
                guard byte == UInt8(ascii: "-") else { return nil }
            } else {
                let upper = (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
                digits.append(upper ? byte + 32 : byte)
            }
        }
        guard let high = Hex.word(digits[..<16]), let low = Hex.word(digits[16...]) else { return nil }
        self.init(high: high, low: low)
    }

    package static func random() -> Self {
        Self(
            high: .random(in: 0 ... .max) & 0xffff_ffff_ffff_0fff | 0x4000,
            low: .random(in: 0 ... .max) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000)
    }

    package var description: String {
        let digits = Array(Hex.string(high, count: 16) + Hex.string(low, count: 16))
        return [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
            .map { String($0) }.joined(separator: "-")
    }

    package var bytes: [UInt8] {
        [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (UInt64(7 - $0) * 8)) } }
    }

    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        let words = bytes.enumerated().reduce(into: [UInt64](repeating: 0, count: 2)) { words, next in
            words[next.offset / 8] = words[next.offset / 8] << 8 | UInt64(next.element)
        }
        self.init(high: words[0], low: words[1])
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { (lhs.high, lhs.low) < (rhs.high, rhs.low) }
}

package typealias SessionID = UniqueID
package typealias BootID = UniqueID

/// A stream's name within its session: 1 to 32 of `a-z 0-9 _ -`, so that it is safe as a file's name.
package struct StreamName: TextualID, Comparable {
    private let text: String

    package static let data = StreamName(unchecked: "data")
    package static let raw = StreamName(unchecked: "raw")

    private init(unchecked text: String) { self.text = text }
    package init?(_ text: some StringProtocol) {
        let allowed = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
        guard (1...32).contains(text.utf8.count), allowed else { return nil }
        self.text = String(text)
    }
    package var description: String { text }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.text < rhs.text }
}

/// A fact's name: its author, the author's process, and 1, 2, 3… within it. Printed `author/incarnation/n`.
package struct FactName: TextualID, Comparable {
    package let author: NodeID
    package let incarnation: Incarnation
    package let n: Int64

    /// What survives every JSON reader, and leaves room to reckon with.
    package static let numbers: ClosedRange<Int64> = 1...(1 << 53)

    package init(author: NodeID, incarnation: Incarnation, n: Int64) {
        self.author = author
        self.incarnation = incarnation
        self.n = n
    }
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let author = NodeID(parts[0]), let incarnation = Incarnation(parts[1]),
            let n = Int64(parts[2]), Self.numbers.contains(n), String(n) == parts[2]
        else { return nil }
        self.init(author: author, incarnation: incarnation, n: n)
    }
    package var description: String { "\(author)/\(incarnation)/\(n)" }
    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.author, lhs.incarnation, lhs.n) < (rhs.author, rhs.incarnation, rhs.n)
    }
}

/// Where a chunk belongs: the `index`th chunk of one stream of one author's session. Indices count from 0 without
/// holes.
package struct ChunkSlot: Hashable, Sendable, Comparable {
    package let author: NodeID
    package let session: SessionID
    package let stream: StreamName
    package let index: Int64

    package init(author: NodeID, session: SessionID, stream: StreamName, index: Int64) {
        self.author = author
        self.session = session
        self.stream = stream
        self.index = index
    }
    package static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.author, lhs.session, lhs.stream, lhs.index) < (rhs.author, rhs.session, rhs.stream, rhs.index)
    }
}
