/// Reads `<preamble><value>[, <temp>][, <vin>]`, or `<TAG>,<value>[, <temp>][, <vin>]` in polled mode. The value has 1
/// to 8 decimals and perhaps no leading zero, the temperature 2, the voltage 3.
package enum QSeriesLineParser {
    private static let longestLine = 96
    private static let longestPreamble = 32

    /// `line` is without its end.
    package static func parse(_ line: ArraySlice<UInt8>) throws(LineRejection) -> QSeriesSample {
        guard !line.isEmpty else { throw .blank }
        guard line.allSatisfy({ (0x20...0x7e).contains($0) }) else { throw .garbage }
        guard line.count <= longestLine else { throw .overlong }
        let (tag, rest) = polledTag(line)
        var fields = split(rest)
        var preamble: [UInt8] = []
        if tag == nil { preamble = try takePreamble(&fields) }
        guard let first = fields.first, isNumber(first, decimals: 1...8) else { throw .number }
        let (temperature, voltage) = try optionalFields(fields.dropFirst())
        return QSeriesSample(
            preamble: String(decoding: preamble, as: UTF8.self), tag: tag, value: text(first),
            temperature: temperature, voltage: voltage)
    }

    private static func polledTag(_ line: ArraySlice<UInt8>) -> (Character?, ArraySlice<UInt8>) {
        let rest = line.dropFirst(2)
        guard let tag = line.first, (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(tag),
            line.dropFirst().first == UInt8(ascii: ","), let next = rest.first, next != UInt8(ascii: " ")
        else { return (nil, line) }
        return (Character(Unicode.Scalar(tag)), rest)
    }

    /// Splits at comma and space; a comma alone stays in its field, where it makes it no number.
    private static func split(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var fields: [ArraySlice<UInt8>] = []
        var start = line.startIndex
        var position = start
        while position < line.endIndex {
            if line[position] == UInt8(ascii: ","), position + 1 < line.endIndex,
                line[position + 1] == UInt8(ascii: " ")
            {
                fields.append(line[start..<position])
                position += 2
                start = position
            } else {
                position += 1
            }
        }
        fields.append(line[start...])
        return fields
    }

    /// The preamble, which may be glued to the value or hold a comma and a space itself. A word of it has no space, so
    /// that a line of text that ends in a number is no sample.
    private static func takePreamble(_ fields: inout [ArraySlice<UInt8>]) throws(LineRejection) -> [UInt8] {
        var preamble: [UInt8] = []
        while let field = fields.first {
            if isNumber(field, decimals: 1...8) { return preamble }
            guard !field.isEmpty, !field.contains(UInt8(ascii: " ")), !looksNumeric(field) else { throw .number }
            let length = gluedLength(field)
            preamble += field.prefix(length)
            guard preamble.count <= longestPreamble else { throw .fields }
            if length < field.count {
                fields[0] = field.dropFirst(length)
                return preamble
            }
            preamble += Array(", ".utf8)
            fields.removeFirst()
        }
        throw .number
    }

    /// How much of a field stands before the number that it ends in; all of it where it ends in none.
    private static func gluedLength(_ field: ArraySlice<UInt8>) -> Int {
        guard let dot = field.lastIndex(of: UInt8(ascii: ".")) else { return field.count }
        var start = dot
        while start > field.startIndex, isDigit(field[start - 1]) { start -= 1 }
        if start > field.startIndex, field[start - 1] == UInt8(ascii: "-") { start -= 1 }
        return isNumber(field[start...], decimals: 1...8) ? start - field.startIndex : field.count
    }

    /// Digits, signs and points alone are a number gone wrong, not a preamble.
    private static func looksNumeric(_ field: ArraySlice<UInt8>) -> Bool {
        field.allSatisfy {
            isDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ",")
        }
    }

    private static func optionalFields(
        _ fields: ArraySlice<ArraySlice<UInt8>>
    ) throws(LineRejection) -> (temperature: String?, voltage: String?) {
        guard fields.count <= 2 else { throw .fields }
        guard let first = fields.first, let last = fields.last else { return (nil, nil) }
        if fields.count == 2 {
            guard isNumber(first, decimals: 2...2), isNumber(last, decimals: 3...3) else { throw .number }
            return (text(first), text(last))
        }
        if isNumber(first, decimals: 2...2) { return (text(first), nil) }
        if isNumber(first, decimals: 3...3) { return (nil, text(first)) }
        throw .number
    }

    /// An optional minus, up to 9 digits of which no needless zero, a point, and as many decimals.
    private static func isNumber(_ field: ArraySlice<UInt8>, decimals: ClosedRange<Int>) -> Bool {
        var digits = field
        if digits.first == UInt8(ascii: "-") { digits.removeFirst() }
        guard let dot = digits.firstIndex(of: UInt8(ascii: ".")) else { return false }
        let (whole, fraction) = (digits[..<dot], digits[(dot + 1)...])
        // No sensor pads with zeros: two lines glued in an unlucky place do.
        guard whole.count <= 1 || whole.first != UInt8(ascii: "0") else { return false }
        return whole.count <= 9 && whole.allSatisfy(isDigit) && decimals.contains(fraction.count)
            && fraction.allSatisfy(isDigit)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func text(_ field: ArraySlice<UInt8>) -> String { String(decoding: field, as: UTF8.self) }
}
