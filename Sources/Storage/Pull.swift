internal import Model
internal import Reactor

/// A chunk that arrives in pieces: its file in `incoming/`, and its digest and the last piece's checksum so far.
final class Pull {
    let file: SharedFile
    let digester = ChunkDigester()
    private(set) var length: Int64 = 0
    /// Of the piece that is not whole yet.
    private var checksum = Checksum()
    /// How much of that piece the ledger knows.
    private var noted = 0
    /// Bytes since the last sync.
    private var isDirty = false
    /// Nobody adds to it now.
    var isSuspended = false
    /// When it was suspended, in numbers of such events.
    var rest = 0

    private static var pieceBytes: Int { PieceLedger.pieceBytes }
    private var pieceLength: Int { Int(length % Int64(Self.pieceBytes)) }
    private var pieceNumber: UInt32 { UInt32(length / Int64(Self.pieceBytes)) }

    init(file: SharedFile) { self.file = file }

    /// Takes what an earlier process left as far as `known` confirms it, and cuts off the rest. Answers what was
    /// confirmed.
    func resume(_ known: [PieceLedger.Piece]) throws(SyscallError) -> [PieceLedger.Piece] {
        let byNumber = Dictionary(grouping: known, by: \.number)
        var confirmed: [PieceLedger.Piece] = []
        while let candidates = byNumber[pieceNumber] {
            let bytes = try file.descriptor.read(count: Self.pieceBytes, at: length)
            guard let best = Self.longest(of: candidates, in: bytes) else { break }
            confirmed.append(best)
            digester.update(bytes.prefix(Int(best.length)))
            length += Int64(best.length)
            guard best.length == UInt32(Self.pieceBytes) else {
                checksum = Checksum(continuing: best.checksum)
                noted = Int(best.length)
                break
            }
        }
        if try file.descriptor.length() > length { try file.descriptor.truncate(to: length) }
        return confirmed
    }

    private static func longest(of candidates: [PieceLedger.Piece], in bytes: [UInt8]) -> PieceLedger.Piece? {
        var checksum = Checksum()
        var done = 0
        var best: PieceLedger.Piece?
        for candidate in candidates.sorted(by: { $0.length < $1.length }) {
            guard candidate.length <= bytes.count else { break }
            checksum.update(bytes[done..<Int(candidate.length)])
            done = Int(candidate.length)
            if checksum.value == candidate.checksum { best = candidate }
        }
        return best
    }

    /// Writes behind what is there; answers what the ledger is to know of it.
    func append(_ bytes: [UInt8]) throws(SyscallError) -> [PieceLedger.Piece] {
        try file.descriptor.write(bytes, at: length)
        isDirty = true
        digester.update(bytes[...])
        var pieces: [PieceLedger.Piece] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.pieceBytes - pieceLength)
            checksum.update(part)
            let number = pieceNumber
            length += Int64(part.count)
            rest = rest.dropFirst(part.count)
            if pieceLength == 0 {
                pieces.append(
                    PieceLedger.Piece(
                        number: number, length: UInt32(Self.pieceBytes), checksum: checksum.value))
                checksum = Checksum()
                noted = 0
            }
        }
        if pieceLength - noted >= Limits.notedPieceBytes { pieces += lastPiece() }
        return pieces
    }

    /// What the ledger does not know yet of the piece that is not whole.
    func lastPiece() -> [PieceLedger.Piece] {
        guard pieceLength > noted else { return [] }
        noted = pieceLength
        return [PieceLedger.Piece(number: pieceNumber, length: UInt32(noted), checksum: checksum.value)]
    }

    /// Whoever asks syncs the file.
    func takeDirt() -> Bool {
        defer { isDirty = false }
        return isDirty
    }
}
