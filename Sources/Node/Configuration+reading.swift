internal import Model
internal import Reactor
internal import Storage

extension NodeConfiguration {
    /// Reads every setting; the first that is wrong, or that contradicts another, is the error.
    package init(_ settings: EffectiveSettings) throws(UsageError) {
        try settings.checkAll()
        guard let role = settings.role else {
            throw UsageError("say what this node is set up for: --role vehicle or --role topside")
        }
        let data = try Self.dataDirectory(settings)
        self.init(
            role: role, data: data,
            identity: try settings.value(Settings.identity).map { settings.surroundings.absolute($0) }
                ?? "\(data)/identity",
            minFree: try settings.required(Settings.minFree), listen: try settings.required(Settings.listen),
            listenIsExplicit: settings.chosen(Settings.listen) != nil,
            name: try settings.value(Settings.name) ?? Self.name(host: settings.surroundings.hostName),
            instrument: try Self.instrument(settings), sensorID: try settings.value(Settings.sensorID),
            mission: try settings.required(Settings.mission), record: try settings.required(Settings.record),
            format: try settings.required(Settings.format),
            chunkInterval: try settings.required(Settings.chunkInterval),
            chunkBytes: try settings.required(Settings.chunkSize),
            commitInterval: try settings.required(Settings.commitInterval),
            peers: try settings.values(Settings.peer), discovery: try settings.required(Settings.mdns),
            interfaces: try settings.values(Settings.interface), pull: try settings.required(Settings.pull),
            cap: try settings.required(Settings.cap), serveCap: try settings.required(Settings.serveCap),
            view: try settings.required(Settings.view), logLevel: try settings.required(Settings.logLevel))
    }

    /// `--data`, else `$QNODE_DATA`, else /var/lib/qnode for root, else `$XDG_DATA_HOME/qnode`. Absolute.
    package static func dataDirectory(_ settings: EffectiveSettings) throws(UsageError) -> String {
        let surroundings = settings.surroundings
        if let path = try settings.value(Settings.data) { return surroundings.absolute(path) }
        if surroundings.userID == 0 { return "/var/lib/qnode" }
        // A relative XDG_DATA_HOME is invalid and ignored (XDG Base Directory Specification).
        if let base = surroundings.environment["XDG_DATA_HOME"], base.hasPrefix("/") { return "\(base)/qnode" }
        guard let home = surroundings.environment["HOME"], home.hasPrefix("/") else {
            throw UsageError("HOME is not set, so there is no usual place for the data; name one with --data DIR")
        }
        return "\(home)/.local/share/qnode"
    }

    private static func name(host: String) -> String {
        (try? Settings.name.form.read(host)) ?? "qnode"
    }

    private static func instrument(_ settings: EffectiveSettings) throws(UsageError) -> InstrumentChoice {
        let lines = try settings.value(Settings.linesFrom)
        let source = try settings.value(Settings.source) ?? (lines == nil ? .qSeries : .lines)
        switch (source, lines) {
        case (.lines, let lines?):
            try refuse(
                settings, [settings.chosenOn(Settings.simulate), settings.chosenSerial()], "with --source lines")
            try refuse(settings, settings.chosenSensorSettings(), "with --source lines")
            guard case .device(let device) = lines else { return .lines(lines) }
            return .lines(.device(SerialDevice(path: settings.surroundings.absolute(device.path), baud: device.baud)))
        case (.lines, nil):
            throw UsageError("--source lines needs --lines-from to say where the lines come from")
        case (.qSeries, _?):
            throw settings.conflict(settings.chosen(Settings.linesFrom), "means nothing with --source q-series")
        case (.qSeries, nil):
            let sensor = try sensorUse(settings)
            if try settings.required(Settings.simulate) {
                try refuse(settings, [settings.chosenSerial()], "with --simulate")
                return .qSeries(.simulated, sensor: sensor)
            }
            switch try settings.required(Settings.serial) {
            case .off: return .none
            case .auto(let baud): return .qSeries(.auto(baud: baud), sensor: sensor)
            case .device(let device):
                let path = settings.surroundings.absolute(device.path)
                return .qSeries(.device(SerialDevice(path: path, baud: device.baud)), sensor: sensor)
            }
        }
    }

    private static func sensorUse(_ settings: EffectiveSettings) throws(UsageError) -> SensorUse {
        guard try settings.required(Settings.sensor) == .setup else {
            try refuse(settings, settings.chosenSensorSettings(), "without --sensor setup")
            return .passive
        }
        let tag = try settings.value(Settings.tag)
        let mode: SensorMode?
        switch try settings.value(Settings.sensorMode) {
        case .polled: mode = .polled(tag: tag ?? "A")
        case let other:
            if tag != nil {
                throw settings.conflict(settings.chosen(Settings.tag), "means nothing without --sensor-mode polled")
            }
            mode = other == .freeRun ? .freeRun : nil
        }
        return .setup(
            SensorSettings(
                averaging: try settings.value(Settings.averaging), adcRateHz: try settings.value(Settings.adcRate),
                mode: mode))
    }

    private static func refuse(
        _ settings: EffectiveSettings, _ origins: [SettingOrigin?], _ circumstance: String
    ) throws(UsageError) {
        for case let origin? in origins { throw settings.conflict(origin, "means nothing \(circumstance)") }
    }
}

extension EffectiveSettings {
    /// A setting whose table row has a default for each role.
    fileprivate func required<Value>(_ setting: Setting<Value>) throws(UsageError) -> Value {
        guard let value = try value(setting) else {
            preconditionFailure("the table has no default for \(setting.description.name)")
        }
        return value
    }

    fileprivate func conflict(_ origin: SettingOrigin?, _ text: String) -> UsageError {
        UsageError("\(origin ?? .builtIn) \(text)")
    }

    fileprivate func chosenOn(_ setting: Setting<Bool>) throws(UsageError) -> SettingOrigin? {
        try value(setting) == true ? chosen(setting) : nil
    }

    /// A serial port that somebody chose by one of this program's own names; what the older server's environment says
    /// does not contradict anything, it is only weaker.
    fileprivate func chosenSerial() throws(UsageError) -> SettingOrigin? {
        guard let origin = chosen(Settings.serial), try value(Settings.serial) != .off else { return nil }
        if case .environment(let name) = origin, Settings.serial.description.olderEnvironment.contains(name) {
            return nil
        }
        return origin
    }

    fileprivate func chosenSensorSettings() -> [SettingOrigin?] {
        [chosen(Settings.averaging), chosen(Settings.adcRate), chosen(Settings.sensorMode), chosen(Settings.tag)]
    }
}
