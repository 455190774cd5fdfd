import Model
import Reactor

/// Bytes that go to the disk for each byte recorded, at the vehicle and at the topside that mirrors it.
struct AmplificationBench {
    let place: Place
    private let interval = 0.2

    func run() async throws {
        try await measure("20 rows/s, chunks of 20 s", "slow", rowsPerSecond: 20, seconds: 60, chunk: "20s")
        try await measure("20,000 rows/s, chunks of 5 MB", "fast", rowsPerSecond: 20_000, seconds: 20, chunk: "20s")
    }

    private func measure(_ what: String, _ name: String, rowsPerSecond: Int, seconds: Int, chunk: String) async throws {
        let feed = try LineFeed()
        let port = try Place.freePort()
        let vehicle = try NodeProcess.node(
            place, "amplification-\(name)", role: "vehicle", port: port,
            ["--lines-from", "tcp://127.0.0.1:\(feed.port)", "--mdns", "off", "--chunk-interval", chunk])
        let topside = try NodeProcess.node(
            place, "amplification-\(name)-topside", role: "topside", port: 0,
            ["--mdns", "off", "--peer", "127.0.0.1:\(port)"])
        while try !topside.said("met a peer") { try await place.pause(.milliseconds(20)) }
        let before = (try vehicle.writtenBytes(), try topside.writtenBytes())
        let sent = try await send(feed, rowsPerSecond, seconds)
        let recorded = try await settled(vehicle, topside, rows: sent)
        let vehicleWrote = Double(try vehicle.writtenBytes() - before.0)
        let topsideWrote = Double(try topside.writtenBytes() - before.1)
        for process in [topside, vehicle] { process.stop() }
        let bare = try append(name, bytes: recorded, commits: Int(Double(seconds) / interval))
        Report.line(
            "\(what): vehicle", Report.ratio(vehicleWrote / Double(recorded)),
            beside: "append + fdatasync each 200 ms \(Report.ratio(bare))")
        Report.line(
            "\(what): topside", Report.ratio(topsideWrote / Double(recorded)),
            beside: "\(Report.fixed(Double(recorded) / 1e6, 2)) MB recorded, rows and raw lines")
    }

    /// Rows of 80 bytes, twenty times a second where there are so many.
    private func send(_ feed: LineFeed, _ rowsPerSecond: Int, _ seconds: Int) async throws -> Int {
        let beats = min(rowsPerSecond, 20)
        let watch = Stopwatch()
        for beat in 0..<beats * seconds {
            let row = "\(beat) " + String(repeating: "0123456789", count: 7) + "\r\n"
            let rows = Array(String(repeating: row, count: rowsPerSecond / beats).utf8)
            while try !feed.send(rows) { try await place.pause(.milliseconds(10)) }
            let due = Double(beat + 1) / Double(beats)
            if due > watch.seconds { try await place.pause(.nanoseconds(Int64((due - watch.seconds) * 1e9))) }
        }
        return beats * seconds * (rowsPerSecond / beats)
    }

    /// Bytes in chunks once all rows are sealed and mirrored.
    private func settled(_ vehicle: NodeProcess, _ topside: NodeProcess, rows: Int) async throws -> Int {
        let watch = Stopwatch()
        while true {
            let here = try vehicle.chunkBytes()
            if here > 0, try vehicle.openChunks() == 0, try topside.chunkBytes() == here { return here }
            guard watch.seconds < 60 else { throw BenchError("\(rows) rows were not mirrored within a minute") }
            try await place.pause(.milliseconds(100))
        }
    }

    /// What an appender that syncs as often makes of the same bytes.
    private func append(_ name: String, bytes: Int, commits: Int) throws -> Double {
        let bare = try BareAppend("\(place.path)/amplification-\(name)-bare")
        var random = SystemRandomNumberGenerator()
        let piece = randomBytes(max(1, bytes / commits), &random)
        let before = try NodeProcess.writtenBytes(of: "self")
        for _ in 0..<commits { _ = try bare.append(piece) }
        return Double(try NodeProcess.writtenBytes(of: "self") - before) / Double(piece.count * commits)
    }
}

extension NodeProcess {
    /// Bytes in files under `chunks/`.
    fileprivate func chunkBytes() throws -> Int {
        try Self.files(under: data + "/chunks").reduce(0) { $0 + $1.bytes }
    }

    /// Open chunks of its sessions.
    fileprivate func openChunks() throws -> Int {
        try Self.files(under: data + "/open").count { !$0.name.hasSuffix(".json") }
    }

    private static func files(under path: String) throws -> [(name: String, bytes: Int)] {
        let folder = try Directory.open(path)
        var found: [(name: String, bytes: Int)] = []
        for name in try folder.names() {
            switch try folder.kind(of: name) {
            case .directory: found += try files(under: "\(path)/\(name)")
            // A file may be renamed while this looks on.
            case .file: if let length = try folder.length(of: name) { found.append((name, Int(length))) }
            default: continue
            }
        }
        return found
    }
}
