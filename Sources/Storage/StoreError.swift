package import Model
package import Reactor

/// What can go wrong with a data directory, in the words a person gets to read.
package enum StoreError: Error, Hashable, Sendable {
    /// Another process holds the directory's lock.
    case inUse(path: String)
    case notWritable(path: String, reason: String)
    case newerFormat(path: String, found: String)
    case outOfSpace(path: String)
    case notFound(ChunkID)
    case unknownSession(SessionID)
    case corrupt(expected: ChunkID, actual: ChunkID)
    /// A chunk's length is not what its fact says.
    case wrongLength(ChunkID, expected: Int64, actual: Int64)
    /// A piece of a chunk does not join what is here of it, which has so many bytes.
    case pullMoved(ChunkID, length: Int64)
    case system(SyscallError, path: String)
    case index(String)
    /// The index is being brought up to the log.
    case indexing(doneBytes: Int64, totalBytes: Int64)
    /// A piece does not join the copy that it is for, which has so many bytes.
    case notJoined(ChunkSlot, length: Int64)
    /// The chunk that a piece is for is sealed here, or its seal is under way.
    case sealedAlready(ChunkSlot)
    /// Only its own node ends it.
    case ownSession(SessionID)
    /// A limit of `Limits` was met.
    case limit(String)
    case closed
}

extension StoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .inUse(let path): "\(path) is in use by another qnode; stop that one or choose another --data directory"
        case .notWritable(let path, let reason):
            "cannot write to \(path): \(reason); choose another --data directory or change its owner"
        case .newerFormat(let path, let found):
            "\(path) was written by a newer qnode (format \(found)); use that release"
        case .outOfSpace(let path): "no space left for \(path); free some or choose another --data directory"
        case .notFound(let id): "no chunk \(id) here"
        case .unknownSession(let id): "no session \(id) here"
        case .corrupt(let expected, let actual): "a chunk's bytes have the digest \(actual), not \(expected)"
        case .wrongLength(let id, let expected, let actual): "chunk \(id) has \(actual) bytes, not \(expected)"
        case .pullMoved(let id, let length): "a piece does not join chunk \(id), of which \(length) bytes are here"
        case .system(let error, let path): "\(path): \(error.reason) (\(error.call))"
        case .index(let message):
            "the index does not work (\(message)); it is tried again in a moment, and qnode rebuild makes it anew"
        case .indexing(let done, let total):
            "the index is being made from the log: \(total > 0 ? done * 100 / total : 0) % done; ask again later"
        case .notJoined(let slot, let length):
            "a piece does not join the copy of chunk \(slot.index) of \(slot.stream), which has \(length) bytes"
        case .sealedAlready(let slot): "chunk \(slot.index) of \(slot.stream) is sealed here"
        case .ownSession(let id): "session \(id) is this node's own; end it with qnode record stop"
        case .limit(let name): "the limit \(name) is reached"
        case .closed: "the store is closed"
        }
    }
}
