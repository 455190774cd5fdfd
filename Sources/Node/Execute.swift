internal import FoundationEssentials
internal import Reactor

/// The version of the program, as `--version` and `GET /version` say it.
package enum Release {
    package static let version = "0.1.0"
}

/// Does what a command line asked for; the exit code.
package func execute(_ invocation: Invocation) -> Int32 {
    switch invocation {
    case .help(let text): return printed(text)
    case .usage(let text):
        complain(text)
        return 2
    case .version(let json):
        return printed(
            json ? "{\"name\":\"qnode\",\"version\":\"\(Release.version)\"}\n" : "qnode \(Release.version)\n")
    case .completions(let shell):
        return printed(CommandLineCompletions.script(for: shell, program: Commands.program))
    case .config(let options): return printed(options.text(style: .ofStandardOutput))
    case .set(let options): return options.execute()
    case .run(let configuration): return configuration.runNode()
    case .status(let options): return options.execute()
    case .sessions(let options): return options.execute()
    case .record(let options): return options.execute()
    case .pull(let options): return options.execute()
    case .verify(let options): return VerifyVerb.execute(options)
    case .rebuild(let options): return RebuildVerb.execute(options)
    case .peers(let options): return PeerVerbs.peers(options)
    case .clock(let options): return PeerVerbs.clock(options)
    case .simulate(let options): return options.execute()
    case .doctor(let options): return DoctorVerb.execute(options)
    }
}

extension ConfigOptions {
    /// A table for people, or one JSON object by setting.
    package func text(style: TerminalStyle) -> String {
        if json { return jsonText }
        var table = TerminalTable([("SETTING", .left), ("VALUE", .left), ("FROM", .left)])
        for row in rows {
            table.append([row.name, row.values.isEmpty ? "–" : row.values.joined(separator: ", "), row.origin])
        }
        return table.text(style: style)
    }

    private struct Entry: Encodable {
        let values: [String]
        let origin: String
    }

    private var jsonText: String {
        let entries = rows.map { ($0.name, Entry(values: $0.values, origin: $0.origin)) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            let bytes = try encoder.encode(Dictionary(uniqueKeysWithValues: entries))
            return String(decoding: bytes, as: UTF8.self) + "\n"
        } catch {
            preconditionFailure("strings always encode: \(error)")
        }
    }
}

extension TerminalStyle {
    package static var ofStandardOutput: Self {
        TerminalStyle(
            isTerminal: TerminalStream.output.isTerminal, environment: ProcessInfo.processInfo.environment)
    }
}

/// Writes to standard output; a full disk or a closed pipe behind it is a failure like any other.
package func printed(_ text: String) -> Int32 {
    do {
        try TerminalStream.output.write(text)
        return 0
    } catch {
        complain("qnode: cannot write to standard output: \(error.reason)\n")
        return 1
    }
}

/// Writes to standard error; where that is closed there is nobody left to tell.
package func complain(_ text: String) {
    do { try TerminalStream.error.write(text) } catch {}
}
