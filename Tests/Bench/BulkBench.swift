import FoundationEssentials
import Glibc
import Model
import Reactor

/// A whole store from a vehicle to an empty topside, by real processes, beside `rsync --fsync` and syncthing with the
/// same files, and what the machine could do at best.
struct BulkBench {
    let place: Place

    private struct Budgets {
        let limit: String
        let rsync: String
        let syncthing: String
    }

    func run() async throws {
        let large = PreparedStore(place: place, name: "bulk-large", chunkBytes: 1_000_000, chunkCount: 1000)
        try await measure(
            "1 GB of 1 MB chunks", large, rounds: 3, budgets: Budgets(limit: "0.8", rsync: "1.5", syncthing: "3"))
        let small = PreparedStore(place: place, name: "bulk-small", chunkBytes: 6000, chunkCount: smallChunks)
        try await measure(
            "\(smallChunks) chunks of 6 kB", small, rounds: 2,
            budgets: Budgets(limit: "", rsync: "1.5", syncthing: "3"))
    }

    /// 1 GB of them are 166,667, which take their time; `BENCH_SMALL_CHUNKS` says how many.
    private var smallChunks: Int {
        ProcessInfo.processInfo.environment["BENCH_SMALL_CHUNKS"].flatMap { Int($0) } ?? 20_000
    }

    /// The order turns each round: a disk that tires, or was spared, favours nobody.
    private func measure(_ what: String, _ prepared: PreparedStore, rounds: Int, budgets: Budgets) async throws {
        try await prepared.make()
        var (mirror, copy) = (Samples(), Samples())
        var (digest, disk, loopback) = (Samples(), Samples(), Samples())
        for round in 0..<rounds {
            func bound() throws {
                let limits = try MachineLimits.measure(place, prepared, round)
                digest.add(limits.digest)
                disk.add(limits.disk)
                loopback.add(limits.loopback)
                Report.line("\(what): the machine", limits.text)
            }
            if round.isMultiple(of: 2) { try bound() }
            let rival = try rsync(prepared, round)
            copy.add(prepared.totalBytes / rival.seconds)
            let run = try await pull(prepared, round)
            mirror.add(prepared.totalBytes / run.seconds)
            tell("\(what): round \(round + 1), rsync --fsync", prepared, rival)
            tell("\(what): round \(round + 1), qnode", prepared, run)
            if !round.isMultiple(of: 2) { try bound() }
        }
        let chunks = Report.fixed(mirror.median / Double(prepared.chunkBytes), 0)
        let slowest = min(digest.median, disk.median, loopback.median)
        Report.line(
            "\(what), median", "\(Report.rate(mirror.median)), \(chunks) chunks/s",
            beside: "rsync --fsync \(Report.rate(copy.median)), ratio \(Report.ratio(mirror.median / copy.median))",
            budget: budgets.rsync)
        Report.line(
            "\(what), by the slowest limit", Report.ratio(mirror.median / slowest),
            beside: "the slowest, median: \(Report.rate(slowest))", budget: budgets.limit)
        try await besideSyncthing(what, prepared, mirror.median, budgets.syncthing)
    }

    /// Once: it takes minutes.
    private func besideSyncthing(
        _ what: String, _ prepared: PreparedStore, _ mirror: Double, _ budget: String
    ) async throws {
        guard Syncthing.isHere else {
            Report.line("\(what), beside syncthing", "not measured: syncthing is not installed")
            return
        }
        // Linked, since it puts a mark of its own into a folder.
        let files = "\(prepared.path)-files"
        try NodeProcess(place, "\(prepared.name)-links", ["-al", "\(prepared.path)/chunks", files], program: "cp")
            .finish()
        let run = try await Syncthing(
            place: place, source: files, fileCount: prepared.chunkCount, name: "\(prepared.name)-syncthing"
        ).run()
        tell("\(what): syncthing", prepared, run)
        Report.line(
            "\(what), beside syncthing", Report.ratio(mirror / (prepared.totalBytes / run.seconds)),
            beside: "syncthing \(Report.rate(prepared.totalBytes / run.seconds))", budget: budget)
    }

    private func tell(_ what: String, _ prepared: PreparedStore, _ run: MirrorRun) {
        let perGigabyte = 1e9 / prepared.totalBytes
        var beside = "processor per GB: receiver \(Report.fixed(run.receiver * perGigabyte, 2)) s, "
        beside += "sender \(Report.fixed(run.sender * perGigabyte, 2)) s; "
        beside += "receiver's memory at most \(Report.fixed(Double(run.peakBytes) / 1e6, 0)) MB"
        Report.line(what, Report.rate(prepared.totalBytes / run.seconds), beside: beside)
    }

    /// From the topside's start to its last chunk.
    private func pull(_ prepared: PreparedStore, _ round: Int) async throws -> MirrorRun {
        let port = try Place.freePort()
        let vehicle = try NodeProcess.node(
            place, prepared.name, role: "vehicle", port: port, ["--serial", "off", "--mdns", "off"])
        while try !vehicle.said("the node runs") { try await place.pause(.milliseconds(10)) }
        place.settle()
        let served = try vehicle.processorSeconds()
        let watch = Stopwatch()
        let topside = try NodeProcess.node(
            place, "\(prepared.name)-topside-\(round)", role: "topside", port: 0,
            ["--mdns", "off", "--peer", "127.0.0.1:\(port)"])
        while try topside.chunkCount() < prepared.chunkCount {
            guard watch.seconds < 600 else { throw BenchError("not mirrored within 600 s") }
            try await place.pause(.milliseconds(5))
        }
        let result = MirrorRun(
            seconds: watch.seconds, receiver: try topside.processorSeconds(),
            sender: try vehicle.processorSeconds() - served, peakBytes: try topside.memory().peak)
        topside.stop()
        vehicle.stop()
        return result
    }

    /// Its processes are one another's: all the processor's time is told as the receiver's.
    private func rsync(_ prepared: PreparedStore, _ round: Int) throws -> MirrorRun {
        place.settle()
        let watch = Stopwatch()
        let usage = try NodeProcess(
            place, "\(prepared.name)-rsync",
            [
                "--recursive", "--whole-file", "--fsync", "\(prepared.path)/chunks/",
                "\(prepared.path)-rsync-\(round)/",
            ], program: "rsync"
        ).finish()
        return MirrorRun(
            seconds: watch.seconds, receiver: usage.processorSeconds, sender: 0,
            peakBytes: Int64(usage.ru_maxrss) * 1024)
    }
}

/// What a mirror of all the files took.
struct MirrorRun {
    let seconds: Double
    /// Seconds of a processor, of the receiving and of the sending side.
    let receiver: Double
    let sender: Double
    let peakBytes: Int64
}

extension rusage {
    fileprivate var processorSeconds: Double {
        Double(ru_utime.tv_sec + ru_stime.tv_sec) + Double(ru_utime.tv_usec + ru_stime.tv_usec) / 1e6
    }
}
