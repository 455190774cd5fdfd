import Foundation
import Glibc
import Testing

/// A sensor at a TCP port: it prints numbered lines when a test says so.
private final class LinePrinter {
    private let listener: Int32
    private var connection: Int32 = -1
    let port: UInt16
    private(set) var printed = 0

    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = self.listener
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard bound else { throw ProgramError(description: "no port") }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit {
        close(connection)
        close(listener)
    }

    /// So many lines of so many bytes; waits while the reader does not take them.
    func print(_ count: Int, bytes: Int) throws {
        if connection < 0 { connection = accept(listener, nil, nil) }
        let rest = String(repeating: "x", count: bytes)
        for _ in 0..<count {
            printed += 1
            let line = Array("\(printed) \(rest)".utf8.prefix(bytes - 1)) + [UInt8(ascii: "\n")]
            var done = 0
            while done < line.count {
                let sent = line.withUnsafeBytes { send(connection, $0.baseAddress! + done, line.count - done, 0x4000) }
                guard sent > 0 else { throw ProgramError(description: "the reader has gone") }
                done += sent
            }
        }
    }
}

extension RunningNode.Status {
    fileprivate var health: [String: Any] { store["health"] as? [String: Any] ?? [:] }
    fileprivate var disk: String? { health["disk"] as? String }
    fileprivate var troubles: [String] { health["troubles"] as? [String] ?? [] }
    fileprivate func incidents(_ kind: String) -> Int { (health["incidents"] as? [String: Int])?[kind] ?? 0 }
    fileprivate var queued: Int { recording["queued_rows"] as? Int ?? 0 }
}

/// A disk that is full for real, with the built program on it.
@Suite(.enabled(if: StartTests.isRoot, "only root can mount a small file system"), .serialized)
struct DiskTests {
    private func node(_ scratch: Scratch, on disk: SmallDisk, _ arguments: [String]) throws -> RunningNode {
        try scratch.node("data", on: disk, arguments)
    }

    private func facts(_ data: String, _ words: String...) throws -> [[String: Any]] {
        let log = "\(data)/log"
        return try FileManager.default.contentsOfDirectory(atPath: log).sorted().flatMap { name in
            try String(contentsOfFile: "\(log)/\(name)", encoding: .utf8).split(separator: "\n")
                .filter { line in words.allSatisfy { line.contains($0) } }.map { try object(String($0.dropFirst(9))) }
        }
    }

    /// The numbers of the lines in the sealed chunks, in their order.
    private func numbers(_ data: String) throws -> [Int] {
        let chunks = try facts(data, "\"kind\":\"chunk\"", "\"stream\":\"data\"")
            .sorted { ($0["index"] as? Int ?? 0) < ($1["index"] as? Int ?? 0) }
        return try chunks.flatMap { chunk in
            let id = try #require(chunk["sha256"] as? String)
            let text = try String(contentsOfFile: "\(data)/chunks/\(id.prefix(2))/\(id)", encoding: .utf8)
            return text.split(separator: "\n").dropFirst().map { line in
                Int(line.split(separator: ",")[2].prefix { $0.isNumber }) ?? -1
            }
        }
    }

    @Test(
        "a disk that fills: a warning, recording into the reserve, rows in memory, and all of them when there is room")
    func fills() throws {
        let scratch = try Scratch()
        let disk = try SmallDisk(in: scratch, kilobytes: 64_000)
        let sensor = try scratch.sensor()
        let node = try node(
            scratch, on: disk,
            ["--role", "vehicle", "--serial", sensor, "--chunk-interval", "1s", "--min-free", "20MB"])
        try node.until("it records") { $0.sealed >= 1 && $0.disk == "ample" && $0.troubles.isEmpty }
        try disk.fill(leaving: 15_000_000)
        let low = try node.until("it warns") { $0.disk == "low" }
        #expect(low.troubles.count == 1 && low.troubles[0].contains("left of the 20.0 MB kept free: make room"))
        #expect(low.recording["trouble"] == nil)
        try node.until("it goes on recording") { $0.rows > low.rows + 20 && $0.sealed > low.sealed }
        let text = try scratch.run("status", "--data", node.data)
        #expect(text.code == 0 && text.output.contains("20.0 MB kept free: make room"), "\(text)")
        let doctor = try scratch.run("doctor", "--data", node.data)
        #expect(doctor.code == 3 && doctor.output.contains("less than the 20.0 MB of --min-free"), "\(doctor)")
        try disk.fill(leaving: 0)
        let full = try node.until("it says that it is full") { $0.disk == "full" && $0.queued > 50 }
        #expect(full.troubles.contains { $0.contains("the disk is full") }, "\(full.troubles)")
        #expect((full.recording["trouble"] as? String)?.contains("wait in memory") == true)
        try disk.clear()
        let back = try node.until("it recovers by itself") { status in
            status.disk == "ample" && status.queued == 0 && status.rows > full.rows
        }
        #expect(back.troubles.isEmpty && back.recording["trouble"] == nil)
        #expect(back.recording["rows_lost"] as? Int == 0)
        #expect(try node.stop(within: 5).code == 0)
        for words in [
            "kept free: make room", "the disk is full", "the disk has room again", "the disk takes rows again",
        ] {
            #expect(node.program.errors.components(separatedBy: words).count == 2, "told once: \(words)")
        }
        let audit = try disk.verify(scratch)
        #expect(audit.code == 0, "\(audit)")
        #expect(try facts(node.data, "\"gap\"", "\"overflow\"").isEmpty, "nothing was lost")
    }

    @Test(
        "more than may wait for a full disk: one gap with the number of rows, told while it lasts, whole rows around it"
    )
    func overflows() throws {
        let scratch = try Scratch()
        let disk = try SmallDisk(in: scratch, kilobytes: 180_000)
        let printer = try LinePrinter()
        let node = try node(
            scratch, on: disk,
            ["--role", "vehicle", "--lines-from", "tcp://127.0.0.1:\(printer.port)", "--min-free", "20MB"])
        try printer.print(100, bytes: 100)
        try node.until("it records") { $0.rows == 100 }
        try disk.fill(leaving: 0)
        try printer.print(9_000, bytes: 4_000)
        let lost = try node.until("rows are lost", within: 120) { $0.incidents("rows_lost") == 1 }
        #expect(lost.disk == "full")
        let resident = try #require(memory(node.program.pid))
        #expect(resident < 350_000, "\(resident) kB")
        try printer.print(100, bytes: 4_000)
        try until("the gap is in the log of a full disk") { try !facts(node.data, "\"gap\"").isEmpty }
        let begun = try facts(node.data, "\"gap\"")
        #expect(begun.count == 1 && begun[0]["reason"] as? String == "overflow" && begun[0]["to"] == nil)
        try disk.clear()
        let back = try node.until("it recovers by itself", within: 60) { $0.disk == "ample" && $0.queued == 0 }
        #expect(back.health["reserve"] as? String == "held")
        let rows = back.rows
        try printer.print(50, bytes: 100)
        try node.until("rows go on") { $0.rows == rows + 50 }
        let gaps = try facts(node.data, "\"gap\"")
        #expect(gaps.count == 2 && gaps[1]["rows_lost"] as? Int == printer.printed - 50 - rows, "\(gaps)")
        #expect(gaps[1]["to"] != nil)
        #expect(try node.stop(within: 10).code == 0)
        let audit = try disk.verify(scratch)
        #expect(audit.code == 0, "\(audit)")
        #expect(try numbers(node.data) == Array(1...rows) + Array(printer.printed - 49...printer.printed))
    }

    @Test("a node that is switched on with a full disk comes up on its reserve, and says so")
    func startsFull() throws {
        let scratch = try Scratch()
        let disk = try SmallDisk(in: scratch, kilobytes: 48_000)
        let sensor = try scratch.sensor()
        let arguments = ["--role", "vehicle", "--serial", sensor, "--min-free", "20MB"]
        let first = try node(scratch, on: disk, arguments)
        try first.until("it records") { $0.rows > 0 }
        try disk.fill(leaving: 0)
        try first.until("it is full") { $0.disk == "full" && $0.queued > 0 }
        try first.kill()
        try disk.fill(leaving: 0)
        let again = try node(scratch, on: disk, arguments)
        let full = try again.until("it tells") { $0.disk != "ample" && !$0.troubles.isEmpty }
        #expect(full.health["reserve"] as? String == "spent")
        try disk.clear()
        try again.until("it recovers") {
            $0.disk == "ample" && $0.rows > 0 && $0.health["reserve"] as? String == "held"
        }
        #expect(try again.stop(within: 5).code == 0)
        let audit = try disk.verify(scratch)
        #expect(audit.code == 0, "\(audit)")
    }

    @Test("pulling stops before the disk has less than is kept free, and goes on by itself when there is room")
    func pulls() throws {
        let scratch = try Scratch()
        let printer = try LinePrinter()
        let vehicle = try scratch.node(
            "vehicle",
            ["--role", "vehicle", "--lines-from", "tcp://127.0.0.1:\(printer.port)", "--chunk-size", "500KB"]
                + ["--chunk-interval", "1s"])
        for _ in 0..<8 {
            try printer.print(100, bytes: 4_000)
            try vehicle.until("rows are recorded") { $0.rows == printer.printed }
        }
        let total = try vehicle.until("all is sealed") { ($0.recording["open_chunk_rows"] as? Int) == 0 }.held
        let port = try #require(try vehicle.status()?.port)
        let disk = try SmallDisk(in: scratch, kilobytes: 64_000)
        try disk.fill(leaving: 31_000_000)
        let topside = try node(
            scratch, on: disk, ["--role", "topside", "--peer", "127.0.0.1:\(port)", "--min-free", "20MB"])
        let paused = try topside.until("it pauses") { status in
            status.peers.contains { ($0["pull_paused"] as? String)?.contains("kept free") == true }
        }
        #expect(paused.held > 0 && paused.held < total)
        #expect(disk.free >= 20_000_000, "\(disk.free)")
        let text = try scratch.run("status", "--data", topside.data)
        #expect(text.output.contains("pulling paused: the disk has"), "\(text)")
        try disk.clear()
        try topside.until("it goes on") { $0.held == total && $0.peers.allSatisfy { $0["pull_paused"] == nil } }
        #expect(try topside.stop().code == 0)
        #expect(try disk.verify(scratch).code == 0)
        #expect(try vehicle.stop().code == 0)
    }

    private func memory(_ pid: pid_t) -> Int? {
        let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
    }

    private func until(_ what: String, _ holds: () throws -> Bool) throws {
        let deadline = Date(timeIntervalSinceNow: 15)
        while try !holds() {
            guard Date() < deadline else { throw ProgramError(description: "not within 15 s: \(what)") }
            sched_yield()
        }
    }
}
