/// Appends little-endian numbers and counted bytes: the form of write-ahead log records.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ piece: [UInt8]) { bytes.append(contentsOf: piece) }

    mutating func putCounted(_ piece: [UInt8]) {
        put(UInt32(piece.count))
        bytes.append(contentsOf: piece)
    }
}

/// Takes the same apart; nil where the bytes end early.
struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    var isAtEnd: Bool { position == bytes.endIndex }

    mutating func take<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number? {
        let width = Number.bitWidth / 8
        guard let piece = take(width) else { return nil }
        var number: Number = 0
        for byte in piece.reversed() { number = number << 8 | Number(truncatingIfNeeded: byte) }
        return number
    }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= bytes.endIndex - position else { return nil }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func takeCounted() -> ArraySlice<UInt8>? {
        guard let count = take(UInt32.self) else { return nil }
        return take(Int(exactly: count) ?? -1)
    }
}
