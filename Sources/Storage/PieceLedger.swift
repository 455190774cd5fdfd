internal import Model
internal import Reactor

/// What is known of chunks that arrive: a CRC-32C of each piece of 64 KiB, the last one's as far as it came, appended
/// to `incoming/pieces`. What a power cut left of a chunk's file is believed as far as this confirms it. Used by one
/// lane.
final class PieceLedger {
    /// One line of it: of piece `number` of a chunk, `length` bytes are there and have this checksum.
    struct Piece: Hashable {
        let number: UInt32
        let length: UInt32
        let checksum: UInt32
    }

    static let fileName = "pieces"
    static let pieceBytes = 64 * 1024
    private static let recordBytes = Digest256.byteCount + 16
    private static let recordsPerRead = 16 * 1024
    private static let piecesPerChunk = UInt32(Limits.chunkBytes / Int64(pieceBytes)) + 1

    private let directory: DataDirectory
    private(set) var file: SharedFile
    private var length: Int64
    /// How long it may become before what is not needed any more is left out: where all of it is needed, twice that.
    private var mostLength = Limits.pieceLedgerBytes
    /// Of chunks that are not whole yet, in the order in which they were written.
    private var pieces: [ChunkID: [Piece]]

    /// Reads what an earlier process left, of chunks whose files are there.
    init(_ directory: DataDirectory) throws(SyscallError) {
        self.directory = directory
        file = SharedFile(try directory.incoming.openFile(Self.fileName, .createOrOpen))
        length = try file.descriptor.length()
        pieces = [:]
        let waiting = Set(try directory.incoming.names().compactMap { ChunkID($0) })
        guard length > 0 else { return }
        var offset: Int64 = 0
        while offset < length {
            let bytes = try file.descriptor.read(count: Self.recordBytes * Self.recordsPerRead, at: offset)
            guard !bytes.isEmpty else { break }
            for start in stride(from: 0, through: bytes.count - Self.recordBytes, by: Self.recordBytes) {
                // One that was torn says nothing; those behind it may be sound.
                guard let (id, piece) = Self.record(bytes[start..<start + Self.recordBytes]), waiting.contains(id)
                else { continue }
                pieces[id, default: []].append(piece)
            }
            offset += Int64(bytes.count)
        }
        try rewrite()
    }

    /// In the order in which they were written; of one piece there may be several.
    func pieces(of id: ChunkID) -> [Piece] { pieces[id] ?? [] }

    /// Appends to what is known of a chunk; not synced.
    func add(_ new: [Piece], to id: ChunkID) throws(SyscallError) {
        guard !new.isEmpty else { return }
        // One whose sync failed never says anything that lasts.
        if length >= mostLength || !file.isSound { try rewrite() }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(new.count * Self.recordBytes)
        for piece in new { bytes += Self.bytes(of: piece, id) }
        try file.descriptor.write(bytes, at: length)
        length += Int64(bytes.count)
        for piece in new {
            // A piece that grew needs its last length alone.
            if let last = pieces[id]?.last, last.number == piece.number, last.length <= piece.length {
                pieces[id]?.removeLast()
            }
            pieces[id, default: []].append(piece)
        }
    }

    /// What is known of it is exactly this.
    func replace(_ confirmed: [Piece], of id: ChunkID) { pieces[id] = confirmed.isEmpty ? nil : confirmed }

    /// It is whole, or begun anew.
    func forget(_ id: ChunkID) { pieces[id] = nil }

    /// Writes what is still needed alone. A crash meanwhile leaves the old file or the new one.
    private func rewrite() throws(SyscallError) {
        var bytes: [UInt8] = []
        for (id, known) in pieces { for piece in known { bytes += Self.bytes(of: piece, id) } }
        let temporary = ".\(Self.fileName).new"
        try directory.incoming.remove(temporary)
        let new = SharedFile(try directory.incoming.openFile(temporary, .createNew))
        try new.descriptor.write(bytes, at: 0)
        try new.synchronizeSoFar()
        try directory.incoming.rename(temporary, to: directory.incoming, as: Self.fileName)
        file = new
        length = Int64(bytes.count)
        mostLength = max(Limits.pieceLedgerBytes, 2 * length)
    }

    // MARK: A record

    private static func bytes(of piece: Piece, _ id: ChunkID) -> [UInt8] {
        var bytes = id.digest.bytes
        for word in [piece.number, piece.length, piece.checksum] { put(word, &bytes) }
        put(Checksum(bytes).value, &bytes)
        return bytes
    }

    private static func put(_ word: UInt32, _ bytes: inout [UInt8]) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }

    private static func word(_ bytes: ArraySlice<UInt8>, at offset: Int) -> UInt32 {
        bytes.dropFirst(offset).prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// nil where its checksum is not its own, or it says what cannot be.
    private static func record(_ bytes: ArraySlice<UInt8>) -> (ChunkID, Piece)? {
        let body = Digest256.byteCount + 12
        guard word(bytes, at: body) == Checksum(bytes.prefix(body)).value,
            let digest = Digest256(bytes: Array(bytes.prefix(Digest256.byteCount)))
        else { return nil }
        let piece = Piece(
            number: word(bytes, at: body - 12), length: word(bytes, at: body - 8), checksum: word(bytes, at: body - 4))
        guard piece.number < piecesPerChunk, (1...UInt32(pieceBytes)).contains(piece.length) else { return nil }
        return (ChunkID(digest: digest), piece)
    }
}
