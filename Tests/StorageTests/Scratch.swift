import FoundationEssentials
import Model
import Reactor

@testable import Storage

/// A temporary directory and the lanes to work in it; removed at the end.
final class Scratch: Sendable {
    let path: String
    let lanes = Store.Lanes()
    static let author = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xab, count: 32))!)

    init() throws {
        path = NSTemporaryPath.make("qnode-storage")
    }

    deinit {
        lanes.stop()
        try? FileManager.default.removeItem(atPath: path)
    }

    func open(
        _ name: String = "data", node: NodeID = author, view: ViewMode = .link,
        now: @escaping @Sendable () -> ClockReading = SystemClock.reading
    ) async throws -> Store {
        try await Store.open(
            "\(path)/\(name)", node: node, incarnation: .random(), lanes: lanes, view: view, log: .silent, now: now)
    }

    /// What a process that dies at this moment leaves behind.
    func crashed(_ name: String = "data", as copy: String) throws -> String {
        try FileManager.default.copyItem(atPath: "\(path)/\(name)", toPath: "\(path)/\(copy)")
        return copy
    }

    func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)")) ?? []).sorted()
    }

    func bytes(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: "\(path)/\(name)").map(Array.init)
    }
}

enum NSTemporaryPath {
    static func make(_ prefix: String) -> String {
        let path = "\(FileManager.default.temporaryDirectory.path)/\(prefix)-\(UniqueID.random())"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }
}

let opening = SessionOpening(
    mission: "Test dive",
    streams: [
        StreamDescription(name: .data, format: .csv, columns: ["timestamp", "value"]),
        StreamDescription(name: .raw, format: .jsonl, columns: ["line"]),
    ])

func batch(_ session: SessionID, _ stream: StreamName = .data, rows: [String], at nanoseconds: Int64 = 1) -> RowBatch {
    let pair = ClockPair(realtime: nanoseconds, boottime: nanoseconds)
    return RowBatch(
        session: session, stream: stream, bytes: Array(rows.map { $0 + "\n" }.joined().utf8), rows: Int64(rows.count),
        first: pair, last: pair)
}

extension Store {
    func contents(_ id: ChunkID) async throws -> [UInt8] {
        let file = try await openChunk(id)
        return try file.read(count: Int(file.length), at: 0)
    }

    /// All rows of a session's stream, from its chunks in order, without headers.
    func rows(_ session: SessionID, _ stream: StreamName = .data) async throws -> [String] {
        var rows: [String] = []
        var index: Int64 = 0
        for chunk in try await chunks(of: session) where chunk.fact.stream == stream && chunk.fact.index == index {
            index += 1
            let text = String(decoding: try await contents(chunk.fact.sha256), as: UTF8.self)
            let lines = text.split(separator: "\n").map(String.init)
            rows += stream == .data ? Array(lines.dropFirst()) : lines
        }
        return rows
    }
}
