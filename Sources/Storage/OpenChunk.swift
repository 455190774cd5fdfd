internal import Model
internal import Reactor

/// A chunk being written, or the live copy of one that another node writes. `length` is what is durable by the
/// write-ahead log; the file may lag behind it until it is flushed.
final class OpenChunk {
    let slot: ChunkSlot
    let firstRow: Int64
    private(set) var length: Int64 = 0
    private(set) var rows: Int64 = 0
    private(set) var first: ClockPair
    private(set) var last: ClockPair
    private(set) var checksum = Checksum()
    private(set) var file: SharedFile
    /// nil for copies, whose digest is made of the file when it is asked for: no lane that commits hashes for another.
    private let digester: ChunkDigester?
    /// Of a copy that recovery found, for as long as nothing was added.
    private var foundID: ChunkID?
    /// When bytes last came; of what recovery found, when that was.
    private(set) var at: ClockReading
    /// The file has bytes that were not synced.
    private var isDirty = false
    /// Committed bytes that the file has not taken yet: the disk refused them.
    private var unwritten: [(offset: Int64, bytes: [UInt8])] = []
    /// A write or a sync of the file failed for another reason than room: what it holds is not to be relied on until
    /// it was written anew elsewhere.
    private(set) var isSuspect = false

    init(
        slot: ChunkSlot, firstRow: Int64, first: ClockPair, file: SharedFile, at: ClockReading, digests: Bool = true
    ) {
        self.slot = slot
        self.firstRow = firstRow
        self.first = first
        last = first
        self.file = file
        self.at = at
        digester = digests ? ChunkDigester() : nil
    }

    /// Goes on with a copy that recovery found; its file is durable.
    init(_ found: CopyFile, at: ClockReading) {
        slot = found.slot
        firstRow = found.firstRow
        (first, last) = (found.first, found.last)
        (length, rows) = (found.length, found.rows)
        checksum = Checksum(continuing: found.checksum)
        file = found.file
        foundID = found.id
        self.at = at
        digester = nil
    }

    static func fileName(_ slot: ChunkSlot) -> String { "\(slot.stream).\(slot.index)" }
    var fileName: String { Self.fileName(slot) }

    var state: OpenChunkState {
        OpenChunkState(stream: slot.stream, index: slot.index, bytes: length, rows: rows, first: first)
    }

    /// What those who copy it are told of a commit.
    func growth(by bytes: [UInt8], first: ClockPair) -> TailBoard.Growth {
        TailBoard.Growth(
            slot: slot, firstRow: firstRow, file: file, length: length, rows: rows, lengthInFile: lengthInFile,
            first: first, last: last, checksum: checksum.value, bytes: bytes)
    }

    var checkpoint: WALRecord.Checkpoint {
        WALRecord.Checkpoint(
            slot: slot, length: length, rows: rows, firstRow: firstRow, checksum: checksum.value, first: first,
            last: last)
    }

    /// Takes bytes that are durable in the write-ahead log (`inFile` where the file has them already).
    func committed(
        _ bytes: [UInt8], rows: Int64, first: ClockPair, last: ClockPair, inFile: Bool, at: ClockReading
    ) {
        if length == 0 { self.first = first }
        if !inFile { unwritten.append((length, bytes)) }
        checksum.update(bytes[...])
        digester?.update(bytes[...])
        foundID = nil
        self.at = at
        length += Int64(bytes.count)
        self.rows += rows
        self.last = last
    }

    /// Bytes that only memory and the write-ahead log have.
    var unwrittenBytes: Int { unwritten.reduce(0) { $0 + $1.bytes.count } }
    /// How much of the committed bytes the file has.
    var lengthInFile: Int64 { unwritten.first?.offset ?? length }
    /// The committed bytes behind those.
    var tail: [UInt8] { unwritten.flatMap(\.bytes) }

    /// Writes what the file lacks; not synced.
    func flush() throws(SyscallError) {
        while let next = unwritten.first {
            isDirty = true
            do {
                try file.descriptor.write(next.bytes, at: next.offset)
            } catch {
                isSuspect = isSuspect || !error.isNoSpace
                throw error
            }
            unwritten.removeFirst()
        }
    }

    /// Writes bytes that are to be committed behind those that are.
    func append(_ bytes: [UInt8]) throws(SyscallError) {
        try flush()
        isDirty = true
        do {
            try file.descriptor.write(bytes, at: length)
        } catch {
            isSuspect = isSuspect || !error.isNoSpace
            throw error
        }
    }

    /// The disk begins to write what it lacks of the file.
    func startWriteback() { if isDirty { file.descriptor.startWriteback() } }

    /// Makes all committed bytes durable in the file itself.
    func synchronize() throws(SyscallError) {
        try flush()
        guard isDirty else { return }
        do {
            try file.descriptor.synchronizeData()
            isDirty = false
        } catch {
            isSuspect = true
            throw error
        }
    }

    /// Goes on in another file, which holds the committed bytes already.
    func move(to file: SharedFile) {
        self.file = file
        unwritten = []
        isSuspect = false
        isDirty = false
    }

    /// Bytes that a commit wrote before its record and that were never acknowledged are no part of the chunk.
    func cutSurplus() throws(SyscallError) {
        if try file.descriptor.length() > length { try file.descriptor.truncate(to: length) }
    }

    /// Ends the writing; what the file lacked was flushed before.
    func close() -> ClosedChunk {
        guard let digester else { preconditionFailure("this node's own chunks are digested as they come") }
        return ClosedChunk(
            slot: slot, id: digester.finish(), file: file, bytes: length, rows: rows, firstRow: firstRow, first: first,
            last: last, checksum: checksum.value)
    }

    /// The same for a copy, whose digest may have to be made of its file.
    func leave() -> CopyFile {
        CopyFile(
            slot: slot, file: file, length: length, rows: rows, firstRow: firstRow, first: first, last: last,
            checksum: checksum.value, id: foundID)
    }
}

/// A chunk that takes no more rows and waits for its seal.
struct ClosedChunk: Sendable {
    let slot: ChunkSlot
    let id: ChunkID
    let file: SharedFile
    let bytes: Int64
    let rows: Int64
    let firstRow: Int64
    let first: ClockPair
    let last: ClockPair
    let checksum: UInt32

    var checkpoint: WALRecord.Checkpoint {
        WALRecord.Checkpoint(
            slot: slot, length: bytes, rows: rows, firstRow: firstRow, checksum: checksum, first: first, last: last)
    }

    var body: Fact.Body {
        .chunk(
            ChunkFact(
                stream: slot.stream, index: slot.index, sha256: id, bytes: bytes, rows: rows, firstRow: firstRow,
                first: first, last: last))
    }
}
