/// What a link throws.
package enum PeerLinkError: Error, Hashable, Sendable {
    /// No connection came about: refused by the host, no route, no name.
    case unreachable(reason: String)
    /// The connection ended, by the peer or by `close`.
    case closed
    case timedOut
    /// The peer answered and will not: not paired, too many connections, an error of its own.
    case refused(status: Int, reason: String)
    /// The peer answered what no node answers.
    case malformed(reason: String)
    /// The peer has no such chunk.
    case notFound
    /// A body ended before its length.
    case cutOff
}

extension PeerLinkError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let reason): "cannot be reached: \(reason)"
        case .closed: "the connection ended"
        case .timedOut: "no answer in time"
        case .refused(let status, let reason): "refused with \(status): \(reason)"
        case .malformed(let reason): "answered what no node answers: \(reason)"
        case .notFound: "has no such chunk"
        case .cutOff: "ended in the middle of an answer"
        }
    }
}

/// Kinds of trouble with a peer, as counted and shown.
package enum PeerFault: String, Hashable, Sendable, CaseIterable {
    case unreachable
    case refused
    /// Connected, and nothing came for too long.
    case silent
    /// The connection ended.
    case broken
    case malformed
    /// Another node answers where this one was expected.
    case wrongIdentity = "wrong_identity"
    /// A hole in the peer's event stream; the comparison starts over.
    case eventGap = "event_gap"
    /// Facts that the store would not take.
    case refusedFact = "refused_fact"
    /// A chunk's bytes do not have its digest.
    case corruptChunk = "corrupt_chunk"
    case wrongLength = "wrong_length"
    /// A chunk ended early.
    case cutOff = "cut_off"
    /// The peer claims a chunk that it does not give.
    case missingChunk = "missing_chunk"
    /// A chunk that made no headway for too long.
    case stalledChunk = "stalled_chunk"
    /// A frame of a tail whose bytes do not have their checksum.
    case corruptTail = "corrupt_tail"
    /// Our own disk; no fault of the peer.
    case storage

    package init(_ error: PeerLinkError) {
        self =
            switch error {
            case .unreachable: .unreachable
            case .closed: .broken
            case .timedOut: .silent
            case .refused: .refused
            case .malformed: .malformed
            case .notFound: .missingChunk
            case .cutOff: .cutOff
            }
    }
}

/// How often each kind of trouble occurred.
package struct FaultCounts: Hashable, Sendable {
    package private(set) var counts: [PeerFault: Int64] = [:]

    package init() {}

    package var total: Int64 { counts.values.reduce(0, +) }
    package subscript(fault: PeerFault) -> Int64 { counts[fault] ?? 0 }
    package mutating func count(_ fault: PeerFault, times: Int64 = 1) { counts[fault, default: 0] += times }
    package mutating func add(_ other: Self) { for (fault, times) in other.counts { count(fault, times: times) } }
}
