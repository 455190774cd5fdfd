import FoundationEssentials
import Glibc
import Model
import Reactor

/// Where a run works: a directory on the disk that is measured, and the program that is measured.
struct Place: Sendable {
    let loop: EventLoop
    /// Below `QNODE_BENCH_DIR`, or the temporary directory: made by the run, removed at its end, and nothing of it
    /// before: ext4 passes over inodes that were just freed, one by one, and who creates files next would pay for that.
    let path: String
    /// The program stands beside this one.
    let program: String

    init(loop: EventLoop) throws {
        self.loop = loop
        let environment = ProcessInfo.processInfo.environment
        let parent = environment["QNODE_BENCH_DIR"] ?? environment["TMPDIR"] ?? "/tmp"
        // The nodes that are measured would take it for a setting of theirs.
        unsetenv("QNODE_BENCH_DIR")
        path = "\(parent)/qnode-bench-\(getpid())"
        let own = CommandLine.arguments[0]
        program = own.lastIndex(of: "/").map { "\(own[..<$0])/qnode" } ?? "qnode"
        guard access(program, X_OK) == 0 else { throw BenchError("there is no \(program): build it first") }
        try makeDirectories(path)
    }

    func remove() {
        do { try FileManager.default.removeItem(atPath: path) } catch { print("bench: \(path) stays: \(error)") }
    }

    /// Everything written so far is on the disk: what follows does not pay for it.
    func settle() { sync() }

    func pause(_ duration: Duration) async throws { try await loop.sleep(for: duration) }

    /// A port of the loopback interface that nobody listens on.
    static func freePort() throws -> UInt16 {
        let probe = Descriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(probe.raw, $0, length) == 0 ? getsockname(probe.raw, $0, &length) : -1
            }
        }
        guard code == 0 else { throw BenchError("no port is free") }
        return UInt16(bigEndian: address.sin_port)
    }
}
