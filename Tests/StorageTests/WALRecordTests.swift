import Model
import Reactor
import Testing

@testable import Storage

@Suite struct WALRecordTests {
    private static let pair = ClockPair(realtime: 1, boottime: 2)

    private static func slot() throws -> ChunkSlot {
        ChunkSlot(
            author: NodeID(digest: try #require(Digest256(bytes: Array(1...32)))),
            session: SessionID(high: 1, low: 2), stream: .data, index: 3)
    }

    private static func commit(
        offset: Int64 = 5, length: Int64 = 2, rows: Int64 = 1, firstRow: Int64 = 7, inline: [UInt8]? = [65, 10]
    ) throws -> WALRecord {
        .commit(
            WALRecord.Commit(
                slot: try slot(), offset: offset, length: length, rows: rows, firstRow: firstRow,
                checksum: Checksum(inline ?? []).value, first: pair, last: pair, inline: inline))
    }

    private static func checkpoint(length: Int64, rows: Int64, firstRow: Int64) throws -> WALRecord {
        .checkpoint(
            WALRecord.Checkpoint(
                slot: try slot(), length: length, rows: rows, firstRow: firstRow, checksum: 9, first: pair, last: pair))
    }

    @Test("a record is read as it was written")
    func roundTrip() throws {
        let seal = WALRecord.Seal(
            source: .open(try Self.slot()), id: ChunkID(digest: try Self.slot().author.digest), fact: Array("{}".utf8))
        for record in [
            try Self.commit(), try Self.commit(length: 1 << 45, inline: nil), .seal(seal),
            try Self.checkpoint(length: 0, rows: 1, firstRow: 1 << 45),
        ] {
            let read = try #require(WALRecord.decode(record.encoded[...]))
            #expect(read.record == record && read.length == record.encoded.count)
        }
    }

    @Test("a number that no chunk reaches is no record's: recovery's sums stay numbers")
    func numbers() throws {
        let high: Int64 = (1 << 45) + 1
        for record in [
            try Self.commit(offset: .max), try Self.commit(length: .max, inline: nil), try Self.commit(rows: high),
            try Self.commit(firstRow: high), try Self.commit(offset: -1),
            try Self.checkpoint(length: 0, rows: high, firstRow: 0),
            try Self.checkpoint(length: .max, rows: 0, firstRow: 0),
            try Self.checkpoint(length: 0, rows: 0, firstRow: -1),
        ] {
            #expect(WALRecord.decode(record.encoded[...]) == nil)
        }
    }

    @Test("a commit says in one way only whether its bytes are with it")
    func inline() throws {
        var body = Array(try Self.commit(inline: [65, 10]).encoded.dropFirst(WALRecord.headerBytes))
        let flag = body.count - 7
        #expect(body[flag] == 1)
        body[flag] = 2
        var record = ByteWriter()
        record.put(WALRecord.magic)
        record.put(UInt32(body.count))
        record.put(Checksum(body).value)
        record.put(body)
        #expect(WALRecord.decode(record.bytes[...]) == nil)
    }
}
