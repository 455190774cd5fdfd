import COpenSSL
import Glibc
import Reactor

/// What the machine could do of a mirror's work at best, each part alone: bytes a second.
struct MachineLimits {
    let digest: Double
    let disk: Double
    let loopback: Double

    var text: String {
        "SHA-256 \(Report.rate(digest)), disk \(Report.rate(disk)), loopback \(Report.rate(loopback))"
    }

    /// For the prepared store's chunks. The disk syncs at most 2,000 of them: more would take minutes and tell no more.
    static func measure(_ place: Place, _ prepared: PreparedStore, _ round: Int) throws -> MachineLimits {
        var random = SystemRandomNumberGenerator()
        let chunk = randomBytes(prepared.chunkBytes, &random)
        let synced = min(prepared.chunkCount, 2000)
        return MachineLimits(
            digest: prepared.totalBytes / digestSeconds(chunk, prepared.chunkCount),
            disk: Double(prepared.chunkBytes * synced)
                / (try diskSeconds(place, "\(prepared.path)-limits-\(round)", chunk, synced)),
            loopback: prepared.totalBytes / (try loopbackSeconds(chunk, prepared.chunkCount)))
    }

    private static func digestSeconds(_ chunk: [UInt8], _ count: Int) -> Double {
        let watch = Stopwatch()
        var digest = [UInt8](repeating: 0, count: 32)
        for _ in 0..<count { EVP_Digest(chunk, chunk.count, &digest, nil, EVP_sha256(), nil) }
        return watch.seconds
    }

    /// Each file written and synced, the directory after every sixteen: a group's worth of renames.
    private static func diskSeconds(_ place: Place, _ path: String, _ chunk: [UInt8], _ count: Int) throws -> Double {
        try makeDirectories(path)
        let folder = try Directory.open(path)
        place.settle()
        let watch = Stopwatch()
        for number in 0..<count {
            let file = try folder.openFile("\(number)", .createNew)
            try file.write(chunk)
            try file.synchronize()
            if number % 16 == 15 { try folder.synchronize() }
        }
        try folder.synchronize()
        return watch.seconds
    }

    /// One connection, a writing and a reading end.
    private static func loopbackSeconds(_ chunk: [UInt8], _ count: Int) throws -> Double {
        let (left, right) = try LoopbackPair.open()
        let lane = DiskLane(name: "writer")
        defer { lane.stop() }
        let writer = LoopbackWriter(lane: lane, descriptor: left)
        let watch = Stopwatch()
        lane.write(writer, chunk, count)
        var rest = chunk.count * count
        var buffer = [UInt8](repeating: 0, count: 128 * 1024)
        while rest > 0 {
            let taken = recv(right, &buffer, buffer.count, 0)
            guard taken > 0 else { throw BenchError("the loopback connection broke") }
            rest -= taken
        }
        close(right)
        return watch.seconds
    }
}

/// Two ends of a TCP connection on 127.0.0.1.
private enum LoopbackPair {
    static func open() throws -> (Int32, Int32) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> Int32 in
                guard bind(listener, address, length) == 0, listen(listener, 1) == 0,
                    getsockname(listener, address, &length) == 0
                else { return -1 }
                return connect(client, address, length)
            }
        }
        let server = code == 0 ? accept(listener, nil, nil) : -1
        close(listener)
        guard server >= 0 else { throw BenchError("no loopback connection") }
        return (client, server)
    }
}

/// The writing end, on a thread of its own.
private actor LoopbackWriter {
    private let lane: DiskLane
    private let descriptor: Int32
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane, descriptor: Int32) {
        self.lane = lane
        self.descriptor = descriptor
    }

    func write(_ chunk: [UInt8], _ count: Int) {
        for _ in 0..<count {
            var done = 0
            while done < chunk.count {
                let sent = chunk.withUnsafeBytes { send(descriptor, $0.baseAddress! + done, chunk.count - done, 0) }
                guard sent > 0 else { return }
                done += sent
            }
        }
        close(descriptor)
    }
}

extension DiskLane {
    fileprivate func write(_ writer: LoopbackWriter, _ chunk: [UInt8], _ count: Int) {
        Task(executorPreference: self) { await writer.write(chunk, count) }
    }
}
