import Foundation
import Model
import Reactor

@testable import Recording

/// What a bench is made of.
struct BenchSetup: Sendable {
    var speed = 100.0
    var device = QSeriesDevice.Setup()
    var faults = QSeriesFaults.none
    var driver: QSeriesSettings?
    var recorder = RecorderOptions()

    init() {
        device.signal = .ramp
        recorder.commitInterval = .milliseconds(5)
        recorder.retryInterval = .milliseconds(5)
    }
}

/// A simulated sensor, a driver, a recorder and a store on a loop of their own: the whole way of a row.
struct Bench<Disk: RecordingStore>: Sendable {
    let loop: EventLoop
    let simulator: QSeriesSimulator
    let driver: QSeriesDriver
    let recorder: Recorder
    let store: Disk

    /// Runs `body` beside the services, then stops them and waits for their end.
    static func run(
        _ setup: BenchSetup = BenchSetup(), store: Disk, _ body: @escaping @Sendable (Bench) async throws -> Void
    ) throws {
        let loop = EventLoop(name: "bench")
        defer { loop.stop() }
        try loop.runBlocking { try await run(setup, store: store, on: loop, body) }
    }

    /// The same within a task of `loop`.
    static func run(
        _ setup: BenchSetup, store: Disk, on loop: EventLoop, _ body: @escaping @Sendable (Bench) async throws -> Void
    ) async throws {
        let link = FileManager.default.temporaryDirectory.appending(path: "q-series-\(UUID())").path()
        defer { unlink(link) }
        var options = QSeriesSimulator.Options()
        options.device = setup.device
        options.faults = setup.faults
        options.speed = setup.speed
        options.link = link
        let simulator = QSeriesSimulator(options, on: loop)
        let path = try await simulator.open()
        var driving = QSeriesDriver.Options(port: .path(path), baud: 9600, sensorID: "sim", setup: setup.driver)
        driving.timings = QSeriesTimings().scaled(by: setup.speed)
        let driver = QSeriesDriver(driving, on: loop, log: .silent)
        let recorder = Recorder(setup.recorder, store: store, on: loop, log: .silent)
        let bench = Bench(loop: loop, simulator: simulator, driver: driver, recorder: recorder, store: store)
        let failure: (any Error)? = await withTaskGroup(of: Void.self) { group in
            group.addTask { await driver.run() }
            group.addTask { await recorder.run(driver) }
            var failure: (any Error)?
            do { try await body(bench) } catch { failure = error }
            group.cancelAll()
            await group.waitForAll()
            return failure
        }
        await simulator.close()
        if let failure { throw failure }
    }

    /// Waits until the recorder was given this line as a row.
    func row(_ text: String) async {
        let wanted = Array("\(text)\r\n".utf8)
        var bells = await recorder.readingBell().makeAsyncIterator()
        var seen: Int64 = 0
        while true {
            let readings = await recorder.readings(after: seen, limit: 1000)
            if readings.contains(where: { $0.line.bytes == wanted }) { return }
            seen = readings.last?.number ?? seen
            if readings.isEmpty, await bells.next() == nil { return }
        }
    }

    /// Waits until so many rows came.
    func rows(_ count: Int64) async {
        var bells = await recorder.readingBell().makeAsyncIterator()
        while await recorder.readingCount() < count, await bells.next() != nil {}
    }
}
