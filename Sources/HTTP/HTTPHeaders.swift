/// Header fields in the order they came; names compare without case.
package struct HTTPHeaders: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    package struct Field: Hashable, Sendable {
        package let name: String
        package let value: String
    }

    package private(set) var fields: [Field] = []

    package init() {}
    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }

    /// The first value of that name.
    package subscript(name: String) -> String? { fields.first { Self.same($0.name, name) }?.value }

    package func values(_ name: String) -> [String] {
        fields.filter { Self.same($0.name, name) }.map(\.value)
    }

    package func contains(_ name: String) -> Bool { fields.contains { Self.same($0.name, name) } }

    /// Whether a list-valued field (`Connection`, `Accept`) names `token`, in any of its lines.
    package func lists(_ token: String, in name: String) -> Bool {
        values(name).contains { value in
            value.split(separator: ",").contains { Self.same(HTTPSyntax.trimmed($0), token) }
        }
    }

    /// Appends a field. Control characters of the value become spaces: text from outside must not start a line of its
    /// own.
    package mutating func add(_ name: String, _ value: String) {
        precondition(HTTPSyntax.isToken(name.utf8), "“\(name)” is no header name")
        fields.append(Field(name: name, value: Self.printable(value)))
    }

    /// Replaces every field of that name by one.
    package mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    package mutating func remove(_ name: String) { fields.removeAll { Self.same($0.name, name) } }

    /// What a parser has found to be well formed.
    mutating func addParsed(_ name: String, _ value: String) { fields.append(Field(name: name, value: value)) }

    private static func printable(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 < 32 && $0 != 9 || $0 == 127 }) else { return value }
        return String(decoding: value.utf8.map { $0 < 32 || $0 == 127 ? 32 : $0 }, as: UTF8.self)
    }

    static func same(_ a: some StringProtocol, _ b: some StringProtocol) -> Bool {
        let (a, b) = (a.utf8, b.utf8)
        return a.count == b.count && zip(a, b).allSatisfy { HTTPSyntax.lowered($0) == HTTPSyntax.lowered($1) }
    }
}
