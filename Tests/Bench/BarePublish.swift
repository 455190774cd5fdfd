import Reactor

/// The least that makes a file durable under its name: write, fdatasync, rename, fsync of the directory. What a seal
/// stands beside.
struct BarePublish: ~Copyable {
    private let folder: Directory
    private var number = 0

    init(_ path: String) throws {
        try makeDirectories(path)
        folder = try Directory.open(path)
    }

    /// Seconds that it took.
    mutating func publish(_ bytes: [UInt8]) throws -> Double {
        number += 1
        let watch = Stopwatch()
        let file = try folder.openFile("new", .createNew)
        try file.write(bytes)
        try file.synchronizeData()
        try folder.rename("new", to: folder, as: "\(number)")
        try folder.synchronize()
        return watch.seconds
    }
}

/// The least that makes bytes durable: an append and its fdatasync. What a commit stands beside.
struct BareAppend: ~Copyable {
    private let file: Descriptor

    init(_ path: String) throws {
        try makeDirectories(path)
        file = try Directory.open(path).openFile("log", .append)
    }

    func append(_ bytes: [UInt8]) throws -> Double {
        let watch = Stopwatch()
        try file.write(bytes)
        try file.synchronizeData()
        return watch.seconds
    }
}
