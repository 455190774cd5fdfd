package import Model

/// What a node's TXT record claims: `id`, `role`, `boot`, `v`. Nothing of it is proven.
package struct ServiceText: Hashable, Sendable {
    package let idPrefix: String
    package let role: Role?
    package let boot: String?

    /// The form of the record that this node writes and understands.
    static let version = "1"

    /// Nil where the record is malformed, is of another version, or has no valid id.
    package init?(rdata: [UInt8]) {
        var values: [String: [UInt8]] = [:]
        var rest = rdata[...]
        while let length = rest.popFirst() {
            guard rest.count >= Int(length) else { return nil }
            let string = rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
            guard let equals = string.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let key = String(decoding: string[..<equals], as: UTF8.self).lowercased()
            // RFC 6763: only the first occurrence of a key counts.
            if values[key] == nil { values[key] = Array(string[string.index(after: equals)...]) }
        }
        func text(_ key: String) -> String? { values[key].map { String(decoding: $0, as: UTF8.self) } }
        guard let id = values["id"], id.count == 16, Hex.word(id) != nil, text("v") == Self.version else { return nil }
        idPrefix = String(decoding: id, as: UTF8.self)
        role = text("role").flatMap { Role(rawValue: $0) }
        boot = text("boot").flatMap { BootID($0)?.description }
    }
}
