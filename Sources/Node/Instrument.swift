internal import Model
internal import Reactor
internal import Recording

/// The instrument that the settings name: a source for the recorder, and what must run beside it.
struct Instrument {
    let source: any InstrumentSource
    /// A simulated sensor of this process.
    let simulator: QSeriesSimulator?

    static func make(
        _ choice: InstrumentChoice, sensorID: String?, resolver: DiskLane, on loop: EventLoop, log: Log
    ) async throws -> Instrument? {
        switch choice {
        case .none: return nil
        case .qSeries(let port, let use):
            let settings = try setup(use)
            guard case .simulated = port else {
                let (chosen, baud) = Self.port(port)
                let options = QSeriesDriver.Options(port: chosen, baud: baud, sensorID: sensorID, setup: settings)
                return Instrument(source: QSeriesDriver(options, on: loop, log: log.named("sensor")), simulator: nil)
            }
            let simulator = QSeriesSimulator(QSeriesSimulator.Options(), on: loop)
            let path = try await simulator.open()
            let options = QSeriesDriver.Options(
                port: .path(path), baud: 9600, sensorID: sensorID ?? "simulated", setup: settings)
            return Instrument(source: QSeriesDriver(options, on: loop, log: log.named("sensor")), simulator: simulator)
        case .lines(let origin):
            let source = LineSource(
                place(origin), sourceID: sensorID, resolver: resolver, on: loop, log: log.named("lines"))
            return Instrument(source: source, simulator: nil)
        }
    }

    private static func port(_ port: QSeriesPort) -> (QSeriesDriver.Port, Int?) {
        switch port {
        case .auto(let baud): (.auto, baud)
        case .device(let device): (.path(device.path), device.baud)
        case .simulated: (.none, nil)
        }
    }

    private static func setup(_ use: SensorUse) throws -> QSeriesSettings? {
        switch use {
        case .passive: nil
        case .setup(let settings): try settings.qSeries
        }
    }

    private static func place(_ origin: LinesOrigin) -> LineSource.Place {
        switch origin {
        case .device(let device): .serial(path: device.path, baud: device.baud ?? 9600)
        case .tcp(let endpoint): .tcp(endpoint)
        case .udp(let endpoint): .udp(endpoint)
        }
    }
}

extension SensorSettings {
    /// As the driver takes them.
    var qSeries: QSeriesSettings {
        get throws {
            switch mode {
            case nil: try QSeriesSettings(averaging: averaging, rate: adcRateHz)
            case .freeRun: try QSeriesSettings(averaging: averaging, rate: adcRateHz, isPolled: false)
            case .polled(let tag): try QSeriesSettings(averaging: averaging, rate: adcRateHz, isPolled: true, tag: tag)
            }
        }
    }
}
