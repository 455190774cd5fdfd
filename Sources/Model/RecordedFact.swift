/// A fact with its exact bytes, which are what is logged and relayed: an unknown field survives every node it passes.
package struct RecordedFact: Hashable, Sendable {
    package let fact: Fact
    /// One JSON object, UTF-8, without a newline.
    package let bytes: [UInt8]

    package init(fact: Fact, bytes: [UInt8]) {
        self.fact = fact
        self.bytes = bytes
    }

    package static func == (lhs: Self, rhs: Self) -> Bool { lhs.bytes == rhs.bytes }
    package func hash(into hasher: inout Hasher) { hasher.combine(fact.name) }
}
