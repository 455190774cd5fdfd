internal import Model
internal import Reactor

/// A live copy that takes no bytes: one that recovery found, or one that is being sealed, used or set aside.
struct CopyFile: Sendable {
    let slot: ChunkSlot
    let file: SharedFile
    let length: Int64
    let rows: Int64
    let firstRow: Int64
    let first: ClockPair
    let last: ClockPair
    let checksum: UInt32
    /// nil where it has to be made of the file.
    let id: ChunkID?

    var checkpoint: WALRecord.Checkpoint {
        WALRecord.Checkpoint(
            slot: slot, length: length, rows: rows, firstRow: firstRow, checksum: checksum, first: first, last: last)
    }

    /// What the write-ahead log says of a copy that is here no more.
    static func gone(_ slot: ChunkSlot) -> WALRecord {
        let never = ClockPair(realtime: 0, boottime: 0)
        return .checkpoint(
            WALRecord.Checkpoint(
                slot: slot, length: 0, rows: 0, firstRow: 0, checksum: 0, first: never, last: never))
    }

    func shortened(
        to length: Int64, rows: Int64, checksum: UInt32, id: ChunkID, file: SharedFile
    ) -> CopyFile {
        CopyFile(
            slot: slot, file: file, length: length, rows: rows, firstRow: firstRow, first: first, last: last,
            checksum: checksum, id: id)
    }

    func moved(to file: SharedFile) -> CopyFile {
        CopyFile(
            slot: slot, file: file, length: length, rows: rows, firstRow: firstRow, first: first, last: last,
            checksum: checksum, id: id)
    }

    /// In quarantine: what bytes it has stands in the name.
    func nameAside(_ reason: String) -> String { nameAside(reason, at: nil, length: length, checksum) }

    /// The same for the part of it that begins at `offset`.
    func nameAside(_ reason: String, at offset: Int64?, length: Int64, _ checksum: UInt32) -> String {
        let place = offset.map { "\($0)+" } ?? ""
        return "\(slot.session).\(OpenChunk.fileName(slot)).\(place)\(length)-\(Hex.string(UInt64(checksum), count: 8))"
            + ".\(reason)"
    }

    func closed(_ id: ChunkID) -> ClosedChunk {
        ClosedChunk(
            slot: slot, id: id, file: file, bytes: length, rows: rows, firstRow: firstRow, first: first, last: last,
            checksum: checksum)
    }
}

extension CopyFile {
    /// What recovery brought in order.
    init(_ closed: ClosedChunk) {
        self.init(
            slot: closed.slot, file: closed.file, length: closed.bytes, rows: closed.rows, firstRow: closed.firstRow,
            first: closed.first, last: closed.last, checksum: closed.checksum, id: closed.id)
    }
}
