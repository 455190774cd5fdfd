import Foundation
import Glibc
import Testing

/// A sensor that is not there, or not to be had: the node runs on and says so.
@Suite struct SerialTests {
    private func trouble(_ port: String, _ words: String) throws {
        let scratch = try Scratch()
        let node = try scratch.node("vehicle", ["--role", "vehicle", "--serial", port])
        try node.until("it tells why: \(words)") { ($0.instrument["trouble"] as? String)?.contains(words) == true }
        let text = try scratch.run("status", "--data", node.data)
        #expect(text.code == 0 && text.output.contains(words), "\(text)")
        let doctor = try scratch.run("doctor", "--data", node.data)
        #expect(doctor.code == 3 && doctor.output.contains(words), "\(doctor)")
        #expect(try node.stop().code == 0)
    }

    @Test("an absent device is waited for, and taken when it comes")
    func absent() throws {
        let scratch = try Scratch()
        let sensor = try scratch.sensor()
        let late = "\(scratch.path)/late"
        let node = try scratch.node("vehicle", ["--role", "vehicle", "--serial", late])
        try node.until("it tells") { ($0.instrument["trouble"] as? String)?.contains("there is no \(late)") == true }
        #expect(symlink(sensor, late) == 0)
        try node.until("it records") { $0.rows > 0 }
        #expect(try node.stop().code == 0)
    }

    @Test("a file is no serial line")
    func file() throws { try trouble("/dev/null", "/dev/null is no serial line") }

    @Test("a directory is no serial line")
    func directory() throws { try trouble("/", "no serial line") }

    @Test("a line that another node reads is not taken from it")
    func busy() throws {
        let scratch = try Scratch()
        let sensor = try scratch.sensor()
        let first = try scratch.node("first", ["--role", "vehicle", "--serial", sensor])
        try first.until("it records") { $0.rows > 0 }
        let second = try scratch.node("second", ["--role", "vehicle", "--serial", sensor])
        try second.until("it tells") { ($0.instrument["trouble"] as? String)?.contains("another process") == true }
        let rows = try #require(try first.status()).rows
        try first.until("it goes on") { $0.rows > rows }
        // Its turn comes when the other has ended.
        #expect(try first.stop().code == 0)
        try second.until("it records") { $0.rows > 0 }
        #expect(try second.stop().code == 0)
    }

    @Test(
        "a line of another user is named with what to do",
        .enabled(if: StartTests.isRoot, "only root can become another user"))
    func otherUser() throws {
        let scratch = try Scratch()
        let sensor = try scratch.sensor()
        #expect(chmod(sensor, 0o600) == 0)
        #expect(chmod(scratch.path, 0o777) == 0)
        let data = "\(scratch.path)/data"
        let program = try Program(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Program.qnode, "--role", "vehicle"]
                + ["--data", data, "--listen", "127.0.0.1:0", "--mdns", "off", "--serial", sensor], in: scratch)
        let node = RunningNode(scratch: scratch, program: program, data: data)
        try node.until("it tells") { ($0.instrument["trouble"] as? String)?.contains("may not be opened") == true }
        #expect(try node.stop().code == 0)
    }
}
