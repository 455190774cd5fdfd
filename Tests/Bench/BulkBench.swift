import Glibc
import Model
import Reactor

/// A whole store from a vehicle to an empty topside, by real processes, beside `rsync --fsync` of the same files and
/// what the machine could do at best.
struct BulkBench {
    let place: Place
    func run() async throws {
        let large = PreparedStore(place: place, name: "bulk-large", chunkBytes: 1_000_000, chunkCount: 1000)
        try await measure("1 GB of 1 MB chunks", large, rounds: 3, budget: "0.8")
        let small = PreparedStore(place: place, name: "bulk-small", chunkBytes: 6000, chunkCount: 20_000)
        try await measure("20,000 chunks of 6 kB", small, rounds: 2, budget: "")
    }

    /// The order turns each round: a disk that tires, or was spared, favours nobody.
    private func measure(_ what: String, _ prepared: PreparedStore, rounds: Int, budget: String) async throws {
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
            copy.add(prepared.totalBytes / (try rsync(prepared, round)))
            let run = try await pull(prepared, round)
            mirror.add(prepared.totalBytes / run.seconds)
            Report.line(
                "\(what): round \(round + 1)", Report.rate(mirror.values[round]),
                beside: "rsync \(Report.rate(copy.values[round])), processor: topside "
                    + "\(Report.fixed(run.topside, 2)) s, vehicle \(Report.fixed(run.vehicle, 2)) s "
                    + "of \(Report.fixed(run.seconds, 2)) s")
            if !round.isMultiple(of: 2) { try bound() }
        }
        let chunks = Report.fixed(mirror.median / Double(prepared.chunkBytes), 0)
        let slowest = min(digest.median, disk.median, loopback.median)
        Report.line(
            "\(what), median", "\(Report.rate(mirror.median)), \(chunks) chunks/s",
            beside: "rsync --fsync \(Report.rate(copy.median)), ratio \(Report.ratio(mirror.median / copy.median))")
        Report.line(
            "\(what), by the slowest limit", Report.ratio(mirror.median / slowest),
            beside: "the slowest, median: \(Report.rate(slowest))", budget: budget)
    }

    /// From the topside's start to its last chunk.
    private func pull(_ prepared: PreparedStore, _ round: Int) async throws -> (
        seconds: Double, topside: Double, vehicle: Double
    ) {
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
            guard watch.seconds < 300 else { throw BenchError("not mirrored within 300 s") }
            try await place.pause(.milliseconds(5))
        }
        let seconds = watch.seconds
        let result = (seconds, try topside.processorSeconds(), try vehicle.processorSeconds() - served)
        topside.stop()
        vehicle.stop()
        return result
    }

    private func rsync(_ prepared: PreparedStore, _ round: Int) throws -> Double {
        place.settle()
        let watch = Stopwatch()
        var pid: pid_t = 0
        let command = [
            "rsync", "--recursive", "--whole-file", "--fsync", "\(prepared.path)/chunks/",
            "\(prepared.path)-rsync-\(round)/",
        ]
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        guard posix_spawnp(&pid, "rsync", nil, nil, &words, environ) == 0 else { throw BenchError("no rsync here") }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else { throw BenchError("rsync failed") }
        return watch.seconds
    }
}
