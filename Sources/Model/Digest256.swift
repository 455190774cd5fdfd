/// 256 bits: four words, since an `InlineArray` is not `Hashable`. The shared shape of chunk and node ids.
package struct Digest256: Hashable, Sendable, Comparable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    package static let byteCount = 32

    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var words: [UInt64] = [0, 0, 0, 0]
        for (position, byte) in bytes.enumerated() { words[position / 8] = words[position / 8] << 8 | UInt64(byte) }
        self.words = (words[0], words[1], words[2], words[3])
    }

    /// 64 lower-case hex digits, and nothing else.
    package init?(hex: some StringProtocol) {
        let text = Array(hex.utf8)
        guard text.count == 64 else { return nil }
        let words = stride(from: 0, to: 64, by: 16).map { Hex.word(text[$0..<$0 + 16]) }
        guard let a = words[0], let b = words[1], let c = words[2], let d = words[3] else { return nil }
        self.words = (a, b, c, d)
    }

    package var hex: String {
        [words.0, words.1, words.2, words.3].map { Hex.string($0, count: 16) }.joined()
    }

    package var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (UInt64(7 - $0) * 8)) }
        }
    }

    package static func == (lhs: Self, rhs: Self) -> Bool { lhs.words == rhs.words }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.words < rhs.words }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
    }
}
