import FoundationEssentials
import Glibc
import Model
import Reactor

/// A process that the bench started, `qnode` or a rival of it, and what the kernel says of it.
final class NodeProcess {
    let data: String
    private(set) var pid: pid_t = 0
    private let standardError: String

    /// Starts `qnode`, or another program, with these arguments; its standard error goes to a file beside its data.
    /// `entrance` is what leads into a namespace.
    init(
        _ place: Place, _ name: String, _ arguments: [String], entrance: [String] = [], program other: String? = nil
    ) throws {
        let program = other ?? place.program
        data = "\(place.path)/\(name)"
        standardError = data + ".log"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 2, standardError, flags, 0o640)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        var words: [UnsafeMutablePointer<CChar>?] =
            (entrance + [program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let code = posix_spawnp(&pid, words[0]!, &actions, nil, &words, environ)
        guard code == 0 else { throw BenchError("\(program): \(String(cString: strerror(code)))") }
    }

    /// A node on a port of the loopback interface; what it is besides is in `arguments`.
    static func node(
        _ place: Place, _ name: String, role: String, port: UInt16, _ arguments: [String]
    ) throws -> NodeProcess {
        try NodeProcess(
            place, name,
            [
                "--role", role, "--data", "\(place.path)/\(name)", "--listen", "127.0.0.1:\(port)", "--name", name,
                "--cap", "off",
            ] + arguments)
    }

    /// Ends it by SIGTERM and waits.
    func stop() {
        guard pid > 0 else { return }
        kill(pid, SIGTERM)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        pid = 0
    }

    /// Whether it is still at work.
    func isRunning() -> Bool {
        if pid > 0, waitpid(pid, nil, WNOHANG) != 0 { pid = 0 }
        return pid > 0
    }

    /// Waits for its own end; what it used of the machine, its children among it.
    @discardableResult
    func finish() throws -> rusage {
        var status: Int32 = 0
        var usage = rusage()
        while wait4(pid, &status, 0, &usage) < 0, errno == EINTR {}
        pid = 0
        guard status == 0 else { throw BenchError("\(data): ended with status \(status)") }
        return usage
    }

    deinit { stop() }

    // MARK: What it says

    /// Whether a line with these words was written. Throws where the process has ended.
    /// The first line of its log with these words.
    func line(with words: String) throws -> String? {
        try output().split(separator: "\n").first { $0.contains(words) }.map(String.init)
    }

    func said(_ words: String) throws -> Bool {
        let text = try output()
        guard waitpid(pid, nil, WNOHANG) == 0 else {
            pid = 0
            throw BenchError("\(data): the node has ended: \(text.split(separator: "\n").last ?? "without a word")")
        }
        return text.contains(words)
    }

    private func output() throws -> String {
        guard let bytes = FileManager.default.contents(atPath: standardError) else {
            throw BenchError("cannot read \(standardError)")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Chunk facts in its log: a chunk counts when law 1 holds of it.
    func chunkCount() throws -> Int { try counter.count() }
    private lazy var counter = ChunkCounter(data)

    // MARK: What the kernel says

    struct Memory {
        let resident: Int64
        let anonymous: Int64
        /// Shared pages counted by their share.
        let proportional: Int64
        /// The most that was ever resident.
        let peak: Int64
    }

    func memory() throws -> Memory {
        let status = try Self.fields("/proc/\(pid)/status")
        let rollup = try Self.fields("/proc/\(pid)/smaps_rollup")
        guard let resident = status["VmRSS"], let anonymous = status["RssAnon"], let share = rollup["Pss"],
            let peak = status["VmHWM"]
        else {
            throw BenchError("/proc/\(pid) does not tell the memory")
        }
        return Memory(
            resident: resident * 1024, anonymous: anonymous * 1024, proportional: share * 1024, peak: peak * 1024)
    }

    /// Bytes of pages that it sent to a disk so far, as the kernel counts them.
    func writtenBytes() throws -> Int64 { try Self.writtenBytes(of: "\(pid)") }

    static func writtenBytes(of process: String) throws -> Int64 {
        guard let bytes = try fields("/proc/\(process)/io")["write_bytes"] else {
            throw BenchError("/proc/\(process)/io does not tell what was written")
        }
        return bytes
    }

    /// Seconds of a processor that all its threads took so far: to the nanosecond where the kernel keeps that, else in
    /// ticks.
    func processorSeconds() throws -> Double {
        var nanoseconds: Int64 = 0
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task") {
            let fields = try Self.text("/proc/\(pid)/task/\(thread)/schedstat").split(separator: " ")
            nanoseconds += fields.first.flatMap { Int64($0) } ?? 0
        }
        if nanoseconds > 0 { return Double(nanoseconds) / 1e9 }
        let stat = try Self.text("/proc/\(pid)/stat")
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw BenchError("/proc/\(pid)/stat does not tell the processor's time")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// How often its threads went to sleep so far, which is how often they were woken.
    func wakeups() throws -> Int64 {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").reduce(0) { sum, thread in
            sum + (try Self.fields("/proc/\(pid)/task/\(thread)/status")["voluntary_ctxt_switches"] ?? 0)
        }
    }

    private static func text(_ path: String) throws -> String {
        guard let bytes = FileManager.default.contents(atPath: path) else { throw BenchError("cannot read \(path)") }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The first number behind each name of a file of `name: value` lines.
    private static func fields(_ path: String) throws -> [String: Int64] {
        var fields: [String: Int64] = [:]
        for line in try text(path).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let number = parts[1].split(whereSeparator: \.isWhitespace).first else { continue }
            fields[String(parts[0])] = Int64(number)
        }
        return fields
    }
}
