internal import Model
internal import Reactor

/// Where a fact's line begins in the log, and how long the fact's bytes are.
struct LogPosition: Hashable {
    let segment: Int64
    let offset: Int64
    let length: Int64

    /// 8 hex digits and a space stand before the bytes.
    static let prefixBytes: Int64 = 9
    /// Where the next line begins.
    var end: Int64 { offset + Self.prefixBytes + length + 1 }
}

/// The facts on disk, append-only: the truth of the catalogue. A line is 8 hex digits of CRC-32C, a space, the fact's
/// bytes, a newline.
struct FactLog: ~Copyable {
    private let directory: DataDirectory
    private var segment: Int64
    private var file: Descriptor
    private var length: Int64
    /// A write or sync of this segment failed: nothing more is written to it.
    private var isSuspect = false

    static func name(_ segment: Int64) -> String { WriteAheadLog.name(segment) + ".jsonl" }

    private init(directory: DataDirectory, segment: Int64, file: consuming Descriptor, length: Int64) {
        self.directory = directory
        self.segment = segment
        self.file = file
        self.length = length
    }

    /// Opens the newest segment behind its last whole line; a torn end is kept in quarantine and cut.
    static func open(_ directory: DataDirectory, reports: inout [String]) throws(SyscallError) -> FactLog {
        let segment = try segments(directory.log).last ?? 1
        let file = try directory.log.openFile(name(segment), .append)
        try directory.log.synchronize()
        var length = try file.length()
        let tail = try file.read(count: Limits.factBytes * 2, at: max(0, length - Int64(Limits.factBytes * 2)))
        if let last = tail.last, last != UInt8(ascii: "\n") {
            let torn = Array(tail.reversed().prefix { $0 != UInt8(ascii: "\n") }.reversed())
            try DataDirectory.replace("log-\(segment)-\(length)-torn", in: directory.quarantine, with: torn)
            length -= Int64(torn.count)
            try file.truncate(to: length)
            try file.synchronize()
            reports.append("the log ended in a torn line of \(torn.count) bytes; it is kept in quarantine")
        }
        return FactLog(directory: directory, segment: segment, file: file, length: length)
    }

    static func segments(_ folder: borrowing Directory) throws(SyscallError) -> [Int64] {
        try folder.names().compactMap { $0.hasSuffix(".jsonl") ? Int64($0.dropLast(6)) : nil }.sorted()
    }

    /// Appends the facts and makes them durable with one sync. After a failure the log goes on in a new segment with
    /// the same facts: what the old one holds of them is read first and counts, the repetition is ignored. Where there
    /// is no room for them, the log is as before. `renewed` is told why there had to be a new segment.
    mutating func append(
        _ facts: [[UInt8]], renewed: (SyscallError) -> Void = { _ in }
    ) throws(SyscallError) -> [LogPosition] {
        guard !facts.isEmpty else { return [] }
        if isSuspect || length >= Limits.logSegmentBytes { try beginSegment() }
        do {
            return try write(facts)
        } catch {
            guard isSuspect else { throw error }
            try beginSegment()
            renewed(error)
        }
        return try write(facts)
    }

    private mutating func write(_ facts: [[UInt8]]) throws(SyscallError) -> [LogPosition] {
        var bytes: [UInt8] = []
        var positions: [LogPosition] = []
        for fact in facts {
            positions.append(
                LogPosition(segment: segment, offset: length + Int64(bytes.count), length: Int64(fact.count)))
            bytes += Self.line(fact)
        }
        do {
            try file.write(bytes)
        } catch {
            // No line is left torn, where that can be helped: what fitted goes again.
            do { try file.truncate(to: length) } catch { isSuspect = true }
            if !error.isNoSpace { isSuspect = true }
            throw error
        }
        do {
            try file.synchronizeData()
        } catch {
            isSuspect = true
            throw error
        }
        length += Int64(bytes.count)
        return positions
    }

    private mutating func beginSegment() throws(SyscallError) {
        let newest = try Self.segments(directory.log).last ?? segment
        // One that an earlier attempt made and never wrote to serves as well.
        let isUnused = newest > segment ? try directory.log.length(of: Self.name(newest)) == 0 : false
        let next = isUnused ? newest : newest + 1
        file = try directory.log.openFile(Self.name(next), .append)
        try directory.log.synchronize()
        segment = next
        length = 0
        isSuspect = false
    }

    static func line(_ fact: [UInt8]) -> [UInt8] {
        Array(Hex.string(UInt64(Checksum(fact).value), count: 8).utf8) + [UInt8(ascii: " ")] + fact + [
            UInt8(ascii: "\n")
        ]
    }

    /// The fact's bytes of one line (without its newline), or nil where its checksum is not theirs.
    static func fact(ofLine line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let prefix = Int(LogPosition.prefixBytes)
        guard line.count > prefix, line[line.startIndex + 8] == UInt8(ascii: " "),
            let checksum = Hex.word(line.prefix(8)), Checksum(line.dropFirst(prefix)).value == checksum
        else { return nil }
        return line.dropFirst(prefix)
    }
}

/// Reads single facts of the log by position, and knows its segments. Used by one thread.
final class FactLogReader {
    private let folder: Directory
    /// Segments that were read from; a store has a handful.
    private var files: [Int64: SharedFile] = [:]

    /// `root` is the data directory.
    init(_ root: borrowing Directory) throws(SyscallError) { folder = try root.openDirectory("log") }

    func segments() throws(SyscallError) -> [Int64] { try FactLog.segments(folder) }

    func length(of segment: Int64) throws(SyscallError) -> Int64 { try folder.length(of: FactLog.name(segment)) ?? 0 }

    /// One fact's bytes; nil where the line is damaged.
    func read(_ position: LogPosition) throws(SyscallError) -> [UInt8]? {
        guard position.offset >= 0, (0...Int64(Limits.factBytes)).contains(position.length),
            let file = try file(of: position.segment)
        else { return nil }
        let line = try file.descriptor.read(
            count: Int(LogPosition.prefixBytes + position.length), at: position.offset)
        return FactLog.fact(ofLine: line[...]).map(Array.init)
    }

    /// nil where there is no such segment.
    func file(of segment: Int64) throws(SyscallError) -> SharedFile? {
        if let file = files[segment] { return file }
        do {
            let file = SharedFile(try folder.openFile(FactLog.name(segment), .read))
            files[segment] = file
            return file
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }
}
