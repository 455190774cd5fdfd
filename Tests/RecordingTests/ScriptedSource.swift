import Model
import Reactor

@testable import Recording

/// An instrument that gives what a test tells it to.
actor ScriptedSource: InstrumentSource {
    private let loop: EventLoop
    private var queue: InstrumentEventQueue
    nonisolated let bell: AsyncStream<Void>
    private let ring: AsyncStream<Void>.Continuation
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(on loop: EventLoop, queue: InstrumentEventQueue = InstrumentEventQueue()) {
        self.loop = loop
        self.queue = queue
        (bell, ring) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    func give(_ events: [InstrumentEvent]) {
        for event in events { queue.append(event) }
        ring.yield()
    }
    func take() -> [InstrumentEvent] { queue.take() }
    func status() -> InstrumentStatus { InstrumentStatus(state: .streaming) }
    func run() async {}
}

/// A recorder with a scripted instrument, a store in memory and a clock that tests set.
struct RecorderBench: Sendable {
    let loop: EventLoop
    let source: ScriptedSource
    let recorder: Recorder
    let store: MemoryStore
    let clock: Locked<ClockReading>

    static let boot = BootID(high: 1, low: 2)
    static let start = ClockReading(realtime: 1_790_000_000_123_456_789, boottime: 5_000_000_000, bootID: boot)
    static let identity = InstrumentIdentity(sensorID: "QSP, no. 1", kind: "q-series")

    static func options(_ change: (inout RecorderOptions) -> Void = { _ in }) -> RecorderOptions {
        var options = RecorderOptions()
        options.commitInterval = .zero
        options.retryInterval = .milliseconds(2)
        change(&options)
        return options
    }

    static func run(
        _ options: RecorderOptions = options(), store: MemoryStore = MemoryStore(),
        _ body: @escaping @Sendable (RecorderBench) async throws -> Void
    ) throws {
        let loop = EventLoop(name: "recorder")
        defer { loop.stop() }
        try loop.runBlocking {
            let clock = Locked(start)
            let source = ScriptedSource(on: loop)
            let recorder = Recorder(options, store: store, on: loop, log: .silent) { clock.withLock { $0 } }
            let bench = RecorderBench(loop: loop, source: source, recorder: recorder, store: store, clock: clock)
            await recorder.resume()
            await source.give([.identified(identity)])
            let failure: (any Error)? = await withTaskGroup(of: Void.self) { group in
                group.addTask { await recorder.run(source) }
                var failure: (any Error)?
                do { try await body(bench) } catch { failure = error }
                group.cancelAll()
                await group.waitForAll()
                return failure
            }
            if let failure { throw failure }
        }
    }

    static func sample(_ number: Int, at clock: ClockReading = start) -> InstrumentEvent {
        let text = "0.\(100_000 + number), 25.19, 7.494"
        let sample = try? QSeriesLineParser.parse(Array(text.utf8)[...])
        return .line(
            ReceivedLine(
                bytes: Array("\(text)\r\n".utf8), at: clock,
                content: sample.map { .sample($0) } ?? .rejected(.garbage)))
    }

    static func rejected(_ text: String) -> InstrumentEvent {
        .line(ReceivedLine(bytes: Array("\(text)\r\n".utf8), at: start, content: .rejected(.banner)))
    }

    func give(_ numbers: ClosedRange<Int>) async { await source.give(numbers.map { Self.sample($0) }) }

    func advance(realtime: Int64, boottime: Int64) {
        clock.withLock {
            $0 = ClockReading(
                realtime: $0.realtime + realtime, boottime: $0.boottime + boottime, bootID: $0.bootID)
        }
    }
}
