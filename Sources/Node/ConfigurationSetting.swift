internal import Model

/// One row of the table of settings: from it come the option, the environment variable, the key in the file, help and
/// validation.
package struct Setting<Value: Sendable>: Sendable {
    package let description: SettingDescription
    package let form: ValueForm<Value>

    init(
        _ name: String, _ form: ValueForm<Value>, default defaultValue: SettingDefault = .none, bare: String? = nil,
        repeats: Bool = false, olderEnvironment: [String] = [], section: String, help: String
    ) {
        self.form = form
        let option = OptionDescription(
            name: name, argument: bare.map { .optional(bare: $0) } ?? .required, placeholder: form.placeholder,
            completion: form.completion, repeats: repeats, help: help + defaultValue.helpSuffix, section: section)
        description = SettingDescription(
            option: option, defaultValue: defaultValue, olderEnvironment: olderEnvironment,
            check: { text throws(ValueError) in _ = try form.read(text) })
    }
}

/// A setting without its type, for tables.
package struct SettingDescription: Sendable {
    package let option: OptionDescription
    package let defaultValue: SettingDefault
    /// Variables of the older sensor server that mean this setting; the weakest source after the default.
    package let olderEnvironment: [String]
    let check: @Sendable (String) throws(ValueError) -> Void

    package var name: String { option.name }
    package var environmentName: String { "QNODE_" + option.name.uppercased().replacing("-", with: "_") }
}

/// What holds where nobody said anything.
package enum SettingDefault: Hashable, Sendable {
    case none
    case value(String)
    case byRole(vehicle: String, topside: String)
    /// Found out at the start; the text says how.
    case found(String)

    func text(for role: Role?) -> String? {
        switch (self, role) {
        case (.value(let text), _): text
        case (.byRole(let vehicle, _), .vehicle): vehicle
        case (.byRole(_, let topside), .topside): topside
        case (.none, _), (.found, _), (.byRole, nil): nil
        }
    }

    var helpSuffix: String {
        switch self {
        case .none: ""
        case .value(let text): " (default: \(text))"
        case .byRole(let vehicle, let topside): " (vehicle: \(vehicle), topside: \(topside))"
        case .found(let how): " (default: \(how))"
        }
    }
}

/// Who said what a setting is. Prints as the start of an error's sentence.
package enum SettingOrigin: Hashable, Sendable, CustomStringConvertible {
    case builtIn
    case environment(String)
    case file(path: String, line: Int)
    case option(String)

    package var description: String {
        switch self {
        case .builtIn: "default"
        case .environment(let name): "environment \(name)"
        case .file(let path, let line): "\(path.shownInMessage) line \(line)"
        case .option(let name): "option --\(name)"
        }
    }
}

/// One text that a source gave to a setting.
package struct SettingAssignment: Hashable, Sendable {
    package let text: String
    package let origin: SettingOrigin
}
