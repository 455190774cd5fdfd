import Model
import Reactor

/// What nodes take of a machine while little or nothing happens.
struct IdleBench {
    let place: Place
    private let settling = Duration.seconds(5)

    func run() async throws {
        try await idle()
        try await mirroring()
    }

    private func idle() async throws {
        let settings = ["--serial", "off", "--mdns", "embedded", "--interface", "lo"]
        let node = try NodeProcess.node(place, "idle", role: "vehicle", port: 0, settings)
        try await place.pause(settling)
        try await watch([("node without instrument", node)], for: .seconds(20), budget: "20 MB, 0.1 %")
        node.stop()
    }

    /// The sensor is a process of its own: what it takes is not the vehicle's.
    private func mirroring() async throws {
        let port = "\(place.path)/sensor"
        let sensor = try NodeProcess(place, "sensor", ["simulate", "q-series", "--link", port])
        try await place.pause(.seconds(1))
        let mdns = ["--mdns", "embedded", "--interface", "lo"]
        let vehicle = try NodeProcess.node(
            place, "mirror-vehicle", role: "vehicle", port: 0,
            ["--serial", port, "--chunk-interval", "5s"] + mdns)
        let topside = try NodeProcess.node(place, "mirror-topside", role: "topside", port: 0, mdns)
        try await place.pause(settling + settling)
        try await watch(
            [("vehicle, one sensor, chunks of 5 s", vehicle), ("topside, mirroring it", topside)], for: .seconds(30),
            budget: "20 MB, 1 %")
        guard try topside.chunkCount() >= 6 else { throw BenchError("the topside mirrored nothing: see \(place.path)") }
        for process in [topside, vehicle, sensor] { process.stop() }
    }

    private func watch(_ nodes: [(name: String, process: NodeProcess)], for time: Duration, budget: String) async throws
    {
        let before = try nodes.map { (try $0.process.processorSeconds(), try $0.process.wakeups()) }
        let watch = Stopwatch()
        try await place.pause(time)
        let seconds = watch.seconds
        for (node, before) in zip(nodes, before) {
            let share = (try node.process.processorSeconds() - before.0) / seconds
            let wakeups = Double(try node.process.wakeups() - before.1) / seconds
            let memory = try node.process.memory()
            Report.line(
                node.name, "\(Self.megabytes(memory.resident)), \(Report.fixed(share * 100, 3)) %",
                beside:
                    "anonymous \(Self.megabytes(memory.anonymous)), \(Report.fixed(wakeups, 1)) wakeups/s",
                budget: budget)
        }
    }

    private static func megabytes(_ bytes: Int64) -> String { "\(Report.fixed(Double(bytes) / 1e6, 1)) MB" }
}
