internal import Gateway
internal import HTTP
internal import Model
internal import Reactor

extension SetOptions {
    /// Tells the running node, and the person how long that lasts.
    func execute() -> Int32 {
        onLoop { loop in
            guard let node = try await LocalNode.find(data, on: loop) else {
                throw NodeError(
                    "no node runs on \(data); a setting that is to last is written as \(setting) = \(cap) in the file "
                        + "of settings")
            }
            _ = try await node.send(.put, "/v1/settings/\(setting)", CapForm(bytesPerS: cap.bytesPerSecond))
            if json { return printed(jsonText([setting: cap.description])) }
            return printed(
                "\(setting) is \(cap) until this node ends; to keep it, write \(setting) = \(cap) in its file of "
                    + "settings, or start it with --\(setting) \(cap)\n")
        }
    }
}

extension SetOptions {
    init(_ command: ParsedCommand, _ surroundings: Surroundings) throws(UsageError) {
        let settings = try EffectiveSettings(options: command, surroundings: surroundings)
        data = try NodeConfiguration.dataDirectory(settings)
        json = command.has(Commands.json)
        guard let name = command.operands.first else {
            throw UsageError("say what to set to what; write for example qnode config set cap 200KiB/s")
        }
        let changeable = [Settings.cap, Settings.serveCap]
        guard let chosen = changeable.first(where: { $0.description.name == name }) else {
            let isKnown = Settings.all.contains { $0.name == name }
            throw UsageError(
                isKnown
                    ? "\(name) is read when a node starts; only cap and serve-cap can be changed while it runs"
                    : "there is no setting \(name.quotedForMessage); cap and serve-cap can be changed while a node runs"
            )
        }
        guard command.operands.count > 1 else {
            throw UsageError("say what \(name) is to be; write for example qnode config set \(name) 200KiB/s, or off")
        }
        guard command.operands.count == 2 else {
            throw UsageError("unexpected argument \(command.operands[2].quotedForMessage); \(name) takes one value")
        }
        setting = name
        do { cap = try chosen.form.read(command.operands[1]) } catch { throw UsageError("\(name): \(error)") }
    }
}
