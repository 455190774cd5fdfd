import Model
import Reactor

/// From two processes started to the first byte between them, and to the first chunk in the topside's log.
struct StartBench {
    let place: Place
    private let rounds = 7

    func run() async throws {
        let prepared = PreparedStore(place: place, name: "start-vehicle", chunkBytes: 6000, chunkCount: 20)
        try await prepared.make()
        let port = try Place.freePort()
        try await measure("--peer", "peer", port, ["--mdns", "off"], ["--mdns", "off", "--peer", "127.0.0.1:\(port)"])
        let mdns = ["--mdns", "embedded", "--interface", "lo"]
        try await measure("embedded mDNS", "mdns", port, mdns, mdns)
    }

    private func measure(
        _ how: String, _ name: String, _ port: UInt16, _ vehicleSettings: [String], _ topsideSettings: [String]
    )
        async throws
    {
        var met = Samples()
        var pulled = Samples()
        for round in 0..<rounds {
            let watch = Stopwatch()
            let vehicle = try NodeProcess.node(
                place, "start-vehicle", role: "vehicle", port: port, ["--serial", "off"] + vehicleSettings)
            let topside = try NodeProcess.node(
                place, "start-\(name)-\(round)", role: "topside", port: 0, topsideSettings)
            var meeting: Double?
            var first: Double?
            while first == nil {
                guard watch.seconds < 30 else { throw BenchError("no chunk within 30 s (\(how))") }
                if meeting == nil, try topside.said("met a peer") { meeting = watch.seconds }
                if try topside.chunkCount() > 0 { first = watch.seconds }
                try await place.pause(.milliseconds(1))
            }
            met.add(meeting ?? first ?? .nan)
            pulled.add(first ?? .nan)
            topside.stop()
            vehicle.stop()
        }
        Report.line(
            "\(how): started → greeted", Self.text(met), beside: "median and largest of \(rounds)", budget: "1.5 s")
        Report.line("\(how): started → first chunk durable", Self.text(pulled))
    }

    private static func text(_ samples: Samples) -> String {
        "\(Report.milliseconds(samples.median)), \(Report.milliseconds(samples.largest))"
    }
}
