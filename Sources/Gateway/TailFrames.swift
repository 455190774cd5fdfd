internal import Model
internal import Reactor
internal import Replication
internal import Storage

/// Spells the frames of a tail: each a JSON line, and bytes where its `length` says so. Table: `Docs/Protocol.md`,
/// "Live tail".
enum TailFrameWriter {
    static func bytes(_ frames: [TailFrame]) -> [UInt8] {
        var bytes: [UInt8] = []
        for frame in frames { append(frame, to: &bytes) }
        return bytes
    }

    private static func append(_ frame: TailFrame, to bytes: inout [UInt8]) {
        switch frame {
        case .session(let fact): append("{\"frame\":\"session\"\(body(fact))}\n", fact, to: &bytes)
        case .commit(let piece, let left):
            append(
                "{\"frame\":\"commit\"\(names(piece.slot)),\"offset\":\(piece.offset)\(body(piece.bytes))"
                    + ",\"rows\":\(piece.rows),\"first_row\":\(piece.firstRow),\"first\":\(clocks(piece.first))"
                    + ",\"last\":\(clocks(piece.last)),\"left\":\(left)}\n", piece.bytes, to: &bytes)
        case .sealed(let slot, let fact):
            append("{\"frame\":\"sealed\"\(names(slot))\(body(fact))}\n", fact, to: &bytes)
        case .heartbeat: append("{\"frame\":\"heartbeat\"}\n", [], to: &bytes)
        case .caughtUp: append("{\"frame\":\"caught_up\"}\n", [], to: &bytes)
        case .dropped(let slot): append("{\"frame\":\"dropped\"\(names(slot))}\n", [], to: &bytes)
        case .beyond(let slot, let length):
            append("{\"frame\":\"beyond\"\(names(slot)),\"offset\":\(length)}\n", [], to: &bytes)
        }
    }

    private static func append(_ line: String, _ body: [UInt8], to bytes: inout [UInt8]) {
        bytes.reserveCapacity(bytes.count + line.utf8.count + body.count)
        bytes += line.utf8
        bytes += body
    }

    private static func names(_ slot: ChunkSlot) -> String {
        ",\"author\":\"\(slot.author)\",\"session\":\"\(slot.session)\",\"stream\":\"\(slot.stream)\""
            + ",\"index\":\(slot.index)"
    }

    private static func body(_ bytes: [UInt8]) -> String {
        ",\"length\":\(bytes.count),\"crc32c\":\"\(Hex.string(UInt64(Checksum(bytes).value), count: 8))\""
    }

    private static func clocks(_ pair: ClockPair) -> String {
        "{\"realtime\":\"\(pair.realtime)\",\"boottime\":\"\(pair.boottime)\"}"
    }
}

/// The line of a frame, whatever kind it is.
struct TailFrameForm: Codable {
    var frame: String
    var author: NodeID?
    var session: SessionID?
    var stream: StreamName?
    var index: Int64?
    var offset: Int64?
    var length: Int64?
    var crc32c: String?
    var rows: Int64?
    var firstRow: Int64?
    var first: ClockPair?
    var last: ClockPair?
    var left: Int64?

    enum CodingKeys: String, CodingKey {
        case frame, author, session, stream, index, offset, length, crc32c, rows, first, last, left
        case firstRow = "first_row"
    }
}

/// The body of `POST /v1/tail`.
struct TailRequestForm: Codable {
    struct Copy: Codable {
        let author: NodeID
        let session: SessionID
        let stream: StreamName
        let index: Int64
        let length: Int64
        let rows: Int64?
        let crc32c: String?

        var checksum: UInt32? { crc32c.flatMap { Hex.word(Array($0.utf8)) }.flatMap { UInt32(exactly: $0) } }
        var isSound: Bool { crc32c.map { $0.utf8.count == 8 && checksum != nil } ?? true }
    }

    var copies: [Copy]
    /// Whose chunks; everybody's where it is left out.
    var authors: [NodeID]?
    var mission: String?

    init(_ request: TailRequest) {
        copies = request.copies.map {
            Copy(
                author: $0.slot.author, session: $0.slot.session, stream: $0.slot.stream, index: $0.slot.index,
                length: $0.length, rows: $0.rows, crc32c: $0.checksum.map { Hex.string(UInt64($0), count: 8) })
        }
        authors = request.authors?.sorted()
        mission = request.mission
    }

    /// Nil where there is more of anything than a node has, or a number that is none.
    var request: TailRequest? {
        guard copies.count <= Limits.tailPositions, authors?.count ?? 0 <= Limits.tailAuthors,
            copies.allSatisfy({ copy in
                copy.index >= 0 && (0...Limits.chunkBytes).contains(copy.length)
                    && (0...copy.length).contains(copy.rows ?? 0) && copy.isSound
            })
        else { return nil }
        return TailRequest(
            copies: copies.map {
                TailPosition(
                    slot: ChunkSlot(author: $0.author, session: $0.session, stream: $0.stream, index: $0.index),
                    length: $0.length, rows: $0.rows, checksum: $0.checksum)
            }, authors: authors.map { Set($0) }, mission: mission)
    }
}
