internal import Model
internal import Reactor

/// One record of the write-ahead log. Byte tables: `Docs/Storage.md`, "The write-ahead log".
enum WALRecord: Hashable {
    case commit(Commit)
    case seal(Seal)
    case checkpoint(Checkpoint)
    /// A fact of this node that is to enter the log: what recovery found missing.
    case fact([UInt8])

    /// Bytes of one stream that became durable.
    struct Commit: Hashable {
        let slot: ChunkSlot
        let offset: Int64
        let length: Int64
        /// Rows in these bytes, and the stream's rows before the chunk.
        let rows: Int64
        let firstRow: Int64
        let checksum: UInt32
        let first: ClockPair
        let last: ClockPair
        /// The bytes themselves; nil where the chunk's file had them, synced, before this record.
        let inline: [UInt8]?
    }

    /// A chunk is about to get its name; holds the whole fact, so that a crash on the way cannot lose it.
    struct Seal: Hashable {
        enum Source: Hashable {
            case open(ChunkSlot)
            case incoming
        }
        let source: Source
        let id: ChunkID
        let fact: [UInt8]
    }

    /// How far an open chunk's file is durable when a new segment begins.
    struct Checkpoint: Hashable {
        let slot: ChunkSlot
        let length: Int64
        let rows: Int64
        let firstRow: Int64
        /// Of all `length` bytes.
        let checksum: UInt32
        let first: ClockPair
        let last: ClockPair
    }
}

extension WALRecord {
    /// Marks the start of a record, so that good ones can be found behind a bad one.
    static let magic: [UInt8] = [0x51, 0xF1, 0x4E, 0xA7]
    /// magic, body length (u32), CRC-32C of the body (u32)
    static let headerBytes = 12
    /// A body: the inline bytes of a commit or the fact of a seal, and fields.
    static let bodyLimit = Limits.inlineCommitBytes + Limits.factBytes + 1024
    /// Lengths, and numbers of rows: 35 TB, a year of a million rows a second. No sum over the records of a segment,
    /// fewer than 2^17, overflows.
    static let numbers: ClosedRange<Int64> = 0...(1 << 45)

    var encoded: [UInt8] {
        var body = ByteWriter()
        switch self {
        case .commit(let commit):
            body.put(UInt8(1))
            body.put(slot: commit.slot)
            for number in [commit.offset, commit.length, commit.rows, commit.firstRow] { body.put(number) }
            body.put(commit.checksum)
            body.put(pair: commit.first)
            body.put(pair: commit.last)
            body.put(UInt8(commit.inline == nil ? 0 : 1))
            if let inline = commit.inline { body.putCounted(inline) }
        case .seal(let seal):
            body.put(UInt8(2))
            body.put(seal.id.digest.bytes)
            switch seal.source {
            case .open(let slot):
                body.put(UInt8(0))
                body.put(slot: slot)
            case .incoming: body.put(UInt8(1))
            }
            body.putCounted(seal.fact)
        case .checkpoint(let checkpoint):
            body.put(UInt8(3))
            body.put(slot: checkpoint.slot)
            for number in [checkpoint.length, checkpoint.rows, checkpoint.firstRow] { body.put(number) }
            body.put(checkpoint.checksum)
            body.put(pair: checkpoint.first)
            body.put(pair: checkpoint.last)
        case .fact(let fact):
            body.put(UInt8(4))
            body.putCounted(fact)
        }
        var record = ByteWriter()
        record.put(Self.magic)
        record.put(UInt32(body.bytes.count))
        record.put(Checksum(body.bytes).value)
        record.put(body.bytes)
        return record.bytes
    }

    /// The record at the start of `bytes` and its length, or nil where there is no whole, sound one.
    static func decode(_ bytes: ArraySlice<UInt8>) -> (record: WALRecord, length: Int)? {
        var header = ByteReader(bytes)
        guard let found = header.take(4), found.elementsEqual(magic), let length = header.take(UInt32.self),
            let checksum = header.take(UInt32.self), length <= bodyLimit, let body = header.take(Int(length)),
            Checksum(body).value == checksum, let record = WALRecord(body: body)
        else { return nil }
        return (record, headerBytes + Int(length))
    }

    /// A record begins here and the bytes end before it does.
    static func isCutOff(_ bytes: ArraySlice<UInt8>) -> Bool {
        var header = ByteReader(bytes)
        guard let found = header.take(magic.count) else { return magic.starts(with: bytes) }
        guard found.elementsEqual(magic) else { return false }
        guard let length = header.take(UInt32.self) else { return true }
        return Int64(length) > Int64(bytes.count - headerBytes)
    }

    /// What a damaged record at the start of `bytes` may have said of a chunk's bytes: worth no more than the checksum
    /// in it, which has to be found true of them.
    static func hint(_ bytes: ArraySlice<UInt8>) -> WALRecord? {
        var reader = ByteReader(bytes.prefix(headerBytes + bodyLimit).dropFirst(headerBytes))
        switch reader.take(UInt8.self) {
        case 1: return Commit(&reader, isDamaged: true).map(WALRecord.commit)
        case 3: return Checkpoint(&reader).map(WALRecord.checkpoint)
        default: return nil
        }
    }

    private init?(body: ArraySlice<UInt8>) {
        var reader = ByteReader(body)
        let record: WALRecord?
        switch reader.take(UInt8.self) {
        case 1: record = Commit(&reader).map(WALRecord.commit)
        case 2: record = Seal(&reader).map(WALRecord.seal)
        case 3: record = Checkpoint(&reader).map(WALRecord.checkpoint)
        case 4: record = reader.takeCounted().map { .fact(Array($0)) }
        default: record = nil
        }
        guard let record, reader.isAtEnd else { return nil }
        self = record
    }

    /// Numbers that sums can be made of.
    fileprivate static func isPlausible(_ numbers: Int64...) -> Bool {
        numbers.allSatisfy(Self.numbers.contains)
    }
}

extension WALRecord.Commit {
    fileprivate init?(_ reader: inout ByteReader, isDamaged: Bool = false) {
        guard let slot = reader.takeSlot(), let offset = reader.take(Int64.self), let length = reader.take(Int64.self),
            let rows = reader.take(Int64.self), let firstRow = reader.take(Int64.self),
            let checksum = reader.take(UInt32.self), let first = reader.takePair(), let last = reader.takePair(),
            let isInline = reader.take(UInt8.self), isInline <= 1,
            WALRecord.isPlausible(offset, length, rows, firstRow)
        else { return nil }
        var inline: [UInt8]?
        if isInline != 0 {
            let bytes = reader.takeCounted().flatMap { Int64($0.count) == length ? Array($0) : nil }
            guard isDamaged || bytes != nil else { return nil }
            inline = bytes
        }
        self.init(
            slot: slot, offset: offset, length: length, rows: rows, firstRow: firstRow, checksum: checksum,
            first: first,
            last: last, inline: inline)
    }
}

extension WALRecord.Seal {
    fileprivate init?(_ reader: inout ByteReader) {
        guard let digest = reader.take(Digest256.byteCount).flatMap({ Digest256(bytes: $0) }),
            let kind = reader.take(UInt8.self)
        else { return nil }
        let source: Source
        switch kind {
        case 0:
            guard let slot = reader.takeSlot() else { return nil }
            source = .open(slot)
        case 1: source = .incoming
        default: return nil
        }
        guard let fact = reader.takeCounted() else { return nil }
        self.init(source: source, id: ChunkID(digest: digest), fact: Array(fact))
    }
}

extension WALRecord.Checkpoint {
    fileprivate init?(_ reader: inout ByteReader) {
        guard let slot = reader.takeSlot(), let length = reader.take(Int64.self), let rows = reader.take(Int64.self),
            let firstRow = reader.take(Int64.self), let checksum = reader.take(UInt32.self),
            let first = reader.takePair(), let last = reader.takePair(), WALRecord.isPlausible(length, rows, firstRow)
        else { return nil }
        self.init(
            slot: slot, length: length, rows: rows, firstRow: firstRow, checksum: checksum, first: first, last: last)
    }
}

extension ByteWriter {
    fileprivate mutating func put(slot: ChunkSlot) {
        put(slot.author.digest.bytes)
        put(slot.session.bytes)
        let name = Array(slot.stream.description.utf8)
        put(UInt8(name.count))
        put(name)
        put(slot.index)
    }

    fileprivate mutating func put(pair: ClockPair) {
        put(pair.realtime)
        put(pair.boottime)
    }
}

extension ByteReader {
    fileprivate mutating func takeSlot() -> ChunkSlot? {
        guard let author = take(Digest256.byteCount).flatMap({ Digest256(bytes: $0) }),
            let session = take(16).flatMap({ SessionID(bytes: $0) }), let count = take(UInt8.self),
            let name = take(Int(count)), let stream = StreamName(String(decoding: name, as: UTF8.self)),
            let index = take(Int64.self), WALRecord.isPlausible(index)
        else { return nil }
        return ChunkSlot(author: NodeID(digest: author), session: session, stream: stream, index: index)
    }

    fileprivate mutating func takePair() -> ClockPair? {
        guard let realtime = take(Int64.self), let boottime = take(Int64.self) else { return nil }
        return ClockPair(realtime: realtime, boottime: boottime)
    }
}
