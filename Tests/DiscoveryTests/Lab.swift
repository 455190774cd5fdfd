import FoundationEssentials
import Glibc
import Model
import Reactor
import Testing

/// Network namespaces joined by veth pairs, and what runs in them. Everything ends with the test process, even where
/// that crashes: each child ends with its standard input, and one of them removes the namespaces.
actor Lab {
    let loop = EventLoop(name: "lab")
    private let prefix: String
    private let folder: String
    private var janitor: Child?
    private var children: [Child] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Why this machine cannot do it, or nil.
    static let obstacle: String? = {
        if geteuid() != 0 { return "network namespaces take root" }
        for tool in ["ip", "avahi-daemon", "dbus-daemon", "cc"] where find(tool) == nil {
            return "\(tool) is not installed"
        }
        if system("ip netns add qnlabtest$$ 2>/dev/null && ip netns del qnlabtest$$") != 0 {
            return "no network namespace can be made here"
        }
        return nil
    }()

    private static func find(_ tool: String) -> String? {
        ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"].map { $0 + tool }.first { access($0, X_OK) == 0 }
    }

    /// The built probe lies beside the test's own binary.
    static let probe: String = {
        var path = [CChar](repeating: 0, count: 4096)
        readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for place in [own] + CommandLine.arguments {
            guard let slash = place.lastIndex(of: "/") else { continue }
            let candidate = "\(place[..<slash])/discovery-probe"
            if access(candidate, X_OK) == 0 { return candidate }
        }
        return "discovery-probe"
    }()

    private init(number: Int) {
        prefix = "qn\(getpid() % 100_000)\(number)"
        let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        folder = "\(temporary)/\(prefix)"
    }

    private static let count = Locked(0)

    /// Runs `body` in a lab with two namespaces, "a" and "b", joined by one veth pair (10.77.0.1 and 10.77.0.2).
    static func run(_ body: @Sendable (Lab) async throws -> Void) async throws {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let lab = Lab(number: number)
        let outcome: Result<Void, any Error>
        do {
            try await lab.open()
            try await body(lab)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        let cleared: Result<Void, any Error>
        do {
            try await lab.close()
            cleared = .success(())
        } catch {
            cleared = .failure(error)
        }
        lab.loop.stop()
        try outcome.get()
        try cleared.get()
    }

    private func open() async throws {
        guard mkdir(folder, 0o755) == 0 else { throw ChildError(description: "mkdir \(folder)") }
        janitor = try await Child.start(
            on: loop, "janitor",
            ["sh", "-c", "cat > /dev/null; ip netns del \(space("a")); ip netns del \(space("b")); rm -rf \(folder)"])
        try shell(
            """
            ip netns add \(space("a")) && ip netns add \(space("b")) && \
            ip -n \(space("a")) link set lo up && ip -n \(space("b")) link set lo up
            """)
        try cable("tether", "10.77.0")
    }

    private func close() async throws {
        var stuck: (any Error)?
        for child in children.reversed() {
            do { try await child.stop() } catch { stuck = error }
        }
        children = []
        try await janitor?.stop()
        janitor = nil
        if let stuck { throw stuck }
    }

    func space(_ side: String) -> String { "\(prefix)\(side)" }

    /// A veth pair named alike on both sides, `<net>.1` in a and `<net>.2` in b.
    func cable(_ name: String, _ net: String) throws {
        try shell(
            """
            ip link add name \(name) netns \(space("a")) type veth peer name \(name) netns \(space("b")) && \
            ip -n \(space("a")) addr add \(net).1/24 dev \(name) && \
            ip -n \(space("b")) addr add \(net).2/24 dev \(name) && \
            ip -n \(space("a")) link set \(name) up && ip -n \(space("b")) link set \(name) up
            """)
    }

    /// ip(8) within a namespace.
    func ip(_ side: String, _ arguments: String) throws { try shell("ip -n \(space(side)) \(arguments)") }

    private func shell(_ script: String) throws {
        guard system(script) == 0 else { throw ChildError(description: "failed: \(script)") }
    }

    private func start(
        _ side: String, _ name: String, _ command: [String], environment: [String: String] = [:]
    ) async throws -> Child {
        let child = try await Child.start(
            on: loop, name, ["ip", "netns", "exec", space(side)] + command, environment: environment)
        children.append(child)
        return child
    }

    /// A node's discovery in a namespace; it asks for a daemon on that side's bus.
    func probe(
        _ side: String, _ name: String, id: UInt64, role: Role = .vehicle, mode: String = "auto",
        interfaces: [String] = [], environment: [String: String] = [:]
    ) async throws -> Child {
        try await start(
            side, name,
            [Self.probe, Hex.string(id, count: 16), name, role.rawValue, "\(9000 + id)", mode] + interfaces,
            environment: environment.merging(["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(folder)/\(side).bus"]) { $1 })
    }

    /// A wall clock that can be set, for the probes that are given its environment.
    func clock() throws -> SteppedClock {
        let clock = SteppedClock(folder: folder)
        try write(SteppedClock.source, to: "clock.c")
        try clock.set(0)
        try shell("cc -shared -fPIC -o \(clock.library) \(folder)/clock.c")
        return clock
    }

    /// A system bus of that side's own.
    func bus(_ side: String) async throws -> Child {
        let configuration = """
            <busconfig><type>system</type><listen>unix:path=\(folder)/\(side).bus</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
            <allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
            """
        try write(configuration, to: "\(side).conf")
        let bus = try await start(
            side, "bus \(side)",
            guarded("dbus-daemon --config-file=\(folder)/\(side).conf --nofork --print-address 2>&1"))
        _ = try await bus.wait("its address") { lines in lines.first { $0.hasPrefix("unix:") } }
        return bus
    }

    /// An avahi-daemon on that side's bus, ready.
    func daemon(_ side: String) async throws -> Child {
        let configuration = """
            [server]
            host-name=host-\(side)
            use-ipv4=yes
            use-ipv6=yes
            [wide-area]
            enable-wide-area=no
            [publish]
            publish-hinfo=no
            publish-workstation=no
            """
        try write(configuration, to: "\(side).avahi")
        // Its pid file has a fixed place: a /run of its own, in the mount namespace that `ip netns exec` made.
        let daemon = try await start(
            side, "daemon \(side)",
            guarded(
                "avahi-daemon --file=\(folder)/\(side).avahi --no-drop-root --no-chroot --no-rlimits 2>&1",
                before: "mount -t tmpfs tmpfs /run && mkdir -p /run/avahi-daemon"),
            environment: ["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(folder)/\(side).bus"])
        _ = try await daemon.wait("start-up complete") { lines in
            lines.first { $0.contains("startup complete") }
        }
        return daemon
    }

    /// A server that knows nothing of its standard input is ended with it.
    private func guarded(_ command: String, before: String = "true") -> [String] {
        [
            "sh", "-c",
            """
            \(before) && { exec 3<&0; \(command) < /dev/null & child=$!
            cat <&3 > /dev/null; kill $child; wait $child; }
            """,
        ]
    }

    private func write(_ text: String, to name: String) throws {
        let directory = try Directory.open(folder)
        let file = try directory.openFile(name, .createOrOpen)
        try file.truncate(to: 0)
        try file.write(Array(text.utf8), at: 0)
    }
}

/// One line of the probe.
struct Report: Decodable, Sendable {
    struct Peer: Decodable, Sendable {
        let instance: String
        let id: String
        let role: String?
        let boot: String?
        let endpoints: [String]
    }
    /// Milliseconds since the probe's start.
    let at: Int64
    let responder: String
    let reason: String
    let announcedAs: String?
    let fault: String?
    let invalid: Int64
    let peers: [Peer]

    func peer(_ id: UInt64) -> Peer? { peers.first { $0.id == Hex.string(id, count: 16) } }
}

extension Child {
    /// The first report after the `skipping` first lines that meets the condition, and how many lines there were up to
    /// it.
    @discardableResult
    func report(
        _ what: String, after skipping: Int = 0, within limit: Duration = .seconds(15),
        _ condition: @Sendable (Report) -> Bool
    ) async throws -> Report {
        try await wait(what, within: limit) { lines in
            for line in lines.dropFirst(skipping) where line.hasPrefix("{") {
                let report = try JSONDecoder().decode(Report.self, from: Data(line.utf8))
                if condition(report) { return report }
            }
            return nil
        }
    }

    var lineCount: Int { lines.count }
}
