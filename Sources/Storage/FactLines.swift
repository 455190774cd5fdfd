internal import Reactor

/// The lines of one segment of the log, one by one.
struct FactLines {
    struct Line {
        let offset: Int64
        /// nil where the checksum does not hold.
        let fact: [UInt8]?
        /// There is no newline behind it.
        let isUnfinished: Bool
    }

    private let file: SharedFile
    private var offset: Int64 = 0
    private var pending: [UInt8] = []
    private var start = 0

    init(file: SharedFile, from offset: Int64 = 0) {
        self.file = file
        self.offset = offset
    }

    /// Where the next line begins.
    var position: Int64 { offset + Int64(start) }

    mutating func next() throws(SyscallError) -> Line? {
        while true {
            if let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return Line(
                    offset: offset + Int64(start), fact: FactLog.fact(ofLine: pending[start..<end]).map(Array.init),
                    isUnfinished: false)
            }
            pending.removeFirst(start)
            offset += Int64(start)
            start = 0
            let piece = try file.descriptor.read(count: 1 << 20, at: offset + Int64(pending.count))
            if piece.isEmpty {
                guard !pending.isEmpty else { return nil }
                defer { pending = [] }
                offset += Int64(pending.count)
                return Line(offset: offset - Int64(pending.count), fact: nil, isUnfinished: true)
            }
            pending += piece
        }
    }
}
