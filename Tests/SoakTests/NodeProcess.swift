import Foundation
import Gateway
import Model
import Reactor

@testable import Node

/// A `qnode` process of the test's own. Lives on its loop; what it logs goes to a file beside its data.
actor NodeProcess {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private enum State {
        case idle
        case running(pid_t, output: Int32, DescriptorWatch)
        /// Its output has ended; the status is to be fetched.
        case over(pid_t)
    }

    private let loop: EventLoop
    nonisolated let name: String
    private let logPath: String
    private var state = State.idle
    private var waiters: [CheckedContinuation<Void, Never>] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(_ name: String, logPath: String, on loop: EventLoop) {
        self.name = name
        self.logPath = logPath
        self.loop = loop
    }

    /// Where the build has put it: beside the test's own binary.
    static let program: String =
        Bundle.main.executableURL?.deletingLastPathComponent().appending(path: "qnode").path() ?? "qnode"

    isolated deinit {
        // A test that failed leaves no node behind.
        guard case .running(let pid, let output, _) = state else { return }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        close(output)
    }

    var pid: pid_t? { if case .running(let pid, _, _) = state { pid } else { nil } }

    func start(_ arguments: [String]) throws {
        guard case .idle = state else { throw Failure(description: "\(name) runs already") }
        let log = open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard log >= 0 else { throw Failure(description: logPath) }
        defer { close(log) }
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw Failure(description: "socketpair") }
        let pid: pid_t
        do {
            pid = try Self.spawn([Self.program] + arguments, output: ends[1], log: log)
        } catch {
            close(ends[0])
            close(ends[1])
            throw error
        }
        close(ends[1])
        let output = ends[0]
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
        let watch = DescriptorWatch(on: loop, descriptor: output, for: .read) { [weak self] in
            self?.assumeIsolated { $0.readable() }
        }
        watch.resume()
        state = .running(pid, output: output, watch)
    }

    private static func spawn(_ command: [String], output: Int32, log: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, log, 2)
        // The test's own process may have signals blocked, and a node that cannot be told to end never does.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let kept: [String] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"].compactMap { (name: String) -> String? in
            getenv(name).map { "\(name)=\(String(cString: $0))" }
        }
        var variables: [UnsafeMutablePointer<CChar>?] = kept.map { strdup($0) } + [nil]
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, command[0], &actions, &attributes, &arguments, &variables)
        guard code == 0 else { throw Failure(description: "\(command[0]): \(String(cString: strerror(code)))") }
        return pid
    }

    private func readable() {
        guard case .running(let pid, let output, _) = state else { return }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(output, &buffer, buffer.count)
        guard count == 0 else { return }
        close(output)
        state = .over(pid)
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.resume() }
    }

    func signal(_ number: Int32) { if let pid { kill(pid, number) } }

    /// Sends a signal and waits for the end: the exit code, or minus the signal that ended it.
    @discardableResult
    func end(by number: Int32) async throws -> Int32 {
        signal(number)
        return try await ended()
    }

    /// Waits for the end, and kills what does not come to it.
    func ended(within limit: Duration = .seconds(60)) async throws -> Int32 {
        let deadline = SystemClock.monotonic().advanced(by: limit)
        let timer = LoopTimer(on: loop) { self.assumeIsolated { $0.wake() } }
        timer.set(after: limit)
        defer { timer.cancel() }
        var isLate = false
        while case .running(let pid, _, _) = state {
            await withCheckedContinuation { waiters.append($0) }
            if !isLate, case .running = state, SystemClock.monotonic() >= deadline {
                isLate = true
                kill(pid, SIGKILL)
            }
        }
        guard case .over(let pid) = state else { return 0 }
        state = .idle
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        guard !isLate else { throw Failure(description: "\(name) did not end within \(limit)\n\(logTail)") }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
    }

    private func wake() {
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.resume() }
    }

    /// The end of what it logged, for messages.
    nonisolated var logTail: String {
        let text = (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(15).joined(separator: "\n")
    }
}
