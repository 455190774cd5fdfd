import Foundation
import Model
import Reactor

@testable import Recording

/// A simulated sensor, a driver, a recorder and a store on a loop of their own: the whole way of a row.
struct Bench: Sendable {
    let loop: EventLoop
    let simulator: QSeriesSimulator
    let driver: QSeriesDriver
    let recorder: Recorder
    let store: MemoryStore

    struct Setup: Sendable {
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

    /// Runs `body` beside the services, then stops them and waits for their end.
    static func run(_ setup: Setup = Setup(), _ body: @escaping @Sendable (Bench) async throws -> Void) throws {
        let loop = EventLoop(name: "bench")
        defer { loop.stop() }
        let link = FileManager.default.temporaryDirectory.appending(path: "q-series-\(UUID())").path()
        defer { unlink(link) }
        try loop.runBlocking {
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
            let store = MemoryStore()
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
    }

    /// Waits until at least so many rows of data are durable.
    func rows(_ count: Int64) async { await store.wait { $0.dataRows >= count } }
}
