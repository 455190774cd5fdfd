import FoundationEssentials
import Glibc
import Reactor

/// Two nodes with nothing but defaults, the vehicle recording a simulated sensor in chunks of one second.
final class MirrorRival: OutageRival {
    let name = "qnode"
    private let vehicle: NodeProcess
    private let topside: NodeProcess

    init(_ hosts: TetheredPlace) throws {
        vehicle = try hosts.node(
            "a", "outage-vehicle", role: "vehicle", ["--simulate", "--chunk-interval", "1s"])
        topside = try hosts.node("b", "outage-topside", role: "topside")
    }

    func work() throws {
        for node in [vehicle, topside] where !node.isRunning() {
            throw BenchError("\(node.data): the node has ended")
        }
    }

    func made() throws -> Int { try vehicle.chunkCount() }
    func arrived() throws -> Int { try topside.chunkCount() }

    func stop() { for node in [topside, vehicle] { node.stop() } }
}

/// Files of 3 kB in a folder of host a, a new one each second, as a program writes them that wants them read whole.
private final class FileSource {
    let path: String
    let copy: String
    private(set) var count = 0
    private var last: Stopwatch?

    init(_ hosts: TetheredPlace, _ name: String) throws {
        path = "\(hosts.place.path)/\(name)-source"
        copy = "\(hosts.place.path)/\(name)-copy"
        for folder in [path, copy] { try makeDirectories(folder) }
    }

    func work() throws {
        if let last, last.seconds < 1 { return }
        last = Stopwatch()
        var random = SystemRandomNumberGenerator()
        let folder = try Directory.open(path)
        let file = try folder.openFile(".new", .createNew)
        try file.write(randomBytes(3000, &random))
        try file.synchronize()
        guard rename("\(path)/.new", "\(path)/\(count)") == 0 else { throw BenchError("rename in \(path)") }
        count += 1
    }

    /// Both rsync and syncthing give a file its name when it is whole; what they begin has a name with a dot.
    func arrived() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: copy).count { !$0.hasPrefix(".") }
    }
}

/// What people run who have no better: rsync from a daemon, again a second after it ended. `--timeout` is what they
/// find out that they need.
final class RsyncRival: OutageRival {
    let name = "rsync --timeout=10, each second"
    private let hosts: TetheredPlace
    private let source: FileSource
    private let daemon: NodeProcess
    private var client: NodeProcess?
    private var ended: Stopwatch?

    init(_ hosts: TetheredPlace) throws {
        self.hosts = hosts
        source = try FileSource(hosts, "rsync")
        let configuration = "\(hosts.place.path)/rsyncd.conf"
        try Data(
            """
            use chroot = no
            uid = \(getuid())
            gid = \(getgid())
            [source]
            path = \(source.path)
            exclude = .new

            """.utf8
        ).write(to: URL(filePath: configuration))
        daemon = try hosts.start(
            "a", "rsync-daemon", ["rsync", "--daemon", "--no-detach", "--config=\(configuration)"])
    }

    func work() throws {
        try source.work()
        guard daemon.isRunning() else { throw BenchError("the rsync daemon has ended") }
        if let client, client.isRunning() { return }
        guard let ended else {
            ended = Stopwatch()
            return
        }
        guard ended.seconds >= 1 else { return }
        self.ended = nil
        client = try hosts.start(
            "b", "rsync-client",
            [
                "rsync", "--recursive", "--times", "--fsync", "--timeout=10", "--contimeout=10",
                "rsync://10.77.0.1/source/", source.copy,
            ])
    }

    func made() -> Int { source.count }
    func arrived() throws -> Int { try source.arrived() }

    func stop() {
        client?.stop()
        daemon.stop()
    }
}

/// Two syncthings that know each other's address; no relay, no discovery beyond the link, nothing sent to anybody.
final class SyncthingRival: OutageRival {
    let name: String
    private let source: FileSource
    private var daemons: [NodeProcess] = []

    /// Seconds; Debian's 1.19 dials each 60 s and looks at changed files after 10 s.
    init(_ hosts: TetheredPlace, name: String, reconnection: Int = 60, watch: Int = 10) throws {
        self.name = name
        let label = "syncthing-\(reconnection)"
        source = try FileSource(hosts, label)
        let homes = ["a", "b"].map { "\(hosts.place.path)/\(label)-\($0)" }
        let devices = try homes.map { try Self.generate(hosts, $0) }
        for (side, home) in zip(["a", "b"], homes) {
            let path = side == "a" ? source.path : source.copy
            let configuration = Self.configuration(
                path: path, type: side == "a" ? "sendonly" : "receiveonly", devices: devices,
                reconnection: reconnection, watch: watch)
            try makeDirectories(path + "/.stfolder")
            try Data(configuration.utf8).write(to: URL(filePath: "\(home)/config.xml"))
            daemons.append(
                try hosts.start(
                    side, "\(label)-\(side).run",
                    // Monitored, as it says: without a process of its own that only looks after it.
                    [
                        "env", "STMONITORED=yes", "syncthing", "serve", "--home=\(home)", "--no-browser",
                        "--no-upgrade",
                    ]))
        }
    }

    /// Makes a key, and gives the device's id, which syncthing writes into its first configuration.
    private static func generate(_ hosts: TetheredPlace, _ home: String) throws -> String {
        let words = ["syncthing", "generate", "--home=\(home)", "--no-default-folder", "--skip-port-probing"]
        try hosts.start("a", "syncthing-generate", words).finish()
        guard let bytes = FileManager.default.contents(atPath: "\(home)/config.xml") else {
            throw BenchError("syncthing made no \(home)/config.xml")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let device = text.firstMatch(of: #/<device id="([A-Z0-9-]{60,})"/#) else {
            throw BenchError("no device in \(home)/config.xml")
        }
        return String(device.1)
    }

    private static func configuration(
        path: String, type: String, devices: [String], reconnection: Int, watch: Int
    ) -> String {
        let members = devices.map { "<device id=\"\($0)\"></device>" }.joined()
        let addresses = zip(devices, ["10.77.0.1", "10.77.0.2"]).map { device, address in
            """
            <device id="\(device)" name="\(address)"><address>tcp://\(address):22000</address>\
            <address>quic://\(address):22000</address></device>
            """
        }
        .joined()
        return """
            <configuration version="36">
            <folder id="data" path="\(path)" type="\(type)" rescanIntervalS="3600" fsWatcherEnabled="true" \
            fsWatcherDelayS="\(watch)">\(members)</folder>
            \(addresses)
            <gui enabled="false"></gui>
            <options>
            <listenAddress>tcp://:22000</listenAddress><listenAddress>quic://:22000</listenAddress>
            <reconnectionIntervalS>\(reconnection)</reconnectionIntervalS>
            <globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>true</localAnnounceEnabled>
            <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
            <crashReportingEnabled>false</crashReportingEnabled><startBrowser>false</startBrowser>
            <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
            </options>
            </configuration>
            """
    }

    func work() throws {
        try source.work()
        for daemon in daemons where !daemon.isRunning() { throw BenchError("\(daemon.data): syncthing has ended") }
    }

    func made() -> Int { source.count }
    func arrived() throws -> Int { try source.arrived() }

    func stop() { for daemon in daemons { daemon.stop() } }
}
