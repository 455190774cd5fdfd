import Foundation
import Glibc

struct ProgramError: Error, CustomStringConvertible {
    let description: String
}

/// A process of the test's own, mostly `qnode`: its output goes to files, its end is waited for with a deadline, and it
/// does not outlive the test.
final class Program: @unchecked Sendable {
    /// What a process that has ended left behind.
    struct Outcome: CustomStringConvertible {
        /// The exit code; a signal's number with a minus.
        let code: Int32
        let output: String
        let errors: String

        /// Lines of standard error.
        var sentences: [String] { errors.split(separator: "\n").map(String.init) }
        var description: String { "code \(code)\nout: \(output)\nerr: \(errors)" }
    }

    let pid: pid_t
    private let outputPath: String
    private let errorPath: String
    private let condition = NSCondition()
    private var status: Int32?

    /// The program under test, built beside the test bundle.
    static let qnode: String = {
        var path = [CChar](repeating: 0, count: 4096)
        readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for place in [own] + CommandLine.arguments {
            guard let slash = place.lastIndex(of: "/") else { continue }
            let candidate = "\(place[..<slash])/qnode"
            if access(candidate, X_OK) == 0 { return candidate }
        }
        return "qnode"
    }()

    init(_ command: [String], in scratch: Scratch, environment: [String: String] = [:]) throws {
        let number = scratch.next()
        outputPath = "\(scratch.path)/\(number).out"
        errorPath = "\(scratch.path)/\(number).err"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT, 0o644)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The test's own process may have signals blocked or ignored.
        var none = sigset_t()
        sigemptyset(&none)
        var usual = sigset_t()
        sigemptyset(&usual)
        for number in [SIGTERM, SIGINT, SIGHUP, SIGPIPE] { sigaddset(&usual, number) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &usual)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var variables = environment
        for name in ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"] where variables[name] == nil {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var settings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + settings { free(text) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, command[0], &actions, &attributes, &arguments, &settings)
        guard code == 0 else { throw ProgramError(description: "\(command[0]): \(String(cString: strerror(code)))") }
        pid = child
        Thread.detachNewThread { [self] in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            condition.lock()
            self.status = status
            condition.broadcast()
            condition.unlock()
        }
        scratch.add(self)
    }

    var errors: String { Self.text(errorPath) }
    var isRunning: Bool { condition.withLock { status == nil } }

    private static func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    func signal(_ number: Int32) { condition.withLock { if status == nil { kill(pid, number) } } }

    /// Waits for its end. One that hangs is killed and fails the test.
    func ended(within limit: TimeInterval = 10) throws -> Outcome {
        let deadline = Date(timeIntervalSinceNow: limit)
        condition.lock()
        while status == nil, condition.wait(until: deadline) {}
        let status = status
        condition.unlock()
        guard let status else {
            signal(SIGKILL)
            throw ProgramError(description: "still running after \(limit) s\n\(errors)")
        }
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
        return Outcome(code: code, output: Self.text(outputPath), errors: errors)
    }
}

/// A folder for one test, and the processes started in it: both are gone with it.
final class Scratch: @unchecked Sendable {
    let path: String
    private let lock = NSLock()
    private var count = 0
    private var programs: [Program] = []

    init() throws {
        // Short: the path of a socket is at most 107 bytes.
        var template = Array("/tmp/qnode-process.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw ProgramError(description: "no folder in /tmp") }
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o755)
    }

    deinit {
        for program in programs where program.isRunning { program.signal(SIGKILL) }
        for program in programs { _ = try? program.ended() }
        do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error)") }
    }

    func next() -> Int {
        lock.withLock {
            count += 1
            return count
        }
    }

    func add(_ program: Program) { lock.withLock { programs.append(program) } }

    func write(_ text: String, to name: String) throws -> String {
        let file = "\(path)/\(name)"
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        return file
    }

    /// Runs `qnode` to its end.
    func run(
        _ arguments: String..., environment: [String: String] = [:], within limit: TimeInterval = 10
    ) throws -> Program.Outcome {
        try Program([Program.qnode] + arguments, in: self, environment: environment).ended(within: limit)
    }
}

extension Scratch {
    /// A node that runs: its socket answers.
    func node(_ name: String, on disk: SmallDisk? = nil, _ arguments: [String]) throws -> RunningNode {
        let data = "\(disk?.point ?? path)/\(name)"
        let program = try Program(
            (disk?.entrance ?? [])
                + [
                    Program.qnode, "--data", data, "--name", name, "--listen", "127.0.0.1:0", "--mdns", "off", "--cap",
                    "off",
                ]
                + arguments,
            in: self)
        let node = RunningNode(
            scratch: self, program: program, data: disk.map { "\($0.path)/\(name)" } ?? data)
        try node.until("it answers") { _ in true }
        return node
    }

    /// A simulated sensor, fast enough for a test; the path of its tty.
    func sensor(_ arguments: String...) throws -> String {
        let link = "\(path)/sensor\(next())"
        _ = try Program(
            [Program.qnode, "simulate", "q-series", "--link", link, "--averaging", "16", "--speed", "10"] + arguments,
            in: self)
        let deadline = Date(timeIntervalSinceNow: 10)
        while !FileManager.default.fileExists(atPath: link) {
            guard Date() < deadline else { throw ProgramError(description: "no simulated sensor") }
            sched_yield()
        }
        return link
    }
}

/// A node of a test as its own verbs see it.
struct RunningNode {
    let scratch: Scratch
    let program: Program
    let data: String

    /// JSON of `qnode status`.
    struct Status {
        let json: [String: Any]
        private func part(_ name: String) -> [String: Any] { json[name] as? [String: Any] ?? [:] }
        var recording: [String: Any] { part("recording") }
        var instrument: [String: Any] { part("instrument") }
        var store: [String: Any] { part("store") }
        var rows: Int { recording["rows"] as? Int ?? 0 }
        var sealed: Int { recording["sealed_chunks"] as? Int ?? 0 }
        var session: String? { recording["session"] as? String }
        var held: Int { store["chunks"] as? Int ?? 0 }
        var peers: [[String: Any]] { json["peers"] as? [[String: Any]] ?? [] }
        /// How often a kind of trouble with peers was counted.
        func errors(_ kind: String) -> Int {
            peers.reduce(0) { $0 + (($1["errors"] as? [String: Any])?[kind] as? Int ?? 0) }
        }
        var port: Int? {
            let node = part("node")
            return (node["listen"] as? [String])?.first?.split(separator: ":").last.flatMap { Int($0) }
        }
    }

    func status() throws -> Status? {
        let outcome = try scratch.run("status", "--json", "--data", data)
        guard outcome.code == 0 else { return nil }
        return Status(json: try object(outcome.output))
    }

    /// Asks again and again until it is so.
    @discardableResult
    func until(
        _ what: String, within limit: TimeInterval = 15, _ holds: (Status) throws -> Bool
    ) throws -> Status {
        let deadline = Date(timeIntervalSinceNow: limit)
        var last: Status?
        while Date() < deadline {
            guard program.isRunning else { throw ProgramError(description: "ended before: \(what)\n\(program.errors)") }
            if let status = try status() {
                if try holds(status) { return status }
                last = status
            }
        }
        throw ProgramError(description: "after \(limit) s not: \(what)\n\(last?.json ?? [:])\n\(program.errors)")
    }

    func stop(within limit: TimeInterval = 10) throws -> Program.Outcome {
        program.signal(SIGTERM)
        return try program.ended(within: limit)
    }

    func kill() throws {
        program.signal(SIGKILL)
        _ = try program.ended()
    }
}

/// One JSON object.
func object(_ text: String) throws -> [String: Any] {
    let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
    guard let object = value as? [String: Any] else { throw ProgramError(description: "no JSON object: \(text)") }
    return object
}
