import HTTP
import Model
import Reactor
import Storage

/// A vehicle's data directory with chunks in it, made by the store itself.
struct PreparedStore {
    let place: Place
    let name: String
    let chunkBytes: Int
    let chunkCount: Int

    var path: String { "\(place.path)/\(name)" }
    var totalBytes: Double { Double(chunkBytes) * Double(chunkCount) }

    /// Streams that are sealed together, so that making the store takes no longer than it must.
    private var width: Int { min(Limits.streamsPerSession, max(1, (32 << 20) / chunkBytes)) }

    func make() async throws {
        try Store.prepare(path)
        let identity = try NodeIdentity.open(in: path + "/identity")
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(path, node: identity.node, incarnation: .random(), lanes: lanes, log: .silent)
        let streams = (0..<width).map {
            StreamDescription(name: StreamName("s\($0)") ?? .data, format: .jsonl, columns: [])
        }
        let session = try await store.startSession(SessionOpening(mission: "bench", streams: streams))
        var random = SystemRandomNumberGenerator()
        var left = chunkCount
        while left > 0 {
            let batches = streams.prefix(left).map { stream in
                RowBatch.random(session, stream.name, bytes: chunkBytes, rows: 1, &random)
            }
            _ = try await store.commit(batches)
            _ = try await store.seal(session)
            left -= batches.count
        }
        _ = try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        try await store.close()
    }
}

extension RowBatch {
    /// Bytes that nothing can be saved on, as rows of equal length.
    static func random(
        _ session: SessionID, _ stream: StreamName, bytes: Int, rows: Int64,
        _ random: inout SystemRandomNumberGenerator
    ) -> RowBatch {
        let now = ClockPair(SystemClock.reading())
        return RowBatch(
            session: session, stream: stream, bytes: randomBytes(bytes, &random), rows: rows, first: now, last: now)
    }
}

func randomBytes(_ count: Int, _ random: inout SystemRandomNumberGenerator) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        var state = random.next() | 1
        for position in 0..<count {
            // xorshift64: bytes that do not repeat, quickly.
            if position & 7 == 0 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
            }
            buffer[position] = UInt8(truncatingIfNeeded: state >> UInt64((position & 7) * 8))
        }
        filled = count
    }
}
