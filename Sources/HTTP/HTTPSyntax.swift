/// The character classes of RFC 9110 that several parsers share.
enum HTTPSyntax {
    static func lowered(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte + 32 : byte
    }

    static func isTokenByte(_ byte: UInt8) -> Bool { tokenBytes[Int(byte)] }

    /// By byte: this is asked for every byte of every header's name.
    private static let tokenBytes: [Bool] = {
        var table = [Bool](repeating: false, count: 256)
        let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        for byte in (letters + "!#$%&'*+-.^_`|~").utf8 { table[Int(byte)] = true }
        return table
    }()

    static func isToken(_ bytes: some Collection<UInt8>) -> Bool { !bytes.isEmpty && bytes.allSatisfy(isTokenByte) }

    /// What may stand in a field's value: printable characters, tab, and the bytes beyond ASCII.
    static func isFieldByte(_ byte: UInt8) -> Bool { byte >= 32 && byte != 127 || byte == 9 }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Without spaces and tabs at both ends.
    static func trimmed(_ text: some StringProtocol) -> Substring {
        let text = Substring(text)
        // By byte: a space and the accent behind it are one character.
        var bytes = text.utf8[...]
        while let first = bytes.first, first == 32 || first == 9 { bytes.removeFirst() }
        while let last = bytes.last, last == 32 || last == 9 { bytes.removeLast() }
        return text[bytes.startIndex..<bytes.endIndex]
    }

    /// A number of decimal digits and nothing else; nil beyond Int64.
    static func decimal(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy(isDigit) else { return nil }
        return Int64(text)
    }
}
