import FoundationEssentials
import Glibc
import Model
import Reactor

/// How exactly a cap holds on the wire, in Ethernet bytes of a virtual cable, beside rsync and rclone with theirs.
struct CapBench {
    let place: Place
    private static let cap = 512_000.0
    private static let settling = 3.0
    private static let measured = 20.0

    func run() async throws {
        guard geteuid() == 0 else { return Report.line("the cap", "not measured: a network namespace needs root") }
        let cable = try Cable(place)
        defer { cable.remove() }
        try await compare(
            "64 MB chunks", PreparedStore(place: place, name: "cap-l", chunkBytes: 64_000_000, chunkCount: 1))
        try await compare("6 kB chunks", PreparedStore(place: place, name: "cap-s", chunkBytes: 6000, chunkCount: 6000))
    }

    private func compare(_ what: String, _ prepared: PreparedStore) async throws {
        try await prepared.make()
        try await node(what, prepared)
        try await rsync(what, prepared)
        try await rclone(what, prepared)
    }

    private func node(_ what: String, _ prepared: PreparedStore) async throws {
        let vehicle = try NodeProcess(
            place, prepared.name,
            [
                "--role", "vehicle", "--data", prepared.path, "--listen", "\(Cable.far):9150", "--serial", "off",
                "--mdns", "off",
            ], entrance: Cable.entrance)
        defer { vehicle.stop() }
        while try !vehicle.said("the node runs") { try await place.pause(.milliseconds(10)) }
        let topside = try NodeProcess(
            place, "\(prepared.name)-topside",
            [
                "--role", "topside", "--data", "\(prepared.path)-topside", "--listen", "127.0.0.1:0", "--mdns", "off",
                "--peer", "\(Cable.far):9150", "--cap", "500KiB/s",
            ])
        defer { topside.stop() }
        try await measure("\(what): qnode", budget: "95–100 %, 102 %")
    }

    private func rsync(_ what: String, _ prepared: PreparedStore) async throws {
        let settings = "\(place.path)/rsyncd.conf"
        let text = "[m]\npath=\(prepared.path)/chunks\nuse chroot=no\nuid=0\ngid=0\n"
        guard FileManager.default.createFile(atPath: settings, contents: Data(text.utf8)) else {
            throw BenchError("cannot write \(settings)")
        }
        let server = try NodeProcess(
            place, "rsyncd", ["--daemon", "--no-detach", "--port", "8873", "--config", settings],
            entrance: Cable.entrance, program: "rsync")
        defer { server.stop() }
        try await place.pause(.milliseconds(500))
        let client = try NodeProcess(
            place, "rsync",
            [
                "-r", "--whole-file", "--bwlimit=500", "rsync://\(Cable.far):8873/m/",
                "\(prepared.path)-rsync/",
            ], program: "rsync")
        defer { client.stop() }
        try await measure("\(what): rsync --bwlimit=500")
    }

    private func rclone(_ what: String, _ prepared: PreparedStore) async throws {
        guard access("/usr/bin/rclone", X_OK) == 0 else { return Report.line("rclone", "not here") }
        let server = try NodeProcess(
            place, "rcloned", ["serve", "http", "--addr", "\(Cable.far):8123", "\(prepared.path)/chunks"],
            entrance: Cable.entrance, program: "rclone")
        defer { server.stop() }
        try await place.pause(.seconds(1))
        let client = try NodeProcess(
            place, "rclone",
            [
                "copy", "--bwlimit", "500K", "--http-url", "http://\(Cable.far):8123", ":http:",
                "\(prepared.path)-rclone",
            ], program: "rclone")
        defer { client.stop() }
        try await measure("\(what): rclone --bwlimit 500K")
    }

    /// Waits until much flows, lets it settle, and looks at the cable every ten milliseconds.
    private func measure(_ what: String, budget: String = "") async throws {
        let begun = try Cable.received()
        let patience = Stopwatch()
        while try Cable.received() - begun < 100_000 {
            guard patience.seconds < 60 else { throw BenchError("\(what): nothing flows") }
            try await place.pause(.milliseconds(10))
        }
        let watch = Stopwatch()
        var samples: [(at: Double, bytes: Double)] = []
        while watch.seconds < Self.settling + Self.measured {
            try await place.pause(.milliseconds(10))
            guard watch.seconds >= Self.settling else { continue }
            let (before, bytes, after) = (watch.seconds, try Cable.received(), watch.seconds)
            // A look that was interrupted does not know its time.
            if after - before < 0.001 { samples.append((after, Double(bytes))) }
        }
        guard let first = samples.first, let last = samples.last else { return }
        let average = (last.bytes - first.bytes) / (last.at - first.at) / Self.cap
        let (second, tenth) = (Self.worst(samples, 1) / Self.cap, Self.worst(samples, 0.1) / Self.cap)
        Report.line(
            what, "\(Report.fixed(average * 100, 1)) % on average",
            beside: "worst second \(Report.fixed(second * 100, 1)) %, worst 100 ms \(Report.fixed(tenth * 100, 1)) %",
            budget: budget)
    }

    /// The most bytes a second in any window of so many seconds.
    private static func worst(_ samples: [(at: Double, bytes: Double)], _ window: Double) -> Double {
        var (worst, start) = (0.0, 0)
        for end in samples.indices {
            while samples[end].at - samples[start + 1 < end ? start + 1 : start].at >= window { start += 1 }
            let time = samples[end].at - samples[start].at
            if time >= window { worst = max(worst, (samples[end].bytes - samples[start].bytes) / time) }
        }
        return worst
    }
}

/// Two ends of a virtual cable, the far one in a namespace of its own; packets on it are as large as on a real one.
private struct Cable {
    static let far = "10.213.77.2"
    private static let namespace = "qnode-bench"
    private static let near = "qnbench0"
    static let entrance = ["ip", "netns", "exec", namespace]

    init(_ place: Place) throws {
        remove()
        for command in [
            "ip netns add \(Self.namespace)",
            "ip link add \(Self.near) type veth peer name qnbench1 netns \(Self.namespace)",
            "ip address add 10.213.77.1/30 dev \(Self.near)", "ip link set \(Self.near) up",
            "ip -n \(Self.namespace) address add \(Self.far)/30 dev qnbench1",
            "ip -n \(Self.namespace) link set qnbench1 up", "ip -n \(Self.namespace) link set lo up",
            "ip netns exec \(Self.namespace) ethtool -K qnbench1 tso off gso off gro off",
            "ethtool -K \(Self.near) tso off gso off gro off",
        ] {
            guard Self.run(command) else { throw BenchError("failed: \(command)") }
        }
    }

    func remove() {
        // Neither has to be there.
        _ = Self.run("ip netns delete \(Self.namespace)")
        _ = Self.run("ip link delete \(Self.near)")
    }

    static func received() throws -> Int64 {
        let path = "/sys/class/net/\(near)/statistics/rx_bytes"
        guard let bytes = FileManager.default.contents(atPath: path),
            let count = Int64(String(decoding: bytes, as: UTF8.self).filter(\.isNumber))
        else { throw BenchError("cannot read \(path)") }
        return count
    }

    private static func run(_ command: String) -> Bool {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var words: [UnsafeMutablePointer<CChar>?] = command.split(separator: " ").map { strdup(String($0)) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        guard posix_spawnp(&pid, words[0]!, &actions, nil, &words, environ) == 0 else { return false }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status == 0
    }
}
