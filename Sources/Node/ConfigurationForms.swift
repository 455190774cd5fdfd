internal import Model

// The forms of values that settings and verbs share. Each refuses with one sentence that shows a good example.

extension ValueForm where Value == Bool {
    static let onOff = ValueForm("on|off", completion: .words(["on", "off"])) { text throws(ValueError) in
        switch text {
        case "on": true
        case "off": false
        default: throw ValueError("\(text.quotedForMessage) is neither on nor off")
        }
    }
}

extension ValueForm {
    /// One of an enumeration's words.
    static func word<Word>(
        _ words: [(text: String, value: Word)]
    ) -> ValueForm<Word> where Word: Sendable {
        let texts = words.map(\.text)
        return ValueForm<Word>(texts.joined(separator: "|"), completion: .words(texts)) { text throws(ValueError) in
            if let match = words.first(where: { $0.text == text }) { return match.value }
            let near = Suggestion.nearest(to: text, among: texts)
            throw ValueError(
                "\(text.quotedForMessage) is none of \(texts.joined(separator: ", "))"
                    + (near.map { "; did you mean \($0)?" } ?? ""))
        }
    }
}

extension ValueForm where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    static var word: Self { word(Value.allCases.map { ($0.rawValue, $0) }) }
}

extension ValueForm where Value == Duration {
    /// `reason` completes "60h is outside 1s to 1h: ".
    static func duration(in range: ClosedRange<Duration>, because reason: String) -> Self {
        ValueForm("TIME") { text throws(ValueError) in
            let value = try Quantity.duration(text)
            guard range.contains(value) else {
                let bounds = "\(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
                throw ValueError("\(text.quotedForMessage) is outside \(bounds): \(reason)")
            }
            return value
        }
    }
}

extension ValueForm where Value == Int64 {
    static func size(in range: ClosedRange<Int64>, because reason: String) -> Self {
        ValueForm("SIZE") { text throws(ValueError) in
            let value = try Quantity.size(text)
            guard range.contains(value) else {
                let bounds = "\(Quantity.text(bytes: range.lowerBound)) to \(Quantity.text(bytes: range.upperBound))"
                throw ValueError("\(text.quotedForMessage) is outside \(bounds): \(reason)")
            }
            return value
        }
    }
}

extension ValueForm where Value == ByteRate {
    /// `500KiB/s`, or `off`.
    static let rate = ValueForm("RATE|off", completion: .words(["off"])) { text throws(ValueError) in
        let rate = ByteRate(bytesPerSecond: try Quantity.rate(text))
        if let bytes = rate.bytesPerSecond, !Limits.cap.contains(bytes) {
            let bounds = [Limits.cap.lowerBound, Limits.cap.upperBound].map { Quantity.text(rate: $0) }
            throw ValueError(
                "\(text.quotedForMessage) is outside \(bounds[0]) to \(bounds[1]): below, not even questions and "
                    + "clocks would fit; above, off says the same")
        }
        return rate
    }
}

extension ValueForm where Value == Int {
    static func count(_ placeholder: String, in range: ClosedRange<Int>) -> Self {
        ValueForm(placeholder) { text throws(ValueError) in
            guard let value = decimal(text), range.contains(value) else {
                throw ValueError(
                    "\(text.quotedForMessage) is not a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return value
        }
    }

    /// One of a few numbers, as hardware has them.
    static func oneOf(_ numbers: [Int], placeholder: String) -> Self {
        ValueForm(placeholder, completion: .words(numbers.map(String.init))) { text throws(ValueError) in
            guard let value = decimal(text), numbers.contains(value) else {
                let list = numbers.map(String.init).joined(separator: ", ")
                throw ValueError("\(text.quotedForMessage) is none of \(list)")
            }
            return value
        }
    }
}

extension ValueForm where Value == String {
    /// Text for people: any script, no control characters, at most `limit` bytes of UTF-8.
    static func text(_ placeholder: String, limit: Int) -> Self {
        ValueForm(placeholder) { text throws(ValueError) in
            let printable = text.unicodeScalars.allSatisfy { !["Cc", "Zl", "Zp"].contains(category($0)) }
            guard printable else { throw ValueError("\(text.quotedForMessage) contains control characters") }
            guard text.contains(where: { !$0.isWhitespace }) else { throw ValueError("it must not be empty") }
            guard text.utf8.count <= limit else {
                throw ValueError("\(text.quotedForMessage) is longer than \(limit) bytes")
            }
            return text
        }
    }

    /// A word that stands in rows of CSV as it is.
    static func identifier(_ placeholder: String, limit: Int) -> Self {
        ValueForm(placeholder) { text throws(ValueError) in
            let plain = text.utf8.allSatisfy {
                $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "\"")
            }
            guard plain, (1...limit).contains(text.utf8.count) else {
                throw ValueError(
                    "\(text.quotedForMessage) is not 1 to \(limit) plain characters without space, comma and quote"
                )
            }
            return text
        }
    }

    static func path(_ placeholder: String, completion: Completion) -> Self {
        ValueForm(placeholder, completion: completion) { text throws(ValueError) in
            guard !text.isEmpty else { throw ValueError("it must not be empty") }
            // PATH_MAX, less a name of the store's own.
            guard text.utf8.count <= 3800, !text.utf8.contains(0) else {
                throw ValueError("\(text.quotedForMessage) is no path that Linux could open")
            }
            return text
        }
    }

    /// A network interface, as `ip link` names it.
    static let interface = ValueForm("NAME") { text throws(ValueError) in
        let plain = text.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
        guard plain, (1...15).contains(text.utf8.count), text != ".", text != ".." else {
            throw ValueError("\(text.quotedForMessage) is no name of a network interface; write for example eth0")
        }
        return text
    }
}

/// Digits alone: no sign, no spaces, which `Int(_:)` would partly take.
func decimal(_ text: some StringProtocol) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Int(text)
}

private func category(_ scalar: Unicode.Scalar) -> String {
    switch scalar.properties.generalCategory {
    case .control: "Cc"
    case .lineSeparator: "Zl"
    case .paragraphSeparator: "Zp"
    default: ""
    }
}
