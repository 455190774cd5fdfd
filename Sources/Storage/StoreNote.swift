internal import Model
internal import Reactor

/// A small file of the data directory that other parts of a node keep there: what it says is theirs, how it is written
/// is the store's. Losing one costs a node nothing but time.
package enum StoreNote: String, Sendable, CaseIterable {
    /// Nodes that were met, with their last good address.
    case peers = "peers.json"
    /// How the peers' clocks stood to this node's when that was last measured.
    case clocks = "clocks.json"
}

extension Catalogue {
    /// nil where there is none, or something else than a file stands in its place.
    func note(_ note: StoreNote) throws(StoreError) -> [UInt8]? {
        try lifting { () throws(SyscallError) in
            guard try directory.root.kind(of: note.rawValue) == .file else { return nil }
            // One byte more than there may be tells that there is too much.
            return try DataDirectory.contents(of: note.rawValue, in: directory.root, limit: Limits.peerBookBytes + 1)
        }
    }

    func setNote(_ note: StoreNote, _ bytes: [UInt8]) throws(StoreError) {
        try lifting { () throws(SyscallError) in
            try DataDirectory.replace(note.rawValue, in: directory.root, with: bytes)
        }
    }

    func setNoteAside(_ note: StoreNote) throws(StoreError) {
        try lifting { () throws(SyscallError) in
            try directory.root.rename(note.rawValue, to: directory.quarantine, as: "\(note.rawValue).damaged")
            try directory.root.synchronize()
        }
        noteQuarantine()
    }
}

extension Store {
    /// The bytes of a note; nil where there is none.
    package func note(_ note: StoreNote) async throws(StoreError) -> [UInt8]? { try await catalogue.note(note) }

    /// Replaces a note: after this it has the old bytes or the new ones, whatever happens.
    package func setNote(_ note: StoreNote, _ bytes: [UInt8]) async throws(StoreError) {
        try await catalogue.setNote(note, bytes)
    }

    /// Moves a note that its owner cannot read to quarantine.
    package func setNoteAside(_ note: StoreNote) async throws(StoreError) { try await catalogue.setNoteAside(note) }
}
