import Foundation
import Glibc
import Testing

/// A world in which a node cannot start: one sentence, exit code 1, and what is on the disk stays as it is.
@Suite struct StartTests {
    private func refused(
        _ scratch: Scratch, data: String, _ arguments: [String] = [], as user: [String] = []
    ) throws -> String {
        let outcome = try Program(
            user + [Program.qnode, "--role", "topside", "--mdns", "off", "--data", data]
                + (arguments.isEmpty ? ["--listen", "127.0.0.1:0"] : arguments),
            in: scratch
        ).ended()
        #expect(outcome.code == 1, "\(outcome)")
        #expect(outcome.sentences.count == 1 && outcome.errors.hasPrefix("qnode: "), "\(outcome)")
        return outcome.errors
    }

    @Test("a port that is in use is named")
    func port() throws {
        let scratch = try Scratch()
        let other = try scratch.node("other", ["--role", "topside"])
        let port = try #require(try other.status()?.port)
        let sentence = try refused(scratch, data: "\(scratch.path)/data", ["--listen", "127.0.0.1:\(port)"])
        #expect(sentence.contains("port \(port)") && sentence.contains("--listen"))
    }

    @Test("an address that is not this machine's is named")
    func address() throws {
        let scratch = try Scratch()
        #expect(
            try refused(scratch, data: "\(scratch.path)/data", ["--listen", "192.0.2.1:9150"]).contains("192.0.2.1"))
    }

    @Test("a data directory that another node holds stays that node's")
    func held() throws {
        let scratch = try Scratch()
        let node = try scratch.node("node", ["--role", "topside"])
        #expect(try refused(scratch, data: node.data).contains("in use by another qnode"))
        #expect(try node.status() != nil)
        let verb = try scratch.run("pull", "--from", "127.0.0.1:1", "--data", node.data)
        #expect(verb.code == 1 && verb.sentences.count == 1, "\(verb)")
        #expect(try node.stop().code == 0)
    }

    @Test("a directory of a newer format is left alone")
    func newerFormat() throws {
        let scratch = try Scratch()
        let data = "\(scratch.path)/data"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        _ = try scratch.write("qnode data directory, format 9\n", to: "data/lock")
        #expect(try refused(scratch, data: data).contains("newer qnode (format 9)"))
        #expect(!FileManager.default.fileExists(atPath: "\(data)/chunks"))
    }

    @Test(
        "a key that is damaged, or that others can read, is refused and kept",
        arguments: [
            ("garbage", 0o600, "no P-256 private key"), ("", 0o600, "no P-256"), (nil, 0o644, "read by other users"),
        ]
    )
    func key(_ text: String?, _ mode: mode_t, _ words: String) throws {
        let scratch = try Scratch()
        let node = try scratch.node("node", ["--role", "topside"])
        #expect(try node.stop().code == 0)
        let key = "\(node.data)/identity/node.key"
        if let text { _ = try scratch.write(text, to: "node/identity/node.key") }
        #expect(chmod(key, mode) == 0)
        let before = FileManager.default.contents(atPath: key)
        #expect(try refused(scratch, data: node.data).contains(words))
        #expect(FileManager.default.contents(atPath: key) == before)
    }

    @Test("a path that is no directory, or below a file, is named")
    func noDirectory() throws {
        let scratch = try Scratch()
        let file = try scratch.write("x", to: "file")
        #expect(try refused(scratch, data: file).contains(file))
        #expect(try refused(scratch, data: "\(file)/below").contains(file))
    }

    @Test("a path longer than a socket's may be works like any other")
    func longPath() throws {
        let scratch = try Scratch()
        let node = try scratch.node(
            String(repeating: "d", count: 63) + "/" + String(repeating: "e", count: 200),
            [
                "--name", "long", "--role", "topside",
            ])
        #expect(try node.stop().code == 0)
    }

    static let isRoot = geteuid() == 0
    private static let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    @Test(
        "a data directory that this user may not write is named",
        .enabled(if: isRoot, "only root can become a user who may not"))
    func notWritable() throws {
        let scratch = try Scratch()
        let works = try Program(Self.nobody + [Program.qnode, "version"], in: scratch).ended()
        try #require(works.code == 0, "the user nobody cannot run the program where it was built")
        let data = "\(scratch.path)/data"
        #expect(mkdir(data, 0o755) == 0)
        #expect(try refused(scratch, data: data, as: Self.nobody).contains("cannot write to \(data)"))
        #expect(try refused(scratch, data: "\(data)/new", as: Self.nobody).contains("cannot write to \(data)"))
    }

    @Test("a full disk is named", .enabled(if: isRoot, "only root can mount a small disk"))
    func fullDisk() throws {
        let scratch = try Scratch()
        let disk = try SmallDisk(in: scratch, kilobytes: 1024)
        try disk.fill()
        #expect(try refused(scratch, data: "\(disk.path)/data").contains("no space left"))
    }

    @Test(
        "a disk that fills while recording stops nothing: said in status, and over when there is room",
        .enabled(if: isRoot, "only root can mount a small disk"))
    func fillsUp() throws {
        let scratch = try Scratch()
        let disk = try SmallDisk(in: scratch, kilobytes: 2048)
        let sensor = try scratch.sensor()
        let node = try scratch.node(
            "vehicle", on: disk,
            ["--role", "vehicle", "--serial", sensor, "--chunk-interval", "1s", "--view", "off"])
        try node.until("it records") { $0.sealed >= 1 }
        try disk.fill()
        let stuck = try node.until("the disk is full") { $0.recording["trouble"] as? String != nil }
        #expect((stuck.recording["trouble"] as? String)?.contains("space") == true)
        try disk.clear()
        let rows = stuck.rows
        try node.until("it records again") { $0.recording["trouble"] as? String == nil && $0.rows > rows + 20 }
        #expect(try node.stop().code == 0)
        let audit = try disk.verify(scratch, "vehicle")
        #expect(audit.code == 0, "\(audit)")
    }
}
