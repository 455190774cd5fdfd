import Model
import Node
import Reactor
import Storage

/// From a fact in the vehicle's log to the chunk durable at the topside, over a real connection, one chunk at a time on
/// a quiet link.
struct SealBench {
    let place: Place
    private let chunks = 1000
    private let chunkBytes = 6000

    func run() async throws {
        let vehicle = try await RunningNode.start(place, "seal-vehicle", role: .vehicle, peers: [])
        let topside = try await RunningNode.start(place, "seal-topside", role: .topside, peers: [vehicle.endpoint])
        let stream = StreamDescription(name: .data, format: .jsonl, columns: [])
        let session = try await vehicle.store.startSession(SessionOpening(mission: "bench", streams: [stream]))
        let logged = LogWatch(vehicle.store)
        let mirrored = LogWatch(topside.store)
        var bare = try BarePublish("\(place.path)/seal-bare")
        var random = SystemRandomNumberGenerator()
        var mirrorTimes = Samples()
        var sealTimes = Samples()
        var bareTimes = Samples()
        for number in 0..<chunks + 20 {
            let batch = RowBatch.random(session, .data, bytes: chunkBytes, rows: 60, &random)
            _ = try await vehicle.store.commit([batch])
            let (vehicleHead, topsideHead) = (await vehicle.store.head(), await topside.store.head())
            async let inLog = logged.next(beyond: vehicleHead)
            async let durable = mirrored.next(beyond: topsideHead)
            let watch = Stopwatch()
            _ = try await vehicle.store.seal(session)
            let sealed = watch.seconds
            let delay = await inLog.duration(to: await durable).inSeconds
            // The peers meet, and caches fill.
            guard number >= 20 else { continue }
            sealTimes.add(sealed)
            mirrorTimes.add(delay)
            bareTimes.add(try bare.publish(batch.bytes))
        }
        await topside.stop()
        await vehicle.stop()
        let beside = "bare publish \(bareTimes.quantiles)"
        Report.line("sealed → durable at the topside, \(chunks) chunks", mirrorTimes.quantiles, beside: beside)
        Report.line(
            "the same, by a bare publish",
            "p50 × \(Report.ratio(mirrorTimes.median / bareTimes.median)), p99 × "
                + Report.ratio(mirrorTimes.quantile(0.99) / bareTimes.quantile(0.99)))
        Report.line("the seal itself, at the vehicle", sealTimes.quantiles)
    }
}

/// When a store's log has grown, told by its own bell, which rings when what entered is durable.
struct LogWatch: Sendable {
    private let store: Store
    private let rings: AsyncStream<Void>

    init(_ store: Store) {
        self.store = store
        rings = store.growth()
    }

    /// The moment when the log first reached beyond `head`.
    func next(beyond head: Int64) async -> MonotonicTime {
        for await _ in rings {
            let now = SystemClock.monotonic()
            if await store.head() > head { return now }
        }
        return SystemClock.monotonic()
    }
}

/// A node inside this process, with threads and a port of its own.
struct RunningNode: Sendable {
    let store: Store
    let endpoint: Endpoint
    private let threads: NodeRuntime.Threads
    private let stopper: AsyncStream<Void>.Continuation
    private let running: Task<Void, any Error>

    static func start(
        _ place: Place, _ name: String, role: Role, peers: [Endpoint], _ more: [String] = ["--serial", "off"],
        listen: String = "127.0.0.1:0", cap: String = "off"
    ) async throws -> RunningNode {
        let threads = NodeRuntime.Threads()
        let arguments = [
            "--role", role.rawValue, "--data", "\(place.path)/\(name)", "--listen", listen, "--name", name,
            "--mdns", "off", "--cap", cap, "--log-level", "warning",
        ]
        let settings = arguments + more + peers.flatMap { ["--peer", "\($0)"] }
        guard case .run(let configuration) = try Invocation(arguments: settings, surroundings: .current()) else {
            throw BenchError("these are no settings of a node: \(settings)")
        }
        let runtime = try await NodeRuntime.open(
            configuration, on: threads, log: Log(source: name, level: .warning))
        guard let endpoint = runtime.endpoints.first else { throw BenchError("a node without a port") }
        let (stops, stopper) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let running = threads.loop.spawn { try await runtime.run { for await _ in stops { return } } }
        return RunningNode(
            store: runtime.store, endpoint: endpoint, threads: threads, stopper: stopper, running: running)
    }

    func stop() async {
        stopper.yield()
        do { try await running.value } catch is CancellationError {
        } catch { print("bench: a node failed: \(error)") }
        threads.stop()
    }
}
