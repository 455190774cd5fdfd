internal import FoundationEssentials
package import Model

/// Facts and small files as JSON: snake_case keys, sorted, so that the same value is the same bytes.
enum JSONCoding {
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            preconditionFailure("our own values are all expressible in JSON: \(error)")
        }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}

extension RecordedFact {
    /// Encodes a fact of this node.
    package init(encoding fact: Fact) { self.init(fact: fact, bytes: JSONCoding.encode(fact)) }

    /// Parses a fact from outside: nil where it is no fact, too large, or would break the log's lines.
    package init?(parsing bytes: [UInt8]) {
        guard bytes.count <= Limits.factBytes, !bytes.contains(UInt8(ascii: "\n")),
            let fact = try? JSONCoding.decode(Fact.self, from: bytes)
        else { return nil }
        self.init(fact: fact, bytes: bytes)
    }
}
