internal import Model

extension Invocation {
    /// `arguments` are without the program's name.
    package init(arguments: [String], surroundings: Surroundings) throws(UsageError) {
        let program = Commands.program
        let command = try CommandLineParser.parse(arguments, by: program)
        let verb = command.path.dropFirst()
        if command.has(CommandDescription.help) {
            self = .help(CommandHelp(command.command, path: command.path, columns: surroundings.columns).text)
            return
        }
        if command.has(CommandDescription.version) {
            self = .version(json: command.has(Commands.json))
            return
        }
        switch verb {
        case []:
            if arguments.isEmpty, try EffectiveSettings(options: command, surroundings: surroundings).role == nil {
                self = .usage(CommandHelp(program, path: command.path, columns: surroundings.columns).shortText)
            } else {
                self = .run(try NodeConfiguration(EffectiveSettings(options: command, surroundings: surroundings)))
            }
        case ["config"]: self = .config(try ConfigOptions(command, surroundings))
        case ["config", "set"]: self = .set(try SetOptions(command, surroundings))
        case ["simulate", "q-series"]: self = .simulate(try SimulateOptions(command, surroundings))
        case ["version"]: self = .version(json: command.has(Commands.json))
        case ["completions"]: self = .completions(try Self.shell(command))
        case ["help"]: self = .help(try Self.help(command.operands, surroundings))
        case ["record"], ["simulate"]:
            let verbs = command.command.verbs.map(\.name).joined(separator: ", ")
            throw UsageError(
                "\(verb.joined()) needs one of \(verbs); see \(command.path.joined(separator: " ")) --help")
        default: self = try Self.aboutNode(command, surroundings)
        }
    }

    /// The verbs that are about the node of a data directory.
    private static func aboutNode(
        _ command: ParsedCommand, _ surroundings: Surroundings
    ) throws(UsageError) -> Invocation {
        let settings = try EffectiveSettings(options: command, surroundings: surroundings)
        let data = try NodeConfiguration.dataDirectory(settings)
        let json = command.has(Commands.json)
        let facts = FactsOptions(data: data, json: json)
        switch command.path.dropFirst().first {
        case "status":
            let named = try command.values(Commands.statusData).map { surroundings.absolute($0) }
            let options = StatusOptions(
                data: named.isEmpty ? [data] : named, json: json, watch: try command.value(Commands.watch),
                waitsSynced: command.has(Commands.waitSynced), timeout: try command.value(Commands.timeout))
            guard options.timeout == nil || options.waitsSynced else {
                throw UsageError("option --timeout is for --wait-synced")
            }
            guard options.watch == nil || !options.waitsSynced else {
                throw UsageError("--watch never ends and --wait-synced does: give one of them")
            }
            return .status(options)
        case "sessions":
            let closes = command.command.name == "close"
            guard !closes || !command.operands.isEmpty else {
                throw UsageError("say which session; qnode sessions lists them")
            }
            let session = try command.operands.first.map { text throws(UsageError) in
                guard let id = SessionID(text) else {
                    throw UsageError("\(text.quotedForMessage) is not a session's id; qnode sessions lists them")
                }
                return id
            }
            let mission = try command.value(Commands.ofMission)
            return .sessions(
                SessionsOptions(data: data, json: json, session: session, mission: mission, closes: closes))
        case "record": return .record(RecordOptions(data: data, json: json, action: try recordAction(command)))
        case "pull":
            let what = try command.operands.first.map { text throws(UsageError) in
                do { return try Settings.pull.form.read(text) } catch { throw UsageError("\(error)") }
            }
            guard what != PullChoice.none else { throw UsageError("qnode pull none would do nothing") }
            return .pull(
                PullOptions(
                    data: data, json: json, peers: try command.values(Commands.from), what: what ?? .all,
                    timeout: try command.value(Commands.timeout),
                    cap: try settings.value(Settings.cap) ?? ByteRate(bytesPerSecond: nil)))
        case "verify": return .verify(facts)
        case "rebuild": return .rebuild(facts)
        case "peers": return .peers(facts)
        case "clock": return .clock(facts)
        case "doctor":
            let minFree = try settings.value(Settings.minFree) ?? Limits.minFree.lowerBound
            return .doctor(DoctorOptions(data: data, json: json, minFree: minFree))
        default: preconditionFailure("the table has a verb that nothing reads: \(command.path)")
        }
    }

    private static func recordAction(_ command: ParsedCommand) throws(UsageError) -> RecordOptions.Action {
        switch command.command.name {
        case "start":
            var metadata: [String: String] = [:]
            for item in try command.values(Commands.metadata) {
                guard metadata.updateValue(item.value, forKey: item.key) == nil else {
                    throw UsageError("option --metadata: \(item.key.quotedForMessage) is given twice")
                }
            }
            return .start(
                mission: try command.value(Commands.startMission),
                chunkInterval: try command.value(Commands.startInterval), metadata: metadata)
        case "stop": return .stop
        default:
            let text = try command.operands.first.map { text throws(UsageError) in
                let form = ValueForm<String>.text("TEXT", limit: Limits.markerTextBytes)
                do { return try form.read(text) } catch { throw UsageError("the marker's text: \(error)") }
            }
            let type = try command.value(Commands.markerType)
            guard type != nil || text != nil else {
                throw UsageError(
                    "a marker needs a text or a --type; write for example qnode record marker \"at depth\"")
            }
            return .marker(type: type, text: text)
        }
    }

    private static func shell(_ command: ParsedCommand) throws(UsageError) -> Shell {
        guard let name = command.operands.first else {
            throw UsageError("say for which shell: bash, zsh or fish")
        }
        do {
            return try ValueForm<Shell>.word.read(name)
        } catch {
            throw UsageError("\(error)")
        }
    }

    private static func help(_ verbs: [String], _ surroundings: Surroundings) throws(UsageError) -> String {
        let command = try CommandLineParser.parse(["--help"] + verbs, by: Commands.program)
        return CommandHelp(command.command, path: command.path, columns: surroundings.columns).text
    }
}

extension ConfigOptions {
    fileprivate init(_ command: ParsedCommand, _ surroundings: Surroundings) throws(UsageError) {
        let settings = try EffectiveSettings(options: command, surroundings: surroundings)
        try settings.checkAll()
        // Without a role there is nothing to contradict yet.
        let configuration = settings.role == nil ? nil : try NodeConfiguration(settings)
        let data = try NodeConfiguration.dataDirectory(settings)
        let found = [
            "data": data, "identity": configuration?.identity ?? "\(data)/identity",
            "name": configuration?.name ?? surroundings.hostName,
        ]
        rows = Settings.all.map { setting in
            let assignments = settings.assignments(setting)
            let values = found[setting.name].map { [$0] } ?? assignments.map(\.text)
            return Row(
                name: setting.name, values: values,
                origin: (assignments.first?.origin ?? .builtIn).description)
        }
        json = command.has(Commands.json)
        columns = surroundings.columns
    }
}

extension SimulateOptions {
    fileprivate init(_ command: ParsedCommand, _ surroundings: Surroundings) throws(UsageError) {
        let tag = try command.value(Commands.tag)
        let mode = try command.value(Commands.sensorMode)
        guard tag == nil || mode == .polled else {
            throw UsageError("option --tag means nothing without --sensor-mode polled")
        }
        link = try command.value(Commands.link).map { surroundings.absolute($0) }
        baud = try command.value(Commands.baud) ?? 9600
        settings = SensorSettings(
            averaging: try command.value(Commands.averaging), adcRateHz: try command.value(Commands.adcRate),
            mode: mode.map { $0 == .polled ? .polled(tag: tag ?? "A") : .freeRun })
        speed = try command.value(Commands.speed) ?? 1
        seed = try command.value(Commands.seed)
        faults = try command.values(Commands.fault).reduce(into: []) { $0.formUnion($1) }
        preamble = try command.value(Commands.preamble) ?? ""
    }
}
