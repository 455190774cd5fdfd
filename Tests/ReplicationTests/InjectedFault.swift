import FoundationEssentials
import Model
import Reactor

/// SplitMix64: the same seed, the same faults.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// One thing that a disk does to one file of a data directory.
struct InjectedFault: CustomStringConvertible {
    enum Target: String, CaseIterable { case chunk, openChunk, journal, log, index, view }

    enum Damage {
        case flippedBit(offset: Int, bit: Int)
        case truncation(length: Int)
        case zeroedPage(offset: Int)
        /// The two files have changed places.
        case swapped(with: String)
    }

    let target: Target
    let file: String
    let damage: Damage

    /// `files` of a directory, by their path in it, with their lengths.
    init?(_ target: Target, among files: [String: Int], _ generator: inout SeededGenerator) {
        let candidates = files.filter { Self.target(of: $0.key) == target && $0.value > 0 }.keys.sorted()
        guard let file = candidates.randomElement(using: &generator), let length = files[file] else { return nil }
        self.target = target
        self.file = file
        let others = candidates.filter { $0 != file }
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            damage = .flippedBit(
                offset: .random(in: 0..<length, using: &generator), bit: .random(in: 0..<8, using: &generator))
        case 1: damage = .truncation(length: .random(in: 0..<length, using: &generator))
        case 2: damage = .zeroedPage(offset: Int.random(in: 0..<length, using: &generator) / 4096 * 4096)
        default:
            if let other = others.randomElement(using: &generator) {
                damage = .swapped(with: other)
            } else {
                damage = .flippedBit(offset: .random(in: 0..<length, using: &generator), bit: 0)
            }
        }
    }

    static func target(of path: String) -> Target? {
        let parts = path.split(separator: "/").map(String.init)
        switch parts.first {
        case "chunks" where parts.count == 3: return .chunk
        case "open" where parts.count == 4 && parts[3] != "session.json": return .openChunk
        case "wal" where parts.count == 2: return .journal
        case "log" where parts.count == 2: return .log
        // Shared memory is made anew by whoever opens an index that nobody has open.
        case "index.sqlite", "index.sqlite-wal": return .index
        case "sessions" where parts.count >= 4: return .view
        default: return nil
        }
    }

    var description: String {
        switch damage {
        case .flippedBit(let offset, let bit): "\(target): bit \(bit) of byte \(offset) of \(file) flipped"
        case .truncation(let length): "\(target): \(file) cut to \(length) bytes"
        case .zeroedPage(let offset): "\(target): page at \(offset) of \(file) zeroed"
        case .swapped(let other): "\(target): \(file) and \(other) exchanged"
        }
    }

    /// Does it, in place, as a disk would: what is linked elsewhere changes there too.
    func inject(into root: String) throws {
        var bytes = try Self.read("\(root)/\(file)")
        switch damage {
        case .flippedBit(let offset, let bit): bytes[offset] ^= 1 << UInt8(bit)
        case .truncation(let length): bytes = Array(bytes.prefix(length))
        case .zeroedPage(let offset):
            for position in offset..<min(bytes.count, offset + 4096) { bytes[position] = 0 }
        case .swapped(let other):
            let others = try Self.read("\(root)/\(other)")
            try Self.write(bytes, "\(root)/\(other)")
            bytes = others
        }
        try Self.write(bytes, "\(root)/\(file)")
    }

    private static func read(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path)))
    }

    private static func write(_ bytes: [UInt8], _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        let parts = path.split(separator: "/")
        let file = try Directory.open("/" + parts.dropLast().joined(separator: "/"))
            .openFile(String(parts[parts.count - 1]), .readWrite)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
    }
}

/// Copies of directories in which names of one file stay names of one file.
enum LinkedCopy {
    static func make(_ source: String, _ target: String) throws {
        let manager = FileManager.default
        try manager.createDirectory(atPath: target, withIntermediateDirectories: true)
        var copies: [UInt64: String] = [:]
        for path in try manager.subpathsOfDirectory(atPath: source).sorted() {
            let attributes = try manager.attributesOfItem(atPath: "\(source)/\(path)")
            if attributes[.type] as? FileAttributeType == .typeDirectory {
                try manager.createDirectory(atPath: "\(target)/\(path)", withIntermediateDirectories: true)
                continue
            }
            let inode = attributes[.systemFileNumber] as? UInt64 ?? 0
            if let copy = copies[inode] {
                try manager.linkItem(atPath: copy, toPath: "\(target)/\(path)")
            } else {
                try manager.copyItem(atPath: "\(source)/\(path)", toPath: "\(target)/\(path)")
                copies[inode] = "\(target)/\(path)"
            }
        }
    }

    /// Regular files with their lengths, by their path in the directory.
    static func files(_ root: String) throws -> [String: Int] {
        var files: [String: Int] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: root) {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(root)/\(path)")
            guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
            files[path] = Int(attributes[.size] as? UInt64 ?? 0)
        }
        return files
    }
}
