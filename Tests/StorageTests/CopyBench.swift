import FoundationEssentials
import Model
import Reactor
import Testing

@testable import Storage

/// An author whose chunks grow, and what another node makes of them.
struct CopyBench {
    static let mirror = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)

    let scratch: Scratch
    let source: Store
    let session: SessionID

    init(_ scratch: Scratch) async throws {
        self.scratch = scratch
        source = try await scratch.open("source")
        session = try await source.startSession(opening)
    }

    func slot(_ stream: StreamName = .data, _ index: Int64 = 0) -> ChunkSlot {
        ChunkSlot(author: source.node, session: session, stream: stream, index: index)
    }

    /// Another node's store that knows the session.
    func mirror(_ name: String = "mirror", knows: Bool = true) async throws -> Store {
        let store = try await scratch.open(name, node: Self.mirror)
        if knows { _ = try await store.receive(try await source.facts(after: 0, limit: 1).map(\.bytes)) }
        return store
    }

    func record(_ rows: [String], _ stream: StreamName = .data) async throws {
        _ = try await source.commit([batch(session, stream, rows: rows)])
    }

    /// The chunk's bytes as they are committed at its author.
    func written(_ stream: StreamName = .data, _ index: Int64 = 0) throws -> [UInt8] {
        try #require(scratch.bytes("source/open/\(source.node)/\(session)/\(stream).\(index)"))
    }

    func piece(
        _ range: Range<Int>? = nil, _ stream: StreamName = .data, _ index: Int64 = 0, rows: Int64 = 1
    ) throws -> CopyPiece {
        let bytes = try written(stream, index)
        return Self.piece(slot(stream, index), bytes, range ?? 0..<bytes.count, rows: rows)
    }

    static func piece(_ slot: ChunkSlot, _ bytes: [UInt8], _ range: Range<Int>, rows: Int64 = 1) -> CopyPiece {
        let pair = ClockPair(realtime: 1, boottime: 1)
        return CopyPiece(
            slot: slot, offset: Int64(range.lowerBound), bytes: Array(bytes[range]), rows: rows, firstRow: 0,
            first: pair, last: pair)
    }

    /// Seals at the author; the fact's exact bytes.
    func seal(_ stream: StreamName = .data) async throws -> [UInt8] {
        let chunk = try #require(try await source.seal(session, stream).first)
        return try await fact(chunk.name)
    }

    func fact(_ name: FactName) async throws -> [UInt8] {
        try #require(
            try await source.facts(after: 0, limit: 1000).first { RecordedFact(parsing: $0.bytes)?.fact.name == name }
        ).bytes
    }

    static func checksum(_ bytes: ArraySlice<UInt8>) -> String {
        Hex.string(UInt64(Checksum(Array(bytes)).value), count: 8)
    }

    /// The name in quarantine of a copy with these bytes.
    func aside(_ bytes: ArraySlice<UInt8>, _ reason: String) -> String {
        "\(session).data.0.\(bytes.count)-\(Self.checksum(bytes)).\(reason)"
    }

    func copied(_ folder: String = "mirror", _ stream: StreamName = .data, _ index: Int64 = 0) -> [UInt8]? {
        scratch.bytes("\(folder)/open/\(source.node)/\(session)/\(stream).\(index)")
    }
}
