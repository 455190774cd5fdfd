internal import Glibc
internal import Model
package import Reactor

/// Why a process of a test, or what it was to do, failed, with its last lines.
package struct ChildError: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// A process of the test's own: its standard input ends with the test, what it writes comes out of `lines`. Lives on
/// its loop.
package actor Child {
    /// How it is told to end.
    package enum Ending: Sendable {
        /// By the end of its standard input.
        case input
        case terminate
    }

    private let loop: EventLoop
    private let ending: Ending
    package nonisolated let name: String
    private var pid: pid_t = 0
    private var input: Int32 = -1
    private var output: Int32 = -1
    private var watch: DescriptorWatch?
    private var partial: [UInt8] = []
    package private(set) var lines: [String] = []
    private var isOver = false
    private var waiters: [CheckedContinuation<Void, Never>] = []
    /// How often it rang; what a waiter looked at is stale when this has moved on.
    private var rings = 0

    /// Longer than any of them takes on a machine that is busy with something else.
    private static let patience = Duration.seconds(60)

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private init(loop: EventLoop, name: String, ending: Ending) {
        self.loop = loop
        self.name = name
        self.ending = ending
    }

    package static func start(
        on loop: EventLoop, _ name: String, _ command: [String], environment: [String: String] = [:],
        ending: Ending = .input
    ) async throws -> Child {
        let child = Child(loop: loop, name: name, ending: ending)
        try await child.spawn(command, environment: environment)
        return child
    }

    private func spawn(_ command: [String], environment: [String: String]) throws {
        let inPipe = try Self.pipe()
        let outPipe = try Self.pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, inPipe.0, 0)
        posix_spawn_file_actions_adddup2(&actions, outPipe.1, 1)
        posix_spawn_file_actions_adddup2(&actions, outPipe.1, 2)
        // The test's own process may have signals blocked, and a daemon that cannot be told to end never does.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var usual = sigset_t()
        sigemptyset(&usual)
        for number in [SIGTERM, SIGINT, SIGPIPE] { sigaddset(&usual, number) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &usual)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var variables = environment
        for name in ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "PROBE_LOG"] where variables[name] == nil {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var settings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + settings { free(text) } }
        let code = posix_spawnp(&pid, command[0], &actions, &attributes, &arguments, &settings)
        close(inPipe.0)
        close(outPipe.1)
        guard code == 0 else {
            close(inPipe.1)
            close(outPipe.0)
            throw ChildError(description: "\(command[0]): \(String(cString: strerror(code)))")
        }
        input = inPipe.1
        output = outPipe.0
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
        watch = DescriptorWatch(on: loop, descriptor: output, for: .read) { [weak self] in
            self?.assumeIsolated { $0.read() }
        }
        watch?.resume()
    }

    /// A socket pair, since that is closed in other children from its first moment.
    private static func pipe() throws -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw ChildError(description: "socketpair") }
        return (ends[0], ends[1])
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(output, &buffer, buffer.count)
            if count > 0 {
                partial += buffer[..<count]
                continue
            }
            if count == 0 {
                isOver = true
                watch = nil
            }
            break
        }
        while let end = partial.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(String(decoding: partial[..<end], as: UTF8.self))
            partial.removeSubrange(...end)
        }
        ring()
    }

    private func ring() {
        rings += 1
        let waiters = waiters
        self.waiters = []
        for waiter in waiters { waiter.resume() }
    }

    /// Ends with the next ring after `seen`. Even to be suspended takes a turn of the loop, for a task that does not
    /// prefer it, and lines may come in between.
    private func nextRing(after seen: Int) async {
        await withCheckedContinuation { continuation in
            if rings == seen { waiters.append(continuation) } else { continuation.resume() }
        }
    }

    /// Waits until `found` makes something of the lines.
    package func wait<Found: Sendable>(
        _ what: String, within limit: Duration = .seconds(60), _ found: @Sendable ([String]) throws -> Found?
    ) async throws -> Found {
        let deadline = SystemClock.monotonic().advanced(by: limit)
        let timer = LoopTimer(on: loop) { self.assumeIsolated { $0.ring() } }
        timer.set(after: limit)
        defer { timer.cancel() }
        while true {
            let seen = rings
            if let result = try found(lines) { return result }
            guard !isOver else { throw ChildError(description: "\(name) ended before: \(what)\n\(last)") }
            guard SystemClock.monotonic() < deadline else {
                throw ChildError(description: "\(name), after \(limit), not: \(what)\n\(last)")
            }
            await nextRing(after: seen)
        }
    }

    /// Writes one line to its standard input.
    package func tell(_ line: String) throws {
        let bytes = Array("\(line)\n".utf8)
        guard input >= 0, send(input, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw ChildError(description: "\(name) does not take: \(line)\n\(last)")
        }
    }

    /// What it said last.
    package var last: String { lines.suffix(12).joined(separator: "\n") }

    /// Tells it to end, waits for its end, and gives its wait status: 0 where it left with code 0.
    @discardableResult
    package func stop() async throws -> Int32 {
        if input >= 0 { close(input) }
        input = -1
        if case .terminate = ending { signal(SIGTERM) }
        return try await ended()
    }

    /// What the process has used of the processor so far.
    package func processorTime() throws -> Duration {
        let stat = try Directory.open("/proc/\(pid)").openFile("stat", .read).read(count: 1024, at: 0)
        let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else {
            throw ChildError(description: "/proc/\(pid)/stat")
        }
        return .milliseconds((user + system) * 1000 / Int64(sysconf(Int32(_SC_CLK_TCK))))
    }

    package func signal(_ number: Int32) { if pid > 0 { kill(pid, number) } }

    /// Ends it at once, and waits for its end.
    @discardableResult
    package func kill9() async throws -> Int32 {
        signal(SIGKILL)
        return try await ended()
    }

    private func ended() async throws -> Int32 {
        guard pid > 0 else { return 0 }
        let deadline = SystemClock.monotonic().advanced(by: Self.patience)
        let timer = LoopTimer(on: loop) { self.assumeIsolated { $0.ring() } }
        timer.set(after: Self.patience)
        while true {
            let seen = rings
            if isOver || SystemClock.monotonic() >= deadline { break }
            await nextRing(after: seen)
        }
        timer.cancel()
        if !isOver { kill(pid, SIGKILL) }
        watch = nil
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        pid = 0
        close(output)
        if input >= 0 { close(input) }
        input = -1
        guard isOver else { throw ChildError(description: "\(name) had to be killed\n\(last)") }
        return status
    }
}
