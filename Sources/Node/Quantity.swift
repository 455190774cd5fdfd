internal import Model

/// A text that is not the value it should be. The description is the sentence that follows the name of its origin.
package struct ValueError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Durations, sizes and rates as people write them: a decimal number and a unit. KB is 1000 bytes, KiB is 1024.
package enum Quantity {
    private static let durationUnits: [(name: String, nanoseconds: Int64)] = [
        ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000),
    ]

    private static let sizeUnits: [(name: String, bytes: Int64)] = [
        ("TiB", 1 << 40), ("TB", 1_000_000_000_000), ("GiB", 1 << 30), ("GB", 1_000_000_000), ("MiB", 1 << 20),
        ("MB", 1_000_000), ("KiB", 1024), ("KB", 1000), ("kB", 1000), ("B", 1),
    ]

    /// `200ms`, `60s`, `5m`, `1h`, `0.5s`; a plain number is seconds.
    package static func duration(_ text: String) throws(ValueError) -> Duration {
        let (number, unit) = split(text)
        let factor = unit.isEmpty ? 1_000_000_000 : durationUnits.first { $0.name == unit }?.nanoseconds
        let scaled = factor.map { scale(number, by: $0) } ?? .malformed
        switch scaled {
        case .exactly(let nanoseconds): return .nanoseconds(nanoseconds)
        case .tooLarge: throw ValueError("\(text.quotedForMessage) is longer than any duration that makes sense here")
        case .malformed, .fractional:
            throw ValueError("\(text.quotedForMessage) is not a duration; write for example 200ms, 60s, 5m or 1h")
        }
    }

    /// `5MB` (5,000,000), `100MiB`, `1.5GB`; a plain number is bytes.
    package static func size(_ text: String) throws(ValueError) -> Int64 {
        try bytes(text, full: text, noun: "a size", example: "5MB or 512KiB")
    }

    /// `500KiB/s` in bytes per second; nil is `off`: no limit.
    package static func rate(_ text: String) throws(ValueError) -> Int64? {
        if text == "off" { return nil }
        guard text.hasSuffix("/s") else {
            throw ValueError("\(text.quotedForMessage) is not a rate; write for example 500KiB/s, or off")
        }
        let rate = try bytes(String(text.dropLast(2)), full: text, noun: "a rate", example: "500KiB/s, or off")
        guard rate > 0 else { throw ValueError("a rate of 0 moves nothing; write for example 500KiB/s, or off") }
        return rate
    }

    private static func bytes(
        _ text: String, full: String, noun: String, example: String
    ) throws(ValueError) -> Int64 {
        let (number, unit) = split(text)
        let factor = unit.isEmpty ? 1 : sizeUnits.first { $0.name == unit }?.bytes
        let scaled = factor.map { scale(number, by: $0) } ?? .malformed
        switch scaled {
        case .exactly(let bytes): return bytes
        case .tooLarge: throw ValueError("\(full.quotedForMessage) is larger than anything that can be counted")
        case .fractional: throw ValueError("\(full.quotedForMessage) is not a whole number of bytes")
        case .malformed: throw ValueError("\(full.quotedForMessage) is not \(noun); write for example \(example)")
        }
    }

    private static func split(_ text: String) -> (number: [UInt8], unit: String) {
        let bytes = Array(text.utf8)
        let number = bytes.prefix { (48...57).contains($0) || $0 == UInt8(ascii: ".") }
        return (Array(number), String(decoding: bytes.dropFirst(number.count), as: UTF8.self))
    }

    private enum Scaled { case exactly(Int64), tooLarge, fractional, malformed }

    /// `number` × `unit`, without rounding and without overflow: 24 digits times 2^42 stay below 2^128.
    private static func scale(_ number: [UInt8], by unit: Int64) -> Scaled {
        let parts = number.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }) else { return .malformed }
        let digits = parts.joined()
        guard digits.count <= 24 else { return .tooLarge }
        let value = digits.reduce(UInt128(0)) { $0 * 10 + UInt128($1 - UInt8(ascii: "0")) }
        let places = parts.count == 2 ? parts[1].count : 0
        let divisor = (0..<places).reduce(UInt128(1)) { power, _ in power * 10 }
        let (quotient, remainder) = (value * UInt128(unit)).quotientAndRemainder(dividingBy: divisor)
        guard remainder == 0 else { return .fractional }
        return Int64(exactly: quotient).map { .exactly($0) } ?? .tooLarge
    }
}

extension Quantity {
    /// The text in the largest unit that divides it, read back by `duration(_:)` as the same value; cut to
    /// microseconds.
    package static func text(_ duration: Duration) -> String {
        let nanoseconds = duration.nanoseconds
        if nanoseconds == 0 { return "0s" }
        let unit = durationUnits.first { nanoseconds % $0.nanoseconds == 0 } ?? ("us", 1000)
        return "\(nanoseconds / unit.nanoseconds)\(unit.name)"
    }

    /// The shortest text that `size(_:)` reads back as the same value.
    package static func text(bytes: Int64) -> String {
        let candidates = sizeUnits.filter { bytes % $0.bytes == 0 }.map { "\(bytes / $0.bytes)\($0.name)" }
        return bytes == 0 ? "0B" : candidates.min { $0.utf8.count < $1.utf8.count } ?? "\(bytes)B"
    }
}

extension Quantity {
    /// A rate as `rate(_:)` reads it, in the unit in which it is the roundest: `500KiB/s`, not `512KB/s`.
    package static func text(rate: Int64?) -> String {
        guard let rate else { return "off" }
        let exact = sizeUnits.filter { rate % $0.bytes == 0 }
        let roundest = exact.min { one, other in
            let (left, right) = (digits(rate / one.bytes), digits(rate / other.bytes))
            return left != right ? left < right : one.bytes > other.bytes
        }
        return roundest.map { "\(rate / $0.bytes)\($0.name)/s" } ?? "\(rate)B/s"
    }

    /// Digits that say something: those before the zeros at the end.
    private static func digits(_ number: Int64) -> Int {
        String(String(number).reversed().drop { $0 == "0" }).count
    }
}

extension String {
    /// As it is where it is plain, else as `quotedForMessage`: for paths, which are mostly harmless.
    package var shownInMessage: String {
        let quoted = quotedForMessage
        return quoted == "\"\(self)\"" ? self : quoted
    }

    /// The text in quotes as an error shows it: cut to a length a person reads, control characters made visible.
    package var quotedForMessage: String {
        let shown = unicodeScalars.prefix(120).map { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
                "\\u{\(String(scalar.value, radix: 16))}"
            default: String(scalar)
            }
        }
        return "\"\(shown.joined())\(unicodeScalars.count > 120 ? "…" : "")\""
    }
}
