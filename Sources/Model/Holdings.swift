/// Which facts a node holds: ranges of numbers per author and incarnation. The newest statement replaces all earlier
/// belief.
package struct Holdings: Hashable, Sendable {
    package private(set) var authors: [NodeID: [Incarnation: RangeSet64]] = [:]

    package init() {}

    package var isEmpty: Bool { authors.isEmpty }
    package var count: Int64 { authors.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } } }

    package subscript(author: NodeID, incarnation: Incarnation) -> RangeSet64 {
        get { authors[author]?[incarnation] ?? RangeSet64() }
        set {
            authors[author, default: [:]][incarnation] = newValue.isEmpty ? nil : newValue
            if authors[author]?.isEmpty == true { authors[author] = nil }
        }
    }

    package func contains(_ name: FactName) -> Bool {
        authors[name.author]?[name.incarnation]?.contains(name.n) ?? false
    }

    package mutating func insert(_ name: FactName) {
        authors[name.author, default: [:]][name.incarnation, default: RangeSet64()].insert(name.n)
    }

    package mutating func remove(_ name: FactName) {
        guard contains(name) else { return }
        var ranges = self[name.author, name.incarnation]
        ranges.remove(name.n)
        self[name.author, name.incarnation] = ranges
    }

    package mutating func formUnion(_ other: Self) {
        for (author, incarnations) in other.authors {
            for (incarnation, ranges) in incarnations {
                authors[author, default: [:]][incarnation, default: RangeSet64()].formUnion(ranges)
            }
        }
    }

    package func subtracting(_ other: Self) -> Self {
        var rest = Self()
        for (author, incarnations) in authors {
            for (incarnation, ranges) in incarnations {
                rest[author, incarnation] = ranges.subtracting(other[author, incarnation])
            }
        }
        return rest
    }

    package func filtered(_ isIncluded: (NodeID) -> Bool) -> Self {
        var rest = Self()
        rest.authors = authors.filter { isIncluded($0.key) }
        return rest
    }
}

extension Holdings: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode([String: [String: String]].self)
        var incarnationCount = 0
        for (author, incarnations) in text {
            guard let author = NodeID(author) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a node id")
            }
            for (incarnation, ranges) in incarnations {
                incarnationCount += 1
                guard let incarnation = Incarnation(incarnation), let ranges = RangeSet64(ranges),
                    incarnationCount <= Limits.incarnationsPerStatement
                else {
                    throw DecodingError.dataCorruptedError(
                        in: container, debugDescription: "not ranges of an incarnation")
                }
                self[author, incarnation] = ranges
            }
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var text: [String: [String: String]] = [:]
        for (author, incarnations) in authors {
            for (incarnation, ranges) in incarnations {
                text[author.description, default: [:]][incarnation.description] = ranges.description
            }
        }
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
