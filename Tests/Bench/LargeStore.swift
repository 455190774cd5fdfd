import FoundationEssentials
import Glibc
import HTTP
import Model
import Reactor
import Storage

/// A vehicle's directory as a killed process leaves it after years: a log of many chunk facts, whose files need not be
/// there to open it, and a large chunk that was being written.
struct LargeStore {
    let place: Place
    let chunkFacts: Int
    let openBytes: Int
    private let sessionCount = 40
    private let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)

    private var path: String { "\(place.path)/recovery-made" }

    /// Where the killed process was writing.
    struct Left {
        let node: NodeID
        let session: SessionID
        let openIndex: Int64
        /// Seconds in which an empty index took the whole log.
        let indexed: Double
    }

    func make() async throws -> Left {
        try Store.prepare(path)
        let identity = try NodeIdentity.open(in: path + "/identity")
        try writeLog(author: identity.node, in: "recovery-made")
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let watch = Stopwatch()
        let store = try await Store.open(path, node: identity.node, incarnation: .random(), lanes: lanes, log: .silent)
        let indexed = watch.seconds
        try await store.setRecordingWish(RecordingWish(mission: "bench", explicit: true))
        let session = try await store.startSession(
            SessionOpening(
                mission: "bench",
                streams: [
                    StreamDescription(name: .data, format: .csv, columns: ["timestamp", "source_id", "line"]),
                    StreamDescription(name: .raw, format: .jsonl, columns: []),
                ]))
        var random = SystemRandomNumberGenerator()
        func commit(_ bytes: Int) async throws -> [OpenChunkState] {
            try await store.commit([RowBatch.random(session, .data, bytes: bytes, rows: 500, &random)])
        }
        _ = try await commit(1000)
        _ = try await store.seal(session)
        var state = try await commit(50_000)
        while state[0].bytes < Int64(openBytes) { state = try await commit(50_000) }
        // The files as they are now, which is what a kill leaves: the store below is dropped without a close.
        try copy(to: "recovery-killed")
        return Left(node: identity.node, session: session, openIndex: state[0].index, indexed: indexed)
    }

    /// A fresh copy for one start. Full segments of the log never change and are shared.
    func prepare(_ name: String, withIndex: Bool) throws {
        try copy(from: "recovery-killed", to: name)
        guard !withIndex else { return }
        let folder = try Directory.open("\(place.path)/\(name)")
        for suffix in ["", "-wal", "-shm"] { try folder.remove("index.sqlite" + suffix) }
    }

    private func copy(from source: String = "recovery-made", to name: String) throws {
        let (from, to) = ("\(place.path)/\(source)", "\(place.path)/\(name)")
        let files = FileManager.default
        try makeDirectories(to + "/log")
        for item in try files.contentsOfDirectory(atPath: from) where !["log", "lock", "node.sock"].contains(item) {
            try files.copyItem(atPath: "\(from)/\(item)", toPath: "\(to)/\(item)")
        }
        try files.copyItem(atPath: "\(from)/lock", toPath: "\(to)/lock")
        let segments = try files.contentsOfDirectory(atPath: from + "/log").sorted()
        for segment in segments.dropLast() {
            try files.linkItem(atPath: "\(from)/log/\(segment)", toPath: "\(to)/log/\(segment)")
        }
        if let last = segments.last {
            try files.copyItem(atPath: "\(from)/log/\(last)", toPath: "\(to)/log/\(last)")
        }
    }

    // MARK: The log

    /// Facts of this node and of one that it mirrored, a process and a session each, in lines as the store writes them.
    func writeLog(author: NodeID, in name: String) throws {
        try makeDirectories("\(place.path)/\(name)/log")
        let folder = try Directory.open("\(place.path)/\(name)/log")
        var lines: [UInt8] = []
        var segment = 1
        func flush() throws {
            let digits = String(segment)
            let name = String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".jsonl"
            try folder.openFile(name, .createNew).write(lines)
            segment += 1
            lines.removeAll(keepingCapacity: true)
        }
        var random = SystemRandomNumberGenerator()
        for number in 0..<sessionCount {
            let writer = number % 4 == 3 ? other : author
            for fact in facts(of: writer, number, &random) {
                lines += Self.line(RecordedFact(encoding: fact).bytes)
                if Int64(lines.count) >= Limits.logSegmentBytes { try flush() }
            }
        }
        try flush()
    }

    /// The same log in another directory, without so many of its chunk facts, evenly spread.
    func copyLog(from source: String, to name: String, without missing: Int) throws {
        let (from, to) = ("\(place.path)/\(source)/log", "\(place.path)/\(name)/log")
        try makeDirectories(to)
        let folder = try Directory.open(to)
        var (seen, left) = (0, missing)
        for segment in try FileManager.default.contentsOfDirectory(atPath: from).sorted() {
            guard let bytes = FileManager.default.contents(atPath: "\(from)/\(segment)") else { continue }
            var kept: [UInt8] = []
            kept.reserveCapacity(bytes.count)
            for line in Array(bytes).split(separator: UInt8(ascii: "\n")) {
                seen += 1
                // The first of a session is no chunk.
                if left > 0, seen % (chunkFacts / max(1, missing)) == 7_777 % (chunkFacts / max(1, missing)) {
                    left -= 1
                    continue
                }
                kept += line
                kept.append(UInt8(ascii: "\n"))
            }
            try folder.openFile(segment, .createNew).write(kept)
        }
    }

    private func facts(
        of author: NodeID, _ number: Int, _ random: inout SystemRandomNumberGenerator
    ) -> [Fact] {
        let (incarnation, session) = (Incarnation.random(), SessionID.random())
        let count = chunkFacts / sessionCount
        let start = SystemClock.reading()
        func pair(_ n: Int) -> ClockPair {
            ClockPair(realtime: start.realtime - 60_000_000_000 * Int64(count - n), boottime: Int64(n) * 60_000_000_000)
        }
        func fact(_ n: Int, _ body: Fact.Body) -> Fact {
            let at = ClockReading(realtime: start.realtime, boottime: pair(n).boottime, bootID: start.bootID)
            return Fact(
                name: FactName(author: author, incarnation: incarnation, n: Int64(n + 1)), session: session, at: at,
                body: body)
        }
        let streams: [StreamDescription] = [StreamName.data, .raw].map {
            StreamDescription(name: $0, format: .jsonl, columns: ["timestamp", "sensor_id", "mode", "value"])
        }
        var facts = [fact(0, .session(SessionOpening(mission: "dive \(number)", streams: streams)))]
        for n in 0..<count {
            let digest = Digest256(bytes: randomBytes(Digest256.byteCount, &random)) ?? author.digest
            facts.append(
                fact(
                    n + 1,
                    .chunk(
                        ChunkFact(
                            stream: streams[n % 2].name, index: Int64(n / 2), sha256: ChunkID(digest: digest),
                            bytes: 60_000, rows: 600, firstRow: Int64(n / 2) * 600, first: pair(n), last: pair(n + 1)))
                ))
        }
        let totals = SessionEnd.Totals(
            chunks: Int64(count / 2), rows: Int64(count / 2) * 600, bytes: Int64(count / 2) * 60_000)
        facts.append(
            fact(
                count + 1,
                .end(SessionEnd(reason: SessionEnd.Reason.stopped, streams: ["data": totals, "raw": totals]))))
        return facts
    }

    private static func line(_ fact: [UInt8]) -> [UInt8] {
        Array((Hex.string(UInt64(Checksum(fact).value), count: 8) + " ").utf8) + fact + [UInt8(ascii: "\n")]
    }
}
