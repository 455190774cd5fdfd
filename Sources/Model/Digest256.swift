/// 256 bits: four words, since an `InlineArray` is not `Hashable`. The shared shape of chunk and node ids.
package struct Digest256: Hashable, Sendable, Comparable {
    private let a: UInt64
    private let b: UInt64
    private let c: UInt64
    private let d: UInt64

    package static let byteCount = 32

    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var words: [UInt64] = [0, 0, 0, 0]
        for (position, byte) in bytes.enumerated() { words[position / 8] = words[position / 8] << 8 | UInt64(byte) }
        (a, b, c, d) = (words[0], words[1], words[2], words[3])
    }

    /// 64 lower-case hex digits, and nothing else.
    package init?(hex: some StringProtocol) {
        let text = Array(hex.utf8)
        guard text.count == 64, let a = Hex.word(text[0..<16]), let b = Hex.word(text[16..<32]),
            let c = Hex.word(text[32..<48]), let d = Hex.word(text[48..<64])
        else { return nil }
        (self.a, self.b, self.c, self.d) = (a, b, c, d)
    }

    package var hex: String {
        Hex.string(a, count: 16) + Hex.string(b, count: 16) + Hex.string(c, count: 16) + Hex.string(d, count: 16)
    }

    package var bytes: [UInt8] {
        [a, b, c, d].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (UInt64(7 - $0) * 8)) }
        }
    }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        if lhs.a != rhs.a { return lhs.a < rhs.a }
        if lhs.b != rhs.b { return lhs.b < rhs.b }
        if lhs.c != rhs.c { return lhs.c < rhs.c }
        return lhs.d < rhs.d
    }
}
