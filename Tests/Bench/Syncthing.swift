import FoundationEssentials
import Glibc
import HTTP
import Model
import Reactor

/// Two instances of Debian's syncthing on loopback, one with all the files and one with none: no discovery, no relay,
/// everything else as it comes, its fsync of each file among it.
struct Syncthing {
    let place: Place
    /// The folder of files to be mirrored, and how many they are.
    let source: String
    let fileCount: Int
    let name: String

    static var isHere: Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            access("\($0)/syncthing", X_OK) == 0
        }
    }

    private struct Instance {
        let home: String
        let folder: String
        let isSender: Bool
        let gui: UInt16
        let port: UInt16
        var id = ""
    }

    private static let key = "bench"

    /// The receiver is started when the sender has digested all of its files; measured until the receiver has them.
    func run() async throws -> MirrorRun {
        var sender = Instance(
            home: "\(place.path)/\(name)-sender", folder: source, isSender: true, gui: try Place.freePort(),
            port: try Place.freePort())
        var receiver = Instance(
            home: "\(place.path)/\(name)-receiver", folder: "\(place.path)/\(name)-files", isSender: false,
            gui: try Place.freePort(), port: try Place.freePort())
        sender.id = try await prepare(sender)
        receiver.id = try await prepare(receiver)
        try configure(sender, peer: receiver)
        try configure(receiver, peer: sender)
        let from = try start(sender)
        defer { from.stop() }
        try await until(sender, within: 600) { $0.localFiles == fileCount && $0.state == "idle" }
        place.settle()
        let served = try from.processorSeconds()
        let watch = Stopwatch()
        let to = try start(receiver)
        defer { to.stop() }
        try await until(receiver, within: 1200) { $0.inSyncFiles == fileCount }
        return MirrorRun(
            seconds: watch.seconds, receiver: try to.processorSeconds(), sender: try from.processorSeconds() - served,
            peakBytes: try to.memory().peak)
    }

    private func prepare(_ instance: Instance) async throws -> String {
        try makeDirectories(instance.home)
        try makeDirectories(instance.folder)
        // What marks a folder as one that is meant.
        try makeDirectories(instance.folder + "/.stfolder")
        _ = try await finished(["generate", "--home", instance.home, "--no-default-folder", "--skip-port-probing"])
        return try await finished(["--device-id", "--home", instance.home])
    }

    /// What a command of syncthing prints.
    private func finished(_ arguments: [String]) async throws -> String {
        let output = "\(place.path)/\(name)-words"
        let words = (["syncthing"] + arguments).joined(separator: " ")
        let process = try NodeProcess(place, "\(name)-shell", ["-c", "\(words) > \(output)"], program: "sh")
        try process.finish()
        guard let bytes = FileManager.default.contents(atPath: output) else {
            throw BenchError("syncthing said nothing")
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? ""
    }

    private func configure(_ instance: Instance, peer: Instance) throws {
        let kind = instance.isSender ? "sendonly" : "receiveonly"
        let devices = [instance, peer].map { device in
            """
            <device id="\(device.id)" name="\(device.isSender ? "sender" : "receiver")" compression="metadata">
            <address>tcp://127.0.0.1:\(device.port)</address></device>
            """
        }
        let text = """
            <configuration version="36">
            <folder id="bench" path="\(instance.folder)" type="\(kind)" rescanIntervalS="0" fsWatcherEnabled="false">
            <device id="\(instance.id)"></device><device id="\(peer.id)"></device></folder>
            \(devices.joined(separator: "\n"))
            <gui enabled="true" tls="false"><address>127.0.0.1:\(instance.gui)</address>
            <apikey>\(Self.key)</apikey></gui>
            <options><listenAddress>tcp://127.0.0.1:\(instance.port)</listenAddress>
            <globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
            <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><startBrowser>false</startBrowser>
            <urAccepted>-1</urAccepted><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
            <crashReportingEnabled>false</crashReportingEnabled>
            <reconnectionIntervalS>1</reconnectionIntervalS></options>
            </configuration>
            """
        try Data(text.utf8).write(to: URL(filePath: instance.home + "/config.xml"))
    }

    private func start(_ instance: Instance) throws -> NodeProcess {
        try NodeProcess(
            place, instance.isSender ? "\(name)-a" : "\(name)-b",
            // Monitored, as it says: without a process of its own that only looks after it.
            ["STMONITORED=yes", "syncthing", "serve", "--home", instance.home, "--no-browser", "--no-upgrade"],
            program: "env")
    }

    private struct FolderStatus: Decodable {
        let localFiles: Int
        let inSyncFiles: Int
        let state: String
    }

    private func until(_ instance: Instance, within limit: Double, _ isReached: (FolderStatus) -> Bool) async throws {
        let watch = Stopwatch()
        while true {
            if let status = await status(of: instance), isReached(status) { return }
            guard watch.seconds < limit else { throw BenchError("syncthing did not get there within \(limit) s") }
            try await place.pause(.milliseconds(50))
        }
    }

    /// nil while it does not answer yet.
    private func status(of instance: Instance) async -> FolderStatus? {
        do {
            let connection = try await HTTPConnection.open(
                to: Endpoint(host: "127.0.0.1", port: instance.gui), on: place.loop)
            let response = try await connection.send(
                HTTPClientRequest(.get, "/rest/db/status?folder=bench", headers: ["X-API-Key": Self.key]))
            let body = try await response.body.collect()
            await connection.close()
            return try JSONDecoder().decode(FolderStatus.self, from: Data(body))
        } catch {
            return nil
        }
    }
}
