package import Model

/// The settings as all sources together have them: defaults, older environment, file, environment, options, the later
/// the stronger. The strongest source that names a setting gives all of its values.
package struct EffectiveSettings: Sendable {
    private let assigned: [String: [SettingAssignment]]
    /// Nil where nobody said.
    package let role: Role?
    let surroundings: Surroundings

    package init(options: ParsedCommand, surroundings: Surroundings) throws(UsageError) {
        var assigned = try Self.olderEnvironment(surroundings.environment)
        let environment = try Self.environment(surroundings.environment)
        let given = Self.options(options)
        let config = Settings.config.description.name
        if let file = (given[config] ?? environment[config])?.last {
            try Self.check(Settings.config.description, file)
            let path = surroundings.absolute(file.text)
            let bytes: [UInt8]
            do {
                bytes = try surroundings.readFile(path)
            } catch {
                throw UsageError("cannot read \(path.shownInMessage) (\(file.origin)): \(error)", exitCode: 1)
            }
            let values = try ConfigurationFile.parse(bytes, path: path, settings: Settings.all)
            assigned.merge(values) { _, new in new }
        }
        assigned.merge(environment) { _, new in new }
        assigned.merge(given) { _, new in new }
        self.assigned = assigned
        self.surroundings = surroundings
        role = try assigned[Settings.role.description.name]?.last.map { assignment throws(UsageError) in
            try Self.read(Settings.role.form, assignment)
        }
    }

    /// The value, or the default; nil where the setting has none.
    func value<Value>(_ setting: Setting<Value>) throws(UsageError) -> Value? {
        try assignments(setting.description).last.map { assignment throws(UsageError) in
            try Self.read(setting.form, assignment)
        }
    }

    func values<Value>(_ setting: Setting<Value>) throws(UsageError) -> [Value] {
        var values: [Value] = []
        for assignment in assignments(setting.description) { values.append(try Self.read(setting.form, assignment)) }
        return values
    }

    /// Who chose it, or nil where it is the default.
    func chosen<Value>(_ setting: Setting<Value>) -> SettingOrigin? { assigned[setting.description.name]?.last?.origin }

    /// What holds for a setting: of one that is no list, the last text alone.
    package func assignments(_ setting: SettingDescription) -> [SettingAssignment] {
        if let texts = assigned[setting.name], !texts.isEmpty {
            return setting.option.repeats ? texts : texts.suffix(1)
        }
        return setting.defaultValue.text(for: role).map { [SettingAssignment(text: $0, origin: .builtIn)] } ?? []
    }

    /// Reads every value once, so that no error waits until a setting is looked at.
    func checkAll() throws(UsageError) {
        for setting in Settings.all {
            for assignment in assignments(setting) { try Self.check(setting, assignment) }
        }
    }
}

extension EffectiveSettings {
    private static func read<Value>(
        _ form: ValueForm<Value>, _ assignment: SettingAssignment
    ) throws(UsageError) -> Value {
        do {
            return try form.read(assignment.text)
        } catch {
            throw UsageError("\(assignment.origin): \(error)")
        }
    }

    private static func check(_ setting: SettingDescription, _ assignment: SettingAssignment) throws(UsageError) {
        do {
            try setting.check(assignment.text)
        } catch {
            throw UsageError("\(assignment.origin): \(error)")
        }
    }

    private static func options(_ command: ParsedCommand) -> [String: [SettingAssignment]] {
        let names = Set(Settings.all.map(\.name))
        var assigned: [String: [SettingAssignment]] = [:]
        for occurrence in command.occurrences where names.contains(occurrence.name) {
            assigned[occurrence.name, default: []].append(
                SettingAssignment(text: occurrence.text, origin: .option(occurrence.name)))
        }
        return assigned
    }

    /// `QNODE_…`; one that is empty counts as not set, as unit files and containers write it.
    private static func environment(_ variables: [String: String]) throws(UsageError) -> [String: [SettingAssignment]] {
        var assigned: [String: [SettingAssignment]] = [:]
        let ours = variables.filter { $0.key.hasPrefix("QNODE_") }.sorted { $0.key < $1.key }
        for (name, text) in ours {
            guard let setting = Settings.all.first(where: { $0.environmentName == name }) else {
                let near = Suggestion.nearest(to: name, among: Settings.all.map { $0.environmentName.lowercased() })
                let known = Settings.all.map(\.environmentName)
                let hint = near.flatMap { word in known.first { $0.lowercased() == word } }
                throw UsageError(
                    "environment \(name.quotedForMessage): there is no such setting"
                        + (hint.map { "; did you mean \($0)?" } ?? ""))
            }
            if text.isEmpty { continue }
            let items = setting.option.repeats ? text.split(separator: ",").map { trimmed($0) } : [text]
            assigned[setting.name] = items.map { SettingAssignment(text: $0, origin: .environment(name)) }
        }
        return assigned
    }

    /// The variables of the older sensor server.
    private static func olderEnvironment(
        _ variables: [String: String]
    ) throws(UsageError) -> [String: [SettingAssignment]] {
        func value(_ name: String) -> String? { variables[name].flatMap { $0.isEmpty ? nil : $0 } }
        var assigned: [String: [SettingAssignment]] = [:]
        func assign(_ setting: SettingDescription, _ text: String, from name: String) {
            assigned[setting.name] = [SettingAssignment(text: text, origin: .environment(name))]
        }
        if let path = value("CHUNK_RECORDING_PATH") {
            assign(Settings.data.description, path, from: "CHUNK_RECORDING_PATH")
        }
        if let port = value("API_PORT") {
            guard let number = decimal(port), (1...65_535).contains(number) else {
                throw UsageError("environment API_PORT: \(port.quotedForMessage) is not a port; write for example 9150")
            }
            assign(Settings.listen.description, "[::]:\(number)", from: "API_PORT")
        }
        if let baud = value("SERIAL_BAUD") {
            do { _ = try SerialDevice.baud(baud) } catch { throw UsageError("environment SERIAL_BAUD: \(error)") }
            assign(Settings.serial.description, "\(value("SERIAL_PORT") ?? "auto")@\(baud)", from: "SERIAL_BAUD")
        } else if let port = value("SERIAL_PORT") {
            assign(Settings.serial.description, port, from: "SERIAL_PORT")
        }
        return assigned
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
