import Foundation
import Model
import Testing

@testable import Node

@Suite struct SurroundingsTests {
    /// A directory that is gone after the test.
    private func inDirectory(_ body: (URL) throws -> Void) throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "qnode-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: url) }
        try body(url)
    }

    private func read(_ url: URL) throws(ValueError) -> [UInt8] { try Surroundings.current().readFile(url.path) }

    @Test("a file of settings is read, through a symbolic link too")
    func reads() throws {
        try inDirectory { folder in
            let (file, link) = (folder.appending(path: "a"), folder.appending(path: "b"))
            try Data("role = vehicle".utf8).write(to: file)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: file)
            #expect(try read(file) == Array("role = vehicle".utf8))
            #expect(try read(link) == Array("role = vehicle".utf8))
        }
    }

    @Test("what is no file of settings is refused at once: a folder, a pipe, a device, something huge, nothing")
    func refuses() throws {
        try inDirectory { folder in
            let pipe = folder.appending(path: "pipe")
            #expect(mkfifo(pipe.path, 0o600) == 0)
            #expect(throws: ValueError("it is not a regular file")) { try read(pipe) }
            #expect(throws: ValueError("it is not a regular file")) { try read(folder) }
            #expect(throws: ValueError("it is not a regular file")) { try read(URL(filePath: "/dev/zero")) }
            #expect(throws: ValueError("there is no such file")) { try read(folder.appending(path: "none")) }
            #expect(throws: ValueError.self) { try read(pipe.appending(path: "below")) }
            let huge = folder.appending(path: "huge")
            try Data(count: Limits.configurationBytes + 1).write(to: huge)
            let error = #expect(throws: ValueError.self) { try read(huge) }
            #expect(error?.description.hasPrefix("it is longer than 65536 bytes") == true)
        }
    }

    @Test("this process has a name, a directory and columns within reason")
    func current() {
        let around = Surroundings.current()
        #expect(!around.hostName.isEmpty && !around.hostName.contains("\n"))
        #expect(around.workingDirectory.hasPrefix("/"))
        #expect((40...120).contains(around.columns))
        #expect(surroundings(["COLUMNS": "99999999999999999999"]).columns == 80)
        #expect(surroundings(["COLUMNS": "-5"]).columns == 80)
        #expect(surroundings(["COLUMNS": "3"]).columns == 40)
    }
}

/// The program itself, as a shell sees it.
@Suite struct ProgramTests {
    private struct Outcome {
        let status: Int32
        let output: String
        let complaint: String
    }

    private func run(_ arguments: [String], _ environment: [String: String] = [:], into: String? = nil) throws
        -> Outcome
    {
        let process = Process()
        let built = try #require(Bundle.main.executableURL).deletingLastPathComponent()
        process.executableURL = built.appending(path: "qnode")
        process.arguments = arguments
        process.environment = ["HOME": "/h"].merging(environment) { $1 }
        let (output, complaint) = (Pipe(), Pipe())
        process.standardOutput = try into.map { try FileHandle(forWritingTo: URL(filePath: $0)) } ?? output
        process.standardError = complaint
        try process.run()
        // Both ends are short enough for a pipe's buffer to hold.
        try output.fileHandleForWriting.close()
        let text = into == nil ? output.fileHandleForReading.readDataToEndOfFile() : Data()
        let error = complaint.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            complaint: String(decoding: error, as: UTF8.self))
    }

    @Test("help and version go to standard output with exit code 0")
    func fine() throws {
        let help = try run(["--help"])
        #expect(help.status == 0 && help.output.hasPrefix("Usage: qnode") && help.complaint.isEmpty)
        let version = try run(["--version"])
        #expect(version.status == 0 && version.output == "qnode \(Release.version)\n")
        #expect(try run(["version", "--json"]).output == "{\"name\":\"qnode\",\"version\":\"\(Release.version)\"}\n")
    }

    @Test("nothing asked: a short help on standard error, exit code 2")
    func nothing() throws {
        let outcome = try run([])
        #expect(outcome.status == 2 && outcome.output.isEmpty && outcome.complaint.hasPrefix("Usage: qnode"))
    }

    @Test(
        "wrong usage is one line on standard error, exit code 2",
        arguments: [
            ["--comit-interval", "1s"], ["--role"], ["statsu"], ["--role", "vehicle", "--chunk-size", "\u{1B}[2J"],
            ["status", "extra"], ["--data", "/x"],
        ])
    func wrong(_ arguments: [String]) throws {
        let outcome = try run(arguments)
        #expect(outcome.status == 2 && outcome.output.isEmpty)
        #expect(outcome.complaint.hasPrefix("qnode: ") && outcome.complaint.hasSuffix("\n"))
        #expect(isOneSentence(String(outcome.complaint.dropLast())))
    }

    @Test("a failure of the world is exit code 1")
    func failed() throws {
        let missing = try run(["config", "--config", "/nowhere/qnode.conf"])
        #expect(missing.status == 1)
        #expect(
            missing.complaint == "qnode: cannot read /nowhere/qnode.conf (option --config): No such file or directory\n"
        )
        let full = try run(["--help"], into: "/dev/full")
        #expect(full.status == 1)
        #expect(full.complaint == "qnode: cannot write to standard output: No space left on device\n")
    }

    @Test("config tells what the environment says, and writes no escapes into a pipe")
    func config() throws {
        let outcome = try run(["config"], ["QNODE_MISSION": "dive", "TERM": "xterm"])
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("environment QNODE_MISSION") && !outcome.output.contains("\u{1B}"))
    }
}
