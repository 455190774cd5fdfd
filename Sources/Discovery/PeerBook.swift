internal import FoundationEssentials
package import Model

/// Where each known peer was last reached: what a node dials before, and whether or not, discovery finds anybody.
///
/// In the order of last use, the latest first, which no wrong clock can change; at most `Limits.peers`.
package struct PeerBook: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let id: NodeID
        package let name: String
        package let role: Role?
        /// Where a connection to it was authenticated.
        package let endpoint: Endpoint
        /// Wall clock of that, nanoseconds.
        package let at: Int64

        package init(id: NodeID, name: String, role: Role?, endpoint: Endpoint, at: Int64) {
            self.id = id
            self.name = Self.bounded(name)
            self.role = role
            self.endpoint = endpoint
            self.at = at
        }

        private static func bounded(_ name: String) -> String {
            var text = ""
            for character in name {
                guard text.utf8.count + character.utf8.count <= Limits.peerNameBytes else { break }
                text.append(character)
            }
            return text
        }
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    /// Puts a peer first; one too many, and the one that was not reached for longest is forgotten.
    package mutating func remember(_ entry: Entry) {
        entries.removeAll { $0.id == entry.id }
        entries.insert(entry, at: 0)
        if entries.count > Limits.peers { entries.removeLast(entries.count - Limits.peers) }
    }

    package mutating func forget(_ id: NodeID) { entries.removeAll { $0.id == id } }

    package subscript(id: NodeID) -> Entry? { entries.first { $0.id == id } }
}

// MARK: - As a file

extension PeerBook {
    /// The file's form: unknown keys are ignored, anything else that does not fit makes the whole file unreadable.
    private struct Document: Codable {
        struct Peer: Codable {
            let id: NodeID
            let name: String
            let role: Role?
            let endpoint: Endpoint
            let at: DecimalInt64
        }
        let version: Int
        let peers: [Peer]
    }

    private static let version = 1

    /// Nil where the bytes are no peer book of this version.
    package init?(json: [UInt8]) {
        guard json.count <= Limits.peerBookBytes else { return nil }
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(json))
        } catch {
            return nil
        }
        guard document.version == Self.version else { return nil }
        for peer in document.peers.reversed() {
            remember(
                Entry(id: peer.id, name: peer.name, role: peer.role, endpoint: peer.endpoint, at: peer.at.value))
        }
    }

    package func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let peers = entries.map {
            Document.Peer(id: $0.id, name: $0.name, role: $0.role, endpoint: $0.endpoint, at: DecimalInt64($0.at))
        }
        return [UInt8](try encoder.encode(Document(version: Self.version, peers: peers))) + [UInt8(ascii: "\n")]
    }
}
