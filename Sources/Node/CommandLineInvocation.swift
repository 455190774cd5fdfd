package import Model

/// What a command line asks for, with all of its values read: what `execute(_:)` does.
package enum Invocation: Hashable, Sendable {
    case run(NodeConfiguration)
    case status(StatusOptions)
    case sessions(SessionsOptions)
    case record(RecordOptions)
    case pull(PullOptions)
    case verify(FactsOptions)
    case rebuild(FactsOptions)
    case peers(FactsOptions)
    case clock(FactsOptions)
    case config(ConfigOptions)
    case set(SetOptions)
    case simulate(SimulateOptions)
    case doctor(DoctorOptions)
    case version(json: Bool)
    case completions(Shell)
    /// Text for standard output.
    case help(String)
    /// Nothing was asked: text for standard error, exit code 2.
    case usage(String)
}

/// A verb that prints facts about the node of one data directory.
package struct FactsOptions: Hashable, Sendable {
    /// The data directory, absolute: its socket leads to the running node.
    package let data: String
    package let json: Bool
}

/// `qnode doctor`.
package struct DoctorOptions: Hashable, Sendable {
    package let data: String
    package let json: Bool
    /// What the node would keep free; one that runs says what it keeps.
    package let minFree: Int64
}

/// `qnode status`.
package struct StatusOptions: Hashable, Sendable {
    /// The data directories of the nodes, at least one.
    package let data: [String]
    package let json: Bool
    /// Shown anew after this time, until interrupted; nil: once.
    package let watch: Duration?
    /// Ends when everything that the peers have is here.
    package var waitsSynced = false
    /// Gives up waiting after this; nil: only when interrupted.
    package var timeout: Duration?
}

/// `qnode sessions`.
package struct SessionsOptions: Hashable, Sendable {
    package let data: String
    package let json: Bool
    /// One session with its chunks; nil: the list.
    package let session: SessionID?
    package let mission: String?
    /// That one session is to be closed.
    package var closes = false
}

/// `qnode record`.
package struct RecordOptions: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case start(mission: String?, chunkInterval: Duration?, metadata: [String: String])
        case stop
        case marker(type: String?, text: String?)
    }

    package let data: String
    package let json: Bool
    package let action: Action
}

/// `qnode pull`: fetch what is missing now, once.
package struct PullOptions: Hashable, Sendable {
    package let data: String
    package let json: Bool
    /// Empty: every peer that is known.
    package let peers: [Endpoint]
    package let what: PullChoice
    /// Give up after this; nil: only when interrupted.
    package let timeout: Duration?
    /// Where no node runs; one that runs has its own.
    package let cap: ByteRate
}

/// `qnode config`.
package struct ConfigOptions: Hashable, Sendable {
    /// A setting as it holds, and who said so.
    package struct Row: Hashable, Sendable {
        package let name: String
        package let values: [String]
        /// `default`, `environment QNODE_DATA`, `/etc/qnode.conf line 3`, `option --data`.
        package let origin: String
    }

    package let rows: [Row]
    package let json: Bool
    package let columns: Int
}

/// `qnode config set`: changes a running node's cap.
package struct SetOptions: Hashable, Sendable {
    package let data: String
    package let json: Bool
    /// The setting's name: `cap` or `serve-cap`.
    package let setting: String
    package let cap: ByteRate
}

/// `qnode simulate q-series`: a sensor's double on a pty.
package struct SimulateOptions: Hashable, Sendable {
    /// A symbolic link to the pty, absolute; nil: only the pty's own name is printed.
    package let link: String?
    package let baud: Int
    package let settings: SensorSettings
    /// How many times faster than the real sensor.
    package let speed: Int
    /// The same number, the same readings and faults; nil: another each time.
    package let seed: UInt64?
    package let faults: Set<SimulatedFault>
    /// What stands before each value, glued to it.
    package let preamble: String
}

/// What goes wrong with a sensor in the field, by the name that `--fault` takes.
package enum SimulatedFault: String, Hashable, Sendable, CaseIterable {
    case garbage
    case cutLines = "cut-lines"
    case gluedLines = "glued-lines"
    case missingFields = "missing-fields"
    case extraFields = "extra-fields"
    case reset, hang, silence, unplug
    case badAveraging = "bad-averaging"
    case confused
    case neverAnswers = "never-answers"
}

/// A shell that completions are made for.
package enum Shell: String, Hashable, Sendable, CaseIterable {
    case bash, zsh, fish
}
