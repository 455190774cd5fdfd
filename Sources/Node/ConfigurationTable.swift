internal import Model
internal import Reactor
internal import Storage

/// The table of settings. A setting stands here only when it works.
package enum Settings {
    static let role = Setting<Role>(
        "role", .word, section: node, help: "What this node is set up for; it chooses the defaults below")
    static let config = Setting<String>(
        "config", .path("FILE", completion: .files), section: node,
        help: "Read settings from FILE: lines of name = value, # starts a comment")
    static let data = Setting<String>(
        "data", .path("DIR", completion: .directories),
        default: .found("/var/lib/qnode for root, else ~/.local/share/qnode"),
        olderEnvironment: ["CHUNK_RECORDING_PATH"], section: node, help: "Keep everything recorded and mirrored in DIR")
    static let identity = Setting<String>(
        "identity", .path("DIR", completion: .directories), default: .found("identity in the data directory"),
        section: node, help: "Keep the node's key in DIR")
    static let minFree = Setting<Int64>(
        "min-free",
        .size(in: Limits.minFree, because: "below, a full disk has no room left to tell of; above, no disk would do"),
        default: .value("100MB"), section: node,
        help: "Warn when the disk has less than this left; recording goes on, pulling stops")
    static let listen = Setting<Endpoint>(
        "listen", .listen, default: .value("[::]:9150"), olderEnvironment: ["API_PORT"], section: node,
        help: "Answer peers and clients at this address; [::] means IPv4 too")
    static let name = Setting<String>(
        "name", .text("NAME", limit: Limits.nodeNameBytes), default: .found("the host's name"), section: node,
        help: "What people and other nodes see")
    static let logLevel = Setting<Log.Level>(
        "log-level", .word(Log.Level.allCases.map { ("\($0)", $0) }), default: .value("info"), section: node,
        help: "Say nothing below this level on standard error")

    static let source = Setting<SourceKind>(
        "source", .word, default: .found("q-series, or lines where --lines-from is given"), section: instrument,
        help: "Which kind of instrument is recorded")
    static let serial = Setting<SerialChoice>(
        "serial", .serial, default: .byRole(vehicle: "auto", topside: "off"),
        olderEnvironment: ["SERIAL_PORT", "SERIAL_BAUD"], section: instrument,
        help: "Where the Q-Series sensor is; auto finds its adapter, auto@BAUD at one rate only")
    static let simulate = Setting<Bool>(
        "simulate", .onOff, default: .value("off"), bare: "on", section: instrument,
        help: "Record a simulated Q-Series sensor")
    static let linesFrom = Setting<LinesOrigin>(
        "lines-from", .lines, section: instrument, help: "Record any sensor that prints lines: NMEA and the like")
    static let sensor = Setting<SensorPolicy>(
        "sensor", .word, default: .value("passive"), section: instrument,
        help: "passive leaves the sensor's settings alone, setup enters its menu before recording")
    static let averaging = Setting<Int>(
        "averaging", .count("N", in: 1...65_535), section: instrument,
        help: "With --sensor setup: readings averaged to one row")
    static let adcRate = Setting<Int>(
        "adc-rate", .oneOf([4, 8, 16, 33, 62, 125, 250, 500], placeholder: "HZ"), section: instrument,
        help: "With --sensor setup: readings a second, one of 4, 8, 16, 33, 62, 125, 250, 500")
    static let sensorMode = Setting<SensorModeKind>(
        "sensor-mode", .word, section: instrument, help: "With --sensor setup: rows come by themselves or when asked")
    static let tag = Setting<Character>(
        "tag", .word("ABCDEF".map { (String($0), $0) }), default: .found("A"), section: instrument,
        help: "With --sensor-mode polled: the letter the sensor answers to")
    static let sensorID = Setting<String>(
        "sensor-id", .identifier("ID", limit: Limits.sensorIDBytes), default: .found("the port's name"),
        section: instrument, help: "What the rows call the sensor")

    static let record = Setting<Bool>(
        "record", .onOff, default: .byRole(vehicle: "on", topside: "off"), bare: "on", section: recording,
        help: "Start recording with the first row")
    static let mission = Setting<String>(
        "mission", .text("NAME", limit: Limits.missionBytes), default: .value("unnamed"), section: recording,
        help: "The mission that recordings belong to")
    static let format = Setting<StreamDescription.Format>(
        "format", .word([("csv", .csv), ("jsonl", .jsonl)]), default: .value("csv"), section: recording,
        help: "How rows are written")
    static let chunkInterval = Setting<Duration>(
        "chunk-interval",
        .duration(
            in: Limits.chunkInterval, because: "below, a chunk costs more than it carries; above, it is sealed too late"
        ),
        default: .value("60s"), section: recording, help: "Seal a chunk after this time")
    static let chunkSize = Setting<Int64>(
        "chunk-size",
        .size(
            in: Limits.chunkSizeFloor...Limits.chunkSizeCeiling,
            because: "below, the catalogue outweighs the data; above, no peer would take the chunk"),
        default: .value("5MB"), section: recording, help: "Seal a chunk at this size, should that come first")
    static let commitInterval = Setting<Duration>(
        "commit-interval", .duration(in: Limits.commitInterval, because: "it is what a power cut may cost"),
        default: .value("200ms"), section: recording,
        help: "Make rows durable at least this often; 0 means each batch at once")
    static let view = Setting<ViewMode>(
        "view", .word, default: .value("link"), section: recording,
        help: "How the folder for people is made: link takes no space, copy is for file systems without links")

    static let peer = Setting<Endpoint>(
        "peer", .peer, repeats: true, section: network, help: "Dial this node, where multicast is blocked")
    static let mdns = Setting<DiscoveryChoice>(
        "mdns", .word, default: .value("auto"), section: network,
        help: "Find and be found through avahi-daemon or an embedded responder; auto takes the daemon where one runs")
    static let interface = Setting<String>(
        "interface", .interface, default: .found("all"), repeats: true, section: network,
        help: "Announce and look for nodes on this interface only")
    static let pull = Setting<PullChoice>(
        "pull",
        ValueForm("all|none|MISSION", completion: .words(["all", "none"])) { text throws(ValueError) in
            switch text {
            case "all": .all
            case "none": .none
            default: .mission(try mission.form.read(text))
            }
        },
        default: .byRole(vehicle: "none", topside: "all"), section: network,
        help: "Fetch what peers recorded: everything, nothing or one mission")

    static let cap = Setting<ByteRate>(
        "cap", .rate, default: .value("500KiB/s"), section: network,
        help: "Fetch no more than this from all peers together, as bytes on the wire")
    static let serveCap = Setting<ByteRate>(
        "serve-cap", .rate, default: .value("off"), section: network,
        help: "Send no more than this of chunks to all peers together")

    /// In the order of the help.
    package static let all: [SettingDescription] = [
        role.description, config.description, data.description, identity.description, minFree.description,
        listen.description, name.description, logLevel.description,
        source.description, serial.description, simulate.description, linesFrom.description, sensor.description,
        averaging.description, adcRate.description, sensorMode.description, tag.description, sensorID.description,
        record.description, mission.description, format.description, chunkInterval.description, chunkSize.description,
        commitInterval.description, view.description,
        peer.description, mdns.description, interface.description, pull.description, cap.description,
        serveCap.description,
    ]

    private static let node = "Node"
    private static let instrument = "Instrument"
    private static let recording = "Recording"
    private static let network = "Peers"
}

/// The value of `--source`.
package enum SourceKind: String, Hashable, Sendable, CaseIterable {
    case qSeries = "q-series"
    case lines
}

/// The value of `--sensor`.
package enum SensorPolicy: String, Hashable, Sendable, CaseIterable {
    case passive, setup
}

/// The value of `--sensor-mode`.
package enum SensorModeKind: String, Hashable, Sendable, CaseIterable {
    case freeRun = "freerun"
    case polled
}
