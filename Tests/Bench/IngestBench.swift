import Model
import Reactor
import Storage

/// How fast rows become durable, and how much later than the disk alone would make them.
struct IngestBench {
    let place: Place

    func run() async throws {
        try await throughput(rowBytes: 100, rowsPerCommit: 40_000, commits: 150)
        try await throughput(rowBytes: 1000, rowsPerCommit: 4000, commits: 150)
        try await throughput(rowBytes: 1_000_000, rowsPerCommit: 4, commits: 150)
        try await latency("one stream, one row of 100 B", streams: 1, rows: 1, commits: 1000)
        try await latency("20 streams × 100 rows/s, 200 ms of them", streams: 20, rows: 20, commits: 500)
    }

    private func open(_ name: String, streams: Int) async throws -> (Store, Store.Lanes, SessionID, [StreamName]) {
        let lanes = Store.Lanes()
        let node = NodeID(digest: Digest256(bytes: [UInt8](repeating: 1, count: 32))!)
        let store = try await Store.open(
            "\(place.path)/\(name)", node: node, incarnation: .random(), lanes: lanes, log: .silent)
        let names = (0..<streams).map { StreamName("s\($0)") ?? .data }
        let session = try await store.startSession(
            SessionOpening(
                mission: "bench", streams: names.map { StreamDescription(name: $0, format: .jsonl, columns: []) }))
        return (store, lanes, session, names)
    }

    /// One stream as fast as it goes, sealed at the default size as a recorder does.
    private func throughput(rowBytes: Int, rowsPerCommit: Int, commits: Int) async throws {
        let (store, lanes, session, names) = try await open("ingest-\(rowBytes)", streams: 1)
        let bare = try BareAppend("\(place.path)/ingest-\(rowBytes)-bare")
        var random = SystemRandomNumberGenerator()
        let batch = RowBatch.random(
            session, names[0], bytes: rowBytes * rowsPerCommit, rows: Int64(rowsPerCommit), &random)
        place.settle()
        let watch = Stopwatch()
        for _ in 0..<commits {
            let states = try await store.commit([batch])
            if states.contains(where: { $0.bytes >= 5_000_000 }) { _ = try await store.seal(session) }
        }
        let seconds = watch.seconds
        try await store.close()
        lanes.stop()
        place.settle()
        var bareSeconds = 0.0
        for _ in 0..<commits { bareSeconds += try bare.append(batch.bytes) }
        let bytes = Double(batch.bytes.count * commits)
        Report.line(
            "rows of \(rowBytes) B, chunks of 5 MB",
            "\(Report.rate(bytes / seconds)), \(Report.fixed(Double(rowsPerCommit * commits) / seconds, 0)) rows/s",
            beside:
                "append + fdatasync \(Report.rate(bytes / bareSeconds)), ratio \(Report.ratio(bareSeconds / seconds))",
            budget: "100 MB/s, 200,000 rows/s")
    }

    /// Commits and bare appends of the same bytes in turn.
    private func latency(_ what: String, streams: Int, rows: Int, commits: Int) async throws {
        let (store, lanes, session, names) = try await open("latency-\(streams)", streams: streams)
        let bare = try BareAppend("\(place.path)/latency-\(streams)-bare")
        var random = SystemRandomNumberGenerator()
        var commitTimes = Samples()
        var bareTimes = Samples()
        for number in 0..<commits + 10 {
            let batches = names.map {
                RowBatch.random(session, $0, bytes: rows * 100, rows: Int64(rows), &random)
            }
            let watch = Stopwatch()
            _ = try await store.commit(batches)
            let taken = watch.seconds
            let bareTaken = try bare.append(batches.flatMap(\.bytes))
            guard number >= 10 else { continue }
            commitTimes.add(taken)
            bareTimes.add(bareTaken)
        }
        try await store.close()
        lanes.stop()
        let beyond = commitTimes.median - bareTimes.median
        Report.line(
            what, commitTimes.quantiles, beside: "fdatasync \(bareTimes.quantiles), +\(Report.milliseconds(beyond))",
            budget: "+1 ms")
    }
}
