/// One `name=value` of a query, decoded.
package struct QueryItem: Hashable, Sendable {
    package let name: String
    package let value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// A request's path and query, taken apart once. No segment is `.` or `..`, and none holds a NUL.
package struct RequestTarget: Hashable, Sendable {
    /// Why a target is refused.
    package enum Fault: Error, Hashable, Sendable, CustomStringConvertible {
        case notAPath, fragment, badEscape, notUTF8, nul, dotSegment

        package var description: String {
            switch self {
            case .notAPath: "The request target is not a path."
            case .fragment: "The request target has a fragment or a character that must be percent-encoded."
            case .badEscape: "The request target has a % that is not followed by two hex digits."
            case .notUTF8: "The request target is not UTF-8."
            case .nul: "The request target has a NUL."
            case .dotSegment: "The path has a “.” or “..” segment."
            }
        }
    }

    /// As it was sent, from the first slash, without the query.
    package let path: String
    package let segments: [String]
    package let query: [QueryItem]

    /// Takes the origin form, `/path?query`.
    package init(_ text: some StringProtocol) throws(Fault) {
        guard text.utf8.first == UInt8(ascii: "/") else { throw .notAPath }
        guard text.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "#") }) else { throw .fragment }
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts[0])
        var segments: [String] = []
        for part in parts[0].dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            let segment = try PercentCoding.decode(part)
            guard segment != ".", segment != ".." else { throw .dotSegment }
            segments.append(segment)
        }
        // "/" is no segment at all, and "/a/" is the folder of "/a".
        if segments.last == "" { segments.removeLast() }
        self.segments = segments
        query = parts.count == 2 ? try Self.parseQuery(parts[1]) : []
    }

    /// `a=1&b=&c`, with `+` as a space, as forms write it.
    package static func parseQuery(_ text: some StringProtocol) throws(Fault) -> [QueryItem] {
        var items: [QueryItem] = []
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try PercentCoding.decode(parts[0], plusIsSpace: true)
            let value = parts.count == 2 ? try PercentCoding.decode(parts[1], plusIsSpace: true) : ""
            items.append(QueryItem(name: name, value: value))
        }
        return items
    }
}
