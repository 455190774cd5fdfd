/// What a Range header asks of a body whose length is known (RFC 9110, section 14).
package enum ByteRange: Hashable, Sendable {
    /// No range, one that is malformed, or several: the whole body, with 200.
    case whole
    /// These bytes, with 206 and `Content-Range`.
    case part(Range<Int64>)
    /// Nothing of it is there: 416.
    case unsatisfiable

    /// `value` is the Range header, nil where there is none. One range of bytes counts; what is malformed is ignored,
    /// as the RFC wants it.
    package init(_ value: String?, length: Int64) {
        self = .whole
        guard let value, let equals = value.firstIndex(of: "=") else { return }
        guard HTTPHeaders.same(value[..<equals], "bytes") else { return }
        let spec = HTTPSyntax.trimmed(value[value.index(after: equals)...])
        let parts = spec.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy(HTTPSyntax.isDigit) }) else { return }
        let (first, last) = (Self.position(parts[0]), Self.position(parts[1]))
        switch (first, last) {
        case (nil, nil): return
        case (nil, let suffix?):
            self = suffix == 0 || length == 0 ? .unsatisfiable : .part(max(0, length - suffix)..<length)
        case (let first?, nil): self = first < length ? .part(first..<length) : .unsatisfiable
        case (let first?, let last?):
            guard first <= last else { return }
            self = first < length ? .part(first..<min(length - 1, last) + 1) : .unsatisfiable
        }
    }

    /// Positions beyond Int64 are beyond every body.
    private static func position(_ digits: Substring) -> Int64? { digits.isEmpty ? nil : Int64(digits) ?? .max }

    /// The Content-Range of a 206 or a 416.
    package func contentRange(length: Int64) -> String? {
        switch self {
        case .whole: nil
        case .part(let range): "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)"
        case .unsatisfiable: "bytes */\(length)"
        }
    }
}

/// A Content-Range that came with a response.
package struct ContentRange: Hashable, Sendable {
    package let range: Range<Int64>
    package let length: Int64?

    /// `bytes 0-9/100` or `bytes 0-9/*`; nil for anything else.
    package init?(_ value: String) {
        let words = value.split(separator: " ")
        guard words.count == 2, HTTPHeaders.same(words[0], "bytes") else { return nil }
        let halves = words[1].split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2 else { return nil }
        let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = HTTPSyntax.decimal(ends[0]), let last = HTTPSyntax.decimal(ends[1]),
            first <= last, last < .max
        else { return nil }
        if halves[1] == "*" {
            length = nil
        } else {
            guard let total = HTTPSyntax.decimal(halves[1]), last < total else { return nil }
            length = total
        }
        range = first..<last + 1
    }
}
