import FoundationEssentials
import Model
import Reactor

/// The start of a node whose predecessor was killed: a log of a million chunks, and 64 MB that were being written.
struct RecoveryBench {
    let place: Place
    private let rounds = 3

    func run() async throws {
        let store = LargeStore(place: place, chunkFacts: 1_000_000, openBytes: 64_000_000)
        let left = try await store.make()
        Report.line("an empty index takes 1,000,000 chunks", "\(Report.fixed(left.indexed, 1)) s", budget: "60 s")
        var starts: [Start] = []
        for round in 0..<rounds { starts.append(try await start(store, left, "recovery-\(round)", withIndex: true)) }
        print(starts, "with the index, \(rounds) starts", recording: "0.5 s", serving: "1 s")
        let bare = try await start(store, left, "recovery-bare", withIndex: false)
        print([bare], "without it", recording: "0.5 s", serving: "60 s")
    }

    /// What one start took.
    private struct Start {
        var recording = 0.0
        var health = 0.0
        var node = 0.0
        var have = 0.0
        var peak: Int64 = 0
        var resident: Int64 = 0
        var anonymous: Int64 = 0
        var processor = 0.0
    }

    private func print(_ starts: [Start], _ how: String, recording: String, serving: String) {
        func line(_ what: String, _ value: (Start) -> Double, budget: String) {
            var samples = Samples()
            for start in starts { samples.add(value(start)) }
            Report.line(
                "\(how): start → \(what)", Report.milliseconds(samples.median),
                beside: "largest \(Report.milliseconds(samples.largest))", budget: budget)
        }
        line("first row committed", { $0.recording }, budget: recording)
        line("/health answers", { $0.health }, budget: serving)
        line("/v1/node answers", { $0.node }, budget: serving)
        line("/v1/have answers", { $0.have }, budget: serving)
        func megabytes(_ value: (Start) -> Int64) -> String {
            Report.fixed(Double(starts.map(value).max() ?? 0) / 1e6, 1)
        }
        Report.line(
            "\(how): resident", "\(megabytes { $0.resident }) MB, peak \(megabytes { $0.peak }) MB",
            beside: "anonymous \(megabytes { $0.anonymous }) MB, processor "
                + "\(Report.fixed(starts.map(\.processor).max() ?? 0, 2)) s", budget: "100 MB")
    }

    /// The instrument prints before the node runs and all the time after.
    private func start(
        _ store: LargeStore, _ left: LargeStore.Left, _ name: String, withIndex: Bool
    ) async throws -> Start {
        try store.prepare(name, withIndex: withIndex)
        place.settle()
        let feed = try LineFeed()
        let port = try Place.freePort()
        let watch = Stopwatch()
        let node = try NodeProcess.node(
            place, name, role: "vehicle", port: port,
            ["--lines-from", "tcp://127.0.0.1:\(feed.port)", "--mdns", "off"])
        var (recording, health, answer, have): (Double?, Double?, Double?, Double?)
        while recording == nil || health == nil || answer == nil || have == nil {
            guard watch.seconds < 300 else { throw BenchError("the node is not there after 300 s") }
            if let line = try node.line(with: " error ") { throw BenchError("the node said: \(line)") }
            _ = try feed.send(Array("$GPGLL,5057.970,N,00146.110,E,142451,A*27\r\n".utf8))
            if recording == nil, try hasRow(name, left) { recording = watch.seconds }
            if health == nil, PlainRequest.get("/health", port: port) != nil { health = watch.seconds }
            if health != nil, answer == nil, PlainRequest.get("/v1/node", port: port) != nil { answer = watch.seconds }
            if answer != nil, have == nil, PlainRequest.get("/v1/have", port: port) != nil { have = watch.seconds }
            try await place.pause(.milliseconds(1))
        }
        try await place.pause(.seconds(2))
        let memory = try node.memory()
        let result = Start(
            recording: recording ?? .nan, health: health ?? .nan, node: answer ?? .nan, have: have ?? .nan,
            peak: memory.peak, resident: memory.resident, anonymous: memory.anonymous,
            processor: try node.processorSeconds())
        node.stop()
        return result
    }

    /// A chunk's file gets bytes only after they are durable in the write-ahead log; the recovered one is not meant.
    private func hasRow(_ name: String, _ left: LargeStore.Left) throws -> Bool {
        let author = "\(place.path)/\(name)/open/\(left.node)"
        for session in try FileManager.default.contentsOfDirectory(atPath: author) {
            let folder = try Directory.open("\(author)/\(session)")
            for file in try folder.names() where file.hasPrefix("data.") {
                if session == "\(left.session)", file == "data.\(left.openIndex)" { continue }
                if try folder.length(of: file) ?? 0 > 0 { return true }
            }
        }
        return false
    }
}
