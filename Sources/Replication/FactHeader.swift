internal import FoundationEssentials
internal import Model

/// What replication needs to know of a fact that a peer sent: its name and kind. The store parses the whole.
struct FactHeader: Hashable, Decodable {
    let name: FactName
    let kind: String

    private enum CodingKeys: String, CodingKey { case author, incarnation, n, kind }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = FactName(
            author: try container.decode(NodeID.self, forKey: .author),
            incarnation: try container.decode(Incarnation.self, forKey: .incarnation),
            n: try container.decode(Int64.self, forKey: .n))
        kind = try container.decode(String.self, forKey: .kind)
    }

    /// Nil where the bytes are no fact.
    init?(_ bytes: [UInt8]) {
        guard bytes.count <= Limits.factBytes,
            let header = try? JSONDecoder().decode(Self.self, from: Data(bytes)),
            FactName.numbers.contains(header.name.n)
        else { return nil }
        self = header
    }

    /// A holder's word about its own bytes: what it holds changed in a way that adding this fact's name does not tell.
    var changesHoldings: Bool { ["lost", "held", "removed"].contains(kind) }
}
