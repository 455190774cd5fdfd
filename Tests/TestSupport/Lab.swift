internal import Glibc
internal import Model
package import Reactor

/// Network namespaces joined by veth pairs, and what runs in them. Everything ends with the test process, even where
/// that crashes: the kernel kills what runs in the namespaces, and the janitor, whose input ends, removes them.
package actor Lab {
    /// What is between the two hosts.
    package enum Wiring: Sendable {
        /// One cable: both ends see it unplugged.
        case cable
        /// A switch: neither host sees the other unplugged.
        case bridge
        /// A switch that passes broadcasts and what is addressed to one host, and drops every multicast packet.
        case deafBridge
        /// A cable that does what it is told: `lab.tether` tells it. Both ends see it unplugged.
        case tether(TetherShape = TetherShape())
    }

    package nonisolated let loop = EventLoop(name: "lab")
    package nonisolated let folder: String
    private let prefix: String
    private let wiring: Wiring
    private var line: Tether?
    private var janitor: Child?
    private var children: [Child] = []

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Why this machine cannot do it, or nil.
    package static let obstacle: String? = {
        if geteuid() != 0 { return "network namespaces take root" }
        for tool in ["ip", "bridge", "setpriv", "avahi-daemon", "dbus-daemon", "cc"] where find(tool) == nil {
            return "\(tool) is not installed"
        }
        if system("ip netns add qnlabtest$$ 2>/dev/null && ip netns del qnlabtest$$") != 0 {
            return "no network namespace can be made here"
        }
        return nil
    }()

    /// Why no tether can be made here, or nil.
    package static let tetherObstacle: String? = {
        obstacle ?? (access("/dev/net/tun", R_OK | W_OK) == 0 ? nil : "/dev/net/tun is not there")
    }()

    /// For those who read why a suite was skipped.
    package static var excuse: String { tetherObstacle ?? "nothing is missing" }

    private static func find(_ tool: String) -> String? {
        ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"].map { $0 + tool }.first { access($0, X_OK) == 0 }
    }

    /// A program of this package: what was built lies beside the test's own binary.
    package static func built(_ program: String) -> String {
        var path = [CChar](repeating: 0, count: 4096)
        readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for place in [own] + CommandLine.arguments {
            guard let slash = place.lastIndex(of: "/") else { continue }
            let candidate = "\(place[..<slash])/\(program)"
            if access(candidate, X_OK) == 0 { return candidate }
        }
        return program
    }

    private init(number: Int, wiring: Wiring) {
        self.wiring = wiring
        prefix = "qn\(getpid() % 100_000)x\(number)"
        let temporary = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        folder = "\(temporary)/\(prefix)"
    }

    private static let count = Locked(0)

    /// Runs `body` in a lab with two namespaces, "a" and "b", each with an interface "tether": 10.77.0.1 and 10.77.0.2.
    package static func run(_ wiring: Wiring = .cable, _ body: @Sendable (Lab) async throws -> Void) async throws {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let lab = Lab(number: number, wiring: wiring)
        let outcome: Result<Void, any Error>
        do {
            // On the lab's own thread: tests of other suites may keep the pool's few busy.
            try await withTaskExecutorPreference(lab.loop) {
                try await lab.open()
                try await body(lab)
            }
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
        let spaces = ["a", "b", "s"].map(space)
        let removal = spaces.map { "ip netns del \($0) 2> /dev/null" }.joined(separator: "; ")
        janitor = try await Child.start(
            on: loop, "janitor", ["sh", "-c", "cat > /dev/null; \(removal); rm -rf \(folder)"])
        for space in spaces { try shell("ip netns add \(space) && ip -n \(space) link set lo up") }
        switch wiring {
        case .cable: try cable("tether", "10.77.0")
        case .bridge, .deafBridge: try bridge()
        case .tether(let shape): line = try await Tether.open(self, "tether", "10.77.0", shape)
        }
    }

    /// Of a lab with this wiring.
    package var tether: Tether {
        get throws {
            guard let line else { throw ChildError(description: "this lab has no tether: it is wired by \(wiring)") }
            return line
        }
    }

    private func close() async throws {
        // Without goodbyes, which nobody hears; and an avahi-daemon whose bus has ended while it had something to say
        // to a client heeds no signal but this (Debian's 0.8: it writes to the broken connection for ever).
        for child in children { await child.signal(SIGKILL) }
        var stuck: (any Error)?
        for child in children.reversed() {
            do { try await child.kill9() } catch { stuck = error }
        }
        children = []
        try await janitor?.stop()
        janitor = nil
        if let stuck { throw stuck }
    }

    package nonisolated func space(_ side: String) -> String { "\(prefix)\(side)" }
}

// MARK: - Wires

extension Lab {
    /// A veth pair named alike on both sides, `<net>.1` in a and `<net>.2` in b.
    package func cable(_ name: String, _ net: String) throws {
        try shell(
            """
            ip link add name \(name) netns \(space("a")) type veth peer name \(name) netns \(space("b")) && \
            ip -n \(space("a")) addr add \(net).1/24 dev \(name) && \
            ip -n \(space("b")) addr add \(net).2/24 dev \(name) && \
            ip -n \(space("a")) link set \(name) up && ip -n \(space("b")) link set \(name) up
            """)
    }

    private func bridge() throws {
        let middle = space("s")
        let flood = if case .deafBridge = wiring { "off" } else { "on" }
        try shell("ip -n \(middle) link add name switch type bridge mcast_snooping 0")
        try shell("ip -n \(middle) link set switch up")
        for (side, address) in [("a", "10.77.0.1/24"), ("b", "10.77.0.2/24")] {
            try shell(
                """
                ip link add name tether netns \(space(side)) type veth peer name port-\(side) netns \(middle) && \
                ip -n \(middle) link set port-\(side) master switch && \
                bridge -n \(middle) link set dev port-\(side) mcast_flood \(flood) && \
                ip -n \(middle) link set port-\(side) up && \
                ip -n \(space(side)) addr add \(address) dev tether && ip -n \(space(side)) link set tether up
                """)
        }
    }

    /// Takes host b off the tether.
    package func unplug() async throws {
        switch wiring {
        case .cable: try ip("b", "link set tether down")
        case .bridge, .deafBridge: try ip("s", "link set port-b nomaster")
        case .tether: try await tether.carrier(false)
        }
    }

    package func plugIn() async throws {
        switch wiring {
        case .cable: try ip("b", "link set tether up")
        case .bridge, .deafBridge: try ip("s", "link set port-b master switch")
        case .tether: try await tether.carrier(true)
        }
    }

    /// Pulls that host's cable out of the switch: the host sees its carrier go.
    package func pullCable(_ side: String) throws { try ip("s", "link set port-\(side) down") }

    package func plugCable(_ side: String) throws { try ip("s", "link set port-\(side) up") }

    /// ip(8) within a namespace.
    package func ip(_ side: String, _ arguments: String) throws { try shell("ip -n \(space(side)) \(arguments)") }

    /// No IPv6 in that namespace, on what is there and what comes.
    package func switchOffIPv6(_ side: String) throws {
        let settings = ["all", "default"].map { "/proc/sys/net/ipv6/conf/\($0)/disable_ipv6" }
        let script = settings.map { "echo 1 > \($0)" }.joined(separator: "; ")
        try shell("ip netns exec \(space(side)) sh -c '\(script)'")
    }

    package func shell(_ script: String) throws {
        guard system(script) == 0 else { throw ChildError(description: "failed: \(script)") }
    }
}

// MARK: - Processes

extension Lab {
    /// A process in that namespace, which asks for daemons on that side's bus. It is killed when this process ends.
    package func start(
        _ side: String, _ name: String, _ command: [String], environment: [String: String] = [:],
        ending: Child.Ending = .terminate
    ) async throws -> Child {
        // Both commands become what they start: the child is the process itself.
        let child = try await Child.start(
            on: loop, name, ["ip", "netns", "exec", space(side), "setpriv", "--pdeathsig", "KILL"] + command,
            environment: environment.merging(["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(folder)/\(side).bus"]) { $1 },
            ending: ending)
        children.append(child)
        return child
    }

    /// A process in the host's own namespaces. It is killed when this process ends, and its input ends with it.
    func start(_ name: String, _ command: [String]) async throws -> Child {
        let child = try await Child.start(on: loop, name, ["setpriv", "--pdeathsig", "KILL"] + command)
        children.append(child)
        return child
    }

    /// A system bus of that side's own.
    package func bus(_ side: String) async throws -> Child {
        let configuration = """
            <busconfig><type>system</type><listen>unix:path=\(folder)/\(side).bus</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
            <allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
            """
        try write(configuration, to: "\(side).conf")
        let bus = try await start(
            side, "bus \(side)",
            ["dbus-daemon", "--config-file=\(folder)/\(side).conf", "--nofork", "--print-address"])
        _ = try await bus.wait("its address") { lines in lines.first { $0.hasPrefix("unix:") } }
        return bus
    }

    /// An avahi-daemon on that side's bus, ready.
    package func daemon(_ side: String) async throws -> Child {
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
            [
                "sh", "-c",
                """
                mount -t tmpfs tmpfs /run && mkdir -p /run/avahi-daemon && exec avahi-daemon \
                --file=\(folder)/\(side).avahi --no-drop-root --no-chroot --no-rlimits
                """,
            ])
        _ = try await daemon.wait("start-up complete") { lines in
            lines.first { $0.contains("startup complete") }
        }
        return daemon
    }

    package func write(_ text: String, to name: String) throws {
        let directory = try Directory.open(folder)
        let file = try directory.openFile(name, .createOrOpen)
        try file.truncate(to: 0)
        try file.write(Array(text.utf8), at: 0)
    }
}
