internal import Model

/// The table of verbs: what `qnode` can be asked for.
package enum Commands {
    static let json = OptionDescription(name: "json", argument: .none, help: "Print JSON")

    /// Which node a verb is about.
    private static let node = [
        option(
            Settings.data.description.option,
            "The node's data directory (default: as for the node itself; see qnode --help)"),
        configuration,
    ]
    private static let configuration = option(
        Settings.config.description.option, "The node's file of settings, for the data directory it names")

    static let statusData = CommandOption<String>(
        Settings.data.description.name, Settings.data.form, repeats: true,
        help: "The node's data directory (default: as for the node itself); several show several nodes side by side")

    static let watch = CommandOption<Duration>(
        "watch", .duration(in: .milliseconds(100)...(.seconds(3600)), because: "nobody could read it"), bare: "1s",
        help: "Show it anew each TIME, or each second, until interrupted")
    static let waitSynced = OptionDescription(
        name: "wait-synced", argument: .none, help: "End when everything that the peers have is here")
    static let ofMission = CommandOption<String>(
        "mission", Settings.mission.form, help: "Only sessions of this mission")
    static let startMission = CommandOption<String>(
        "mission", Settings.mission.form, help: "The mission it belongs to (default: the node's)")
    static let startInterval = CommandOption<Duration>(
        "chunk-interval", Settings.chunkInterval.form, help: "Seal a chunk after this time (default: the node's)")
    static let metadata = CommandOption<Metadatum>(
        "metadata",
        ValueForm("KEY=VALUE") { text throws(ValueError) in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw ValueError("\(text.quotedForMessage) is not KEY=VALUE")
            }
            return Metadatum(key: parts[0], value: parts[1])
        }, repeats: true, help: "Anything to keep with the session")
    static let markerType = CommandOption<String>(
        "type", .identifier("TYPE", limit: Limits.markerTypeBytes), help: "What kind of marker it is, for example START"
    )
    static let from = CommandOption<Endpoint>(
        "from", .peer, repeats: true, help: "Fetch from this node (default: every peer that is known)")
    private static let pullCap = option(
        Settings.cap.description.option,
        "Fetch no more than this, where no node runs (default: 500KiB/s); one that runs keeps its own")
    static let timeout = CommandOption<Duration>(
        "timeout", .duration(in: .seconds(1)...(.seconds(7 * 86_400)), because: "it is the time a person waits"),
        help: "Give up after TIME (default: never)")
    static let link = CommandOption<String>(
        "link", .path("PATH", completion: .files), help: "Make PATH a symbolic link to the pty")
    static let baud = CommandOption<Int>(
        "baud", .oneOf(SerialDevice.baudRates, placeholder: "BAUD"), help: "The line's rate, 9600 unless given")
    static let averaging = CommandOption<Int>(
        "averaging", Settings.averaging.form, help: "Readings averaged to one row")
    static let adcRate = CommandOption<Int>("adc-rate", Settings.adcRate.form, help: "Readings a second")
    static let sensorMode = CommandOption<SensorModeKind>(
        "sensor-mode", Settings.sensorMode.form, help: "The mode it starts in")
    static let tag = CommandOption<Character>("tag", Settings.tag.form, help: "The letter it answers to when polled")
    static let speed = CommandOption<Int>(
        "speed", .count("N", in: 1...10_000), help: "Let its time pass N times faster than the real sensor's")
    static let seed = CommandOption<UInt64>(
        "seed",
        ValueForm("N") { text throws(ValueError) in
            guard text.utf8.allSatisfy({ (48...57).contains($0) }), let seed = UInt64(text) else {
                throw ValueError("\(text.quotedForMessage) is not a whole number below 2^64")
            }
            return seed
        }, help: "The same N, the same readings and faults")
    static let fault = CommandOption<Set<SimulatedFault>>(
        "fault", faultForm, repeats: true, help: "Do what goes wrong in the field: one kind, or all of them")
    static let preamble = CommandOption<String>(
        "preamble", .text("TEXT", limit: 32), help: "What stands before each value")

    private static let faultForm: ValueForm<Set<SimulatedFault>> = {
        let kinds = ValueForm<Set<SimulatedFault>>.word(
            SimulatedFault.allCases.map { ($0.rawValue, Set([$0])) } + [("all", Set(SimulatedFault.allCases))])
        return ValueForm("KIND", completion: kinds.completion, read: kinds.read)
    }()

    package static let program = CommandDescription(
        "qnode", summary: "record instruments on a vehicle and mirror the recordings, verified, to its operator",
        discussion: """
            Without a verb, qnode runs a node until it is told to stop. A node records the sensor it is given, \
            keeps what it recorded in chunks named by their SHA-256, finds other nodes on the link and fetches from \
            them what it is told to. Every setting may also stand in the file named by --config, or in the \
            environment (--chunk-interval is QNODE_CHUNK_INTERVAL, lists separated by commas); options are stronger \
            than the environment, and the environment is stronger than the file.
            """,
        options: Settings.all.map(\.option), verbs: verbs)

    private static let verbs = [
        CommandDescription(
            "status", summary: "show what the node is doing",
            options: [
                json, watch.description, waitSynced, timeout.description, statusData.description, configuration,
            ]),
        CommandDescription(
            "sessions", summary: "list recordings, or show one with its chunks",
            options: [json, ofMission.description] + node,
            operand: OperandDescription("SESSION", .atMostOne, help: "a session's id"),
            verbs: [
                CommandDescription(
                    "close", summary: "seal what is here of another node's session that will not be ended",
                    discussion: """
                        For a session whose author does not come back: what is here of its growing chunks is sealed, \
                        and the session ends. Should its author come back all the same, its word counts.
                        """,
                    options: [json] + node, operand: OperandDescription("SESSION", .one, help: "a session's id"))
            ]),
        CommandDescription(
            "record", summary: "start or stop a recording, or set a marker in it",
            verbs: [
                CommandDescription(
                    "start", summary: "start a recording; one that started by itself gives way",
                    options: [startMission.description, startInterval.description, metadata.description, json] + node),
                CommandDescription("stop", summary: "stop the recording and seal it", options: [json] + node),
                CommandDescription(
                    "marker", summary: "set a marker between two rows", options: [markerType.description, json] + node,
                    operand: OperandDescription("TEXT", .atMostOne, help: "what happened")),
            ]),
        CommandDescription(
            "pull", summary: "fetch what is missing here, now",
            discussion: "Fetches and ends when nothing is missing any more.",
            options: [from.description, timeout.description, pullCap, json] + node,
            operand: OperandDescription(
                "WHAT", .atMostOne, completion: .words(["all"]), help: "all, or the name of one mission")),
        CommandDescription(
            "verify", summary: "read every chunk and compare it with its name",
            discussion: "Exit code 3 says that something was found.", options: [json] + node),
        CommandDescription(
            "rebuild", summary: "make the index and the folder for people again, from the log and the chunks",
            discussion: "The node must not run meanwhile. Nothing that was recorded is touched.",
            options: [json] + node),
        CommandDescription("peers", summary: "list the nodes that were seen or named", options: [json] + node),
        CommandDescription(
            "clock", summary: "show each peer's clock against this one: offset, delay and bound", options: [json] + node
        ),
        CommandDescription(
            "config", summary: "show every setting and who chose it",
            discussion: "Takes the node's own options, so that a command line can be tried.",
            options: [json] + Settings.all.map(\.option),
            verbs: [
                CommandDescription(
                    "set", summary: "change cap or serve-cap of the running node, until it ends",
                    discussion: "For example: qnode config set cap 200KiB/s",
                    options: [json] + node,
                    operand: OperandDescription(
                        "SETTING VALUE", .any, completion: .words(["cap", "serve-cap"]), help: "what to set to what"))
            ]),
        CommandDescription(
            "simulate", summary: "be a sensor, on a pty",
            verbs: [
                CommandDescription(
                    "q-series", summary: "a Q-Series sensor with its banner, menu and faults",
                    discussion: "Prints the path of its pty and runs until interrupted.",
                    options: [
                        link.description, baud.description, averaging.description, adcRate.description,
                        sensorMode.description, tag.description, speed.description, seed.description,
                        fault.description, preamble.description,
                    ])
            ]),
        CommandDescription(
            "doctor", summary: "look for what would keep a node from working",
            discussion: "Exit code 3 says that something was found.",
            options: [Settings.minFree.description.option, json] + node),
        CommandDescription("version", summary: "show the version", options: [json]),
        CommandDescription(
            "completions", summary: "print completions for a shell",
            discussion: "For bash: qnode completions bash > /etc/bash_completion.d/qnode",
            operand: OperandDescription(
                "SHELL", .one, completion: .words(Shell.allCases.map(\.rawValue)), help: "bash, zsh or fish")),
        CommandDescription(
            "help", summary: "show the help of a verb", operand: OperandDescription("VERB", .any, help: "a verb")),
    ]

    private static func option(_ option: OptionDescription, _ help: String) -> OptionDescription {
        OptionDescription(
            name: option.name, argument: option.argument, placeholder: option.placeholder,
            completion: option.completion,
            help: help)
    }
}

/// One `KEY=VALUE`.
package struct Metadatum: Hashable, Sendable {
    package let key: String
    package let value: String
}
