internal import Model
internal import Reactor
internal import Recording

extension SimulateOptions {
    /// Runs a simulated sensor until interrupted.
    func execute() -> Int32 {
        onLoop { loop in
            let simulator = QSeriesSimulator(try options, on: loop)
            let path = try await simulator.open()
            let code = printed("a simulated Q-Series sensor is on \(path)\n")
            guard code == 0 else { return code }
            do { try await simulator.run() } catch is CancellationError { await simulator.close() }
            return 0
        }
    }

    private var options: QSeriesSimulator.Options {
        get throws {
            var options = QSeriesSimulator.Options()
            options.link = link
            options.speed = Double(speed)
            let seed = seed ?? UInt64.random(in: 1 ... .max)
            options.device.seed = seed
            options.device.baud = baud
            options.device.preamble = preamble
            options.device.averaging = settings.averaging ?? options.device.averaging
            options.device.rate = settings.adcRateHz ?? options.device.rate
            if case .polled(let tag)? = settings.mode {
                options.device.isPolled = true
                options.device.tag = tag
            }
            let kinds = faults.map { fault in
                guard let kind = QSeriesFaults.Kind(rawValue: fault.rawValue) else {
                    preconditionFailure("the table of faults and the simulator know the same names")
                }
                return kind
            }
            if !kinds.isEmpty { options.faults = QSeriesFaults(kinds: Set(kinds), seed: seed) }
            return options
        }
    }
}
