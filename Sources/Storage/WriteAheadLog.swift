internal import Model
internal import Reactor

/// The segment being appended to. One append, one sync; a segment whose append or sync failed is never touched again.
struct WriteAheadLog: ~Copyable {
    private let number: Int64
    private let file: Descriptor
    private(set) var length: Int64

    static let fileMagic = Array("QNWAL001".utf8)

    static func name(_ number: Int64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    private init(number: Int64, file: consuming Descriptor, length: Int64) {
        self.number = number
        self.file = file
        self.length = length
    }

    /// Begins the segment after `last` with these records, durable with its name.
    static func begin(
        after last: Int64, in folder: borrowing Directory, records: [WALRecord]
    ) throws(SyscallError) -> WriteAheadLog {
        let number = last + 1
        let file = try folder.openFile(name(number), .createNew)
        let bytes = fileMagic + records.flatMap(\.encoded)
        do {
            try file.write(bytes, at: 0)
            try file.synchronize()
            try folder.synchronize()
        } catch {
            // Nobody relies on it, and a full disk would get another with each attempt. One that cannot be removed
            // does no harm either: the next begins behind it.
            _ = try? folder.remove(name(number))
            throw error
        }
        return WriteAheadLog(number: number, file: file, length: Int64(bytes.count))
    }

    /// Appends all the records and makes them durable with one fdatasync. Where the disk has no room for them, the
    /// segment is as before.
    mutating func append(_ records: [WALRecord]) throws(AppendError) {
        let bytes = records.count == 1 ? records[0].encoded : records.flatMap(\.encoded)
        do {
            try file.write(bytes, at: length)
        } catch {
            guard error.isNoSpace else { throw .failed(error) }
            // What fitted goes again: half a record, or a whole one that nobody acknowledged.
            do { try file.truncate(to: length) } catch { throw .failed(error) }
            throw .noSpace(error)
        }
        do { try file.synchronizeData() } catch { throw .failed(error) }
        length += Int64(bytes.count)
    }

    /// Why an append failed, and whether the segment can still be used.
    enum AppendError: Error {
        case noSpace(SyscallError)
        case failed(SyscallError)
    }

    var segmentNumber: Int64 { number }

    /// Numbers of the segments that are there, ascending.
    static func segments(in folder: borrowing Directory) throws(SyscallError) -> [Int64] {
        try folder.names().compactMap { name in name.utf8.allSatisfy { (48...57).contains($0) } ? Int64(name) : nil }
            .sorted()
    }

    /// What reading a segment found.
    struct Reading {
        var records: [WALRecord] = []
        /// Where sound records ended for good: a torn end is cut here.
        var soundLength: Int64 = 0
        /// Stretches that were no records, with good records behind them.
        var damaged: [Range<Int>] = []
        /// What damaged records may have said, and before which of the sound ones they stood.
        var doubtful: [(before: Int, record: WALRecord)] = []
        var bytes: [UInt8] = []
        /// The last stretch is no record, nor the beginning of one that was cut off: it may have been acknowledged.
        var hasDamagedEnd = false
    }

    static func read(_ number: Int64, in folder: borrowing Directory) throws(SyscallError) -> Reading {
        let file = try folder.openFile(name(number), .read)
        let bytes = try file.read(count: Int(clamping: try file.length()), at: 0)
        return scan(bytes)
    }

    static func scan(_ bytes: [UInt8]) -> Reading {
        var reading = Reading()
        reading.bytes = bytes
        var position = bytes.starts(with: fileMagic) ? fileMagic.count : 0
        var badSince: Int? = position == 0 && !bytes.isEmpty ? 0 : nil
        while position < bytes.count {
            if let (record, length) = WALRecord.decode(bytes[position...]) {
                if let start = badSince { reading.damaged.append(start..<position) }
                badSince = nil
                reading.records.append(record)
                position += length
                reading.soundLength = Int64(position)
            } else {
                if reading.doubtful.count < Limits.damagedRecords, let hint = WALRecord.hint(bytes[position...]) {
                    reading.doubtful.append((reading.records.count, hint))
                }
                badSince = badSince ?? position
                position = nextMagic(in: bytes, after: position) ?? bytes.count
            }
        }
        if reading.records.isEmpty, badSince == nil { reading.soundLength = Int64(bytes.count) }
        if let start = badSince { reading.hasDamagedEnd = !WALRecord.isCutOff(bytes[start...]) }
        return reading
    }

    private static func nextMagic(in bytes: [UInt8], after position: Int) -> Int? {
        var at = position + 1
        while at + WALRecord.magic.count <= bytes.count {
            if bytes[at] == WALRecord.magic[0], bytes[at..<at + WALRecord.magic.count].elementsEqual(WALRecord.magic) {
                return at
            }
            at += 1
        }
        return nil
    }
}
