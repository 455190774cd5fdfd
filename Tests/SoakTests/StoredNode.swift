import Foundation
import Model
import Storage

/// What stands in a data directory, read as files and as lines of the log, by `Docs/Storage.md`.
struct StoredNode {
    struct StoredFact {
        let fact: Fact
        let bytes: [UInt8]
    }

    let path: String
    /// Chunk files by name.
    private(set) var chunks: [String: [UInt8]] = [:]
    private(set) var facts: [FactName: StoredFact] = [:]
    /// Facts in the order of the log.
    private(set) var order: [FactName] = []
    /// Lines whose checksum or form does not hold.
    private(set) var damagedLines = 0
    /// A name that was logged twice.
    private(set) var repeatedNames = 0

    init(_ path: String) throws {
        self.path = path
        for prefix in Self.names("\(path)/chunks") {
            for name in Self.names("\(path)/chunks/\(prefix)") {
                chunks[name] = Array(try Data(contentsOf: URL(filePath: "\(path)/chunks/\(prefix)/\(name)")))
            }
        }
        for segment in Self.names("\(path)/log") where segment.hasSuffix(".jsonl") {
            let bytes = try Data(contentsOf: URL(filePath: "\(path)/log/\(segment)"))
            for line in bytes.split(separator: UInt8(ascii: "\n")) { take(Array(line)) }
        }
    }

    static func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    private mutating func take(_ line: [UInt8]) {
        let body = Array(line.dropFirst(9))
        guard line.count > 9, line[8] == UInt8(ascii: " "),
            let checksum = UInt32(String(decoding: line[..<8], as: UTF8.self), radix: 16),
            checksum == CastagnoliReference.checksum(body), let recorded = RecordedFact(parsing: body)
        else {
            damagedLines += 1
            return
        }
        guard facts[recorded.fact.name] == nil else {
            repeatedNames += 1
            return
        }
        facts[recorded.fact.name] = StoredFact(fact: recorded.fact, bytes: body)
        order.append(recorded.fact.name)
    }

    var sessions: [SessionID] {
        order.compactMap { name in
            guard let fact = facts[name]?.fact, case .session = fact.body else { return nil }
            return fact.session
        }
    }

    /// Sessions that recorded this sensor.
    func sessions(ofSensor sensorID: String) -> [SessionID] {
        sessions.filter { session in
            facts(of: session).contains { fact in
                guard case .session(let opening) = fact.body else { return false }
                return opening.instrument["sensor_id"] == .string(sensorID)
            }
        }
    }

    func facts(of session: SessionID) -> [Fact] {
        order.compactMap { facts[$0]?.fact }.filter { $0.session == session }
    }

    func gaps(of session: SessionID) -> [Gap] {
        facts(of: session).compactMap { if case .gap(let gap) = $0.body { gap } else { nil } }
    }

    /// The chunk facts of one stream, by index.
    func chunkFacts(of session: SessionID, _ stream: StreamName) -> [ChunkFact] {
        facts(of: session).compactMap { if case .chunk(let chunk) = $0.body { chunk } else { nil } }
            .filter { $0.stream == stream }.sorted { $0.index < $1.index }
    }

    /// The rows of a stream in order, each chunk's header line left out.
    func rows(of session: SessionID, _ stream: StreamName) -> [String] {
        chunkFacts(of: session, stream).flatMap { chunk in
            let text = String(decoding: chunks[chunk.sha256.description] ?? [], as: UTF8.self)
            return text.split(separator: "\n").dropFirst(stream == .data ? 1 : 0).map(String.init)
        }
    }
}

/// CRC-32C bit by bit, from its definition: nothing of the node's own, which is what it checks.
private enum CastagnoliReference {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
    }

    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { value, byte in value >> 8 ^ table[Int((value ^ UInt32(byte)) & 0xff)] }
    }
}
