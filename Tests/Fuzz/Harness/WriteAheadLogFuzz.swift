import Model
import Reactor

@testable import Storage

/// The write-ahead log as recovery reads it. CRC-32C guards each record, so most inputs are put into whole records
/// first.
func fuzzWriteAheadLog(_ input: inout FuzzBytes) {
    switch input.byte() & 3 {
    case 0: check(segment: input.rest())
    case 1: check(body: input.rest())
    case 2: check(segment: segment(of: &input))
    default: check(record: record(from: &input))
    }
}

/// Whole records, records with a wrong header, and bytes that are none, one after another.
private func segment(of input: inout FuzzBytes) -> [UInt8] {
    var bytes = input.byte() == 0 ? [] : WriteAheadLog.fileMagic
    while !input.isAtEnd {
        let choice = input.byte()
        switch choice & 7 {
        case 0: bytes += input.take(Int(choice >> 3))
        case 1: bytes += framed(input.take(Int(input.byte())), flipping: choice)
        case 2, 3: bytes += framed(input.take(Int(input.byte())))
        default: bytes += record(from: &input).encoded
        }
    }
    return bytes
}

/// `body` as the body of a record, with a bit of the header flipped where asked.
private func framed(_ body: [UInt8], flipping choice: UInt8 = 0) -> [UInt8] {
    var header = ByteWriter()
    header.put(WALRecord.magic)
    header.put(UInt32(body.count))
    header.put(Checksum(body).value)
    var bytes = header.bytes
    if choice != 0 { bytes[Int(choice >> 3) % bytes.count] ^= choice }
    return bytes + body
}

private func record(from input: inout FuzzBytes) -> WALRecord {
    let choice = input.byte()
    // Few chunks, so that records meet others of theirs.
    let slot = ChunkSlot(
        author: NodeID(digest: someDigest), session: SessionID(high: 1, low: UInt64(choice >> 7)),
        stream: choice & 64 == 0 ? .data : .raw, index: Int64(choice >> 5 & 1))
    let numbers = (0..<4).map { _ in choice & 16 == 0 ? Int64(input.byte()) : input.int64() & .max }
    let first = ClockPair(realtime: input.int64(), boottime: Int64(input.byte()))
    let last = ClockPair(realtime: Int64(input.byte()), boottime: input.int64())
    switch choice & 3 {
    case 0:
        return .checkpoint(
            WALRecord.Checkpoint(
                slot: slot, length: numbers[0], rows: numbers[1], firstRow: numbers[2], checksum: 5, first: first,
                last: last))
    case 1:
        let source: WALRecord.Seal.Source = choice & 4 == 0 ? .incoming : .open(slot)
        return .seal(
            WALRecord.Seal(source: source, id: ChunkID(digest: someDigest), fact: input.take(Int(input.byte()))))
    default:
        let inline = choice & 4 == 0 ? nil : input.take(Int(input.byte()))
        return .commit(
            WALRecord.Commit(
                slot: slot, offset: numbers[0], length: inline.map { Int64($0.count) } ?? numbers[1],
                rows: numbers[2], firstRow: numbers[3], checksum: Checksum(inline ?? []).value, first: first,
                last: last, inline: inline))
    }
}

let someDigest: Digest256 = {
    guard let digest = Digest256(bytes: Array(1...32)) else { fatalError("32 bytes are a digest") }
    return digest
}()

// MARK: - What must hold

private func check(record: WALRecord) {
    let bytes = record.encoded
    guard let (read, length) = WALRecord.decode(bytes[...]) else {
        expect(!isSound(record), "a record that may be written is not read: \(record)")
        return
    }
    expect(read == record && length == bytes.count, "a record is read as another: \(record), \(read)")
}

private func check(body: [UInt8]) {
    let bytes = framed(body)
    guard let (record, length) = WALRecord.decode(bytes[...]) else { return }
    expect(length == bytes.count, "a record of \(bytes.count) bytes is read as one of \(length)")
    expect(record.encoded == bytes, "a record is written otherwise than it was read: \(record)")
    expect(isSound(record), "a record is taken that recovery cannot reckon with: \(record)")
}

private func check(segment bytes: [UInt8]) {
    let reading = WriteAheadLog.scan(bytes)
    expect(reading.bytes == bytes, "the bytes read are not those of the segment")
    expect((0...Int64(bytes.count)).contains(reading.soundLength), "the sound part is longer than the segment")
    // Records and damage follow each other without holes, up to the end of the sound part.
    var position = bytes.starts(with: WriteAheadLog.fileMagic) ? WriteAheadLog.fileMagic.count : 0
    var damaged = reading.damaged[...]
    for record in reading.records {
        if let stretch = damaged.first, stretch.lowerBound == position {
            // The magic of the file is missing where the first record begins with it.
            expect(!stretch.isEmpty || position == 0, "a damaged stretch is empty")
            position = stretch.upperBound
            damaged.removeFirst()
        }
        let encoded = record.encoded
        expect(
            bytes[position...].starts(with: encoded), "the record read at \(position) is not what stands there")
        position += encoded.count
    }
    expect(damaged.isEmpty, "a damaged stretch has no record behind it: \(reading.damaged)")
    expect(
        reading.records.isEmpty || reading.soundLength == Int64(position), "the sound part does not end with a record")
}

/// Whether recovery can add up a segment of such records.
private func isSound(_ record: WALRecord) -> Bool {
    let numbers: [Int64] =
        switch record {
        case .commit(let commit): [commit.offset, commit.length, commit.rows, commit.firstRow]
        case .checkpoint(let checkpoint): [checkpoint.length, checkpoint.rows, checkpoint.firstRow]
        case .seal, .fact: []
        }
    return numbers.allSatisfy { (0...(1 << 45)).contains($0) }
}
