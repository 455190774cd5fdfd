/// Lower-case hexadecimal, as digests, ids and log checksums are written.
package enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    package static func string(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// `word` as `count` digits, most significant first.
    package static func string(_ word: UInt64, count: Int) -> String {
        let text = (0..<count).map { digits[Int((word >> (UInt64(count - 1 - $0) * 4)) & 15)] }
        return String(decoding: text, as: UTF8.self)
    }

    /// The number that `text` spells, or nil where a byte is no lower-case hex digit or there are more than 16.
    package static func word(_ text: some Collection<UInt8>) -> UInt64? {
        guard !text.isEmpty, text.count <= 16 else { return nil }
        var word: UInt64 = 0
        for byte in text {
            guard let digit = value(byte) else { return nil }
            word = word << 4 | UInt64(digit)
        }
        return word
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
