import Foundation
import HTTP
import Model
import Reactor
import Storage

/// A recording that is there before the node starts: written through the store itself, sealed and ended.
enum SeededStore {
    /// The session that was made, and its chunks in order.
    struct Recording: Sendable {
        let session: SessionID
        let chunks: [ChunkFact]
    }

    static let opening = SessionOpening(
        mission: "seeded", streams: [StreamDescription(name: .data, format: .csv, columns: ["text"])])

    /// One session of so many chunks of about so many bytes each, no two alike.
    static func make(_ data: String, chunks count: Int, bytes: Int, seed: UInt64 = 1) async throws -> Recording {
        try Store.prepare(data)
        let identity = try NodeIdentity.open(in: "\(data)/identity")
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(data, node: identity.node, incarnation: .random(), lanes: lanes, log: .silent)
        let session = try await store.startSession(opening)
        var chunks: [ChunkFact] = []
        for number in 0..<count {
            let row = "\(seed) \(number) \(String(repeating: "x", count: max(0, bytes - 12)))\n"
            let now = ClockPair(SystemClock.reading())
            _ = try await store.commit([
                RowBatch(session: session, stream: .data, bytes: Array(row.utf8), rows: 1, first: now, last: now)
            ])
            chunks += try await store.seal(session).map(\.fact)
        }
        _ = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        try await store.close()
        return Recording(session: session, chunks: chunks)
    }
}
