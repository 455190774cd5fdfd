/// A media type as it stands in Content-Type.
package struct MediaType: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    private init(_ text: String) { description = text }

    package static let json = MediaType("application/json")
    package static let jsonLines = MediaType("application/x-ndjson")
    package static let csv = MediaType("text/csv")
    package static let text = MediaType("text/plain; charset=utf-8")
    package static let html = MediaType("text/html; charset=utf-8")
    package static let eventStream = MediaType("text/event-stream")
    package static let bytes = MediaType("application/octet-stream")
    /// The exposition format of Prometheus.
    package static let metrics = MediaType("text/plain; version=0.0.4; charset=utf-8")

    /// The type and subtype of a Content-Type, lower case, without parameters; nil where it is none.
    package static func essence(of value: some StringProtocol) -> String? {
        let essence = HTTPSyntax.trimmed(value.prefix { $0 != ";" })
        let parts = essence.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ HTTPSyntax.isToken($0.utf8) }) else { return nil }
        return essence.lowercased()
    }

    /// Whether a Content-Type is JSON: `application/json` or any `…+json`.
    package static func isJSON(_ value: some StringProtocol) -> Bool {
        guard let essence = essence(of: value) else { return false }
        return essence == json.description || essence.hasSuffix("+json")
    }
}
