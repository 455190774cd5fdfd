import Foundation
import Glibc

/// A file system of a test's own, in a mount namespace that ends with the test: it is full for real.
struct SmallDisk {
    /// Where the test sees it from outside.
    let path: String
    /// Where it is within its namespace.
    let point: String
    /// What a command is run with to be there. SQLite resolves paths by its own rules and does not find it otherwise.
    let entrance: [String]
    private var filler: String { path + "/filler" }

    init(in scratch: Scratch, kilobytes: Int) throws {
        point = "\(scratch.path)/disk\(scratch.next())"
        try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: true)
        let mount = "mount -t tmpfs -o size=\(kilobytes)k,mode=755 tmpfs \(point)"
        let holder = try Program(
            ["unshare", "-m", "sh", "-c", mount + " && exec tail -f /dev/null"], in: scratch)
        path = "/proc/\(holder.pid)/root\(point)"
        entrance = ["nsenter", "-t", "\(holder.pid)", "-m"]
        let deadline = Date(timeIntervalSinceNow: 10)
        while (try? String(contentsOfFile: "/proc/\(holder.pid)/mounts", encoding: .utf8))?.contains(point) != true {
            guard Date() < deadline, holder.isRunning else {
                throw ProgramError(description: "no tmpfs: \(holder.errors)")
            }
            sched_yield()
        }
    }

    var free: Int {
        var status = statvfs()
        return statvfs(path, &status) == 0 ? Int(status.f_bavail) * Int(status.f_frsize) : 0
    }

    /// Takes all but so many bytes.
    func fill(leaving rest: Int = 0) throws {
        let file = open(filler, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        guard file >= 0 else { throw ProgramError(description: "no filler: \(String(cString: strerror(errno)))") }
        defer { close(file) }
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        while free > rest {
            let written = write(file, zeros, min(zeros.count, free - rest))
            if written < 0 { return }
        }
    }

    /// `qnode verify` of a data directory on it.
    func verify(_ scratch: Scratch, _ name: String = "data") throws -> Program.Outcome {
        try Program(entrance + [Program.qnode, "verify", "--data", "\(point)/\(name)"], in: scratch).ended(within: 60)
    }

    func clear() throws { try FileManager.default.removeItem(atPath: filler) }
}
