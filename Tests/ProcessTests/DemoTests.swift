import Foundation
import Testing

/// The first command of the README, with the binary that is built for the tests.
@Suite struct DemoTests {
    private static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Deploy/demo").path

    /// In a network of its own where that can be made: another demo of this machine is not disturbed.
    private func demo(_ scratch: Scratch, _ arguments: String...) throws -> Program {
        let command = [Self.script, "--qnode", Program.qnode] + arguments
        guard StartTests.isRoot else { return try Program(command, in: scratch) }
        return try Program(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"] + command, in: scratch)
    }

    private func processes(of scratch: Scratch) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { name in
            guard name.allSatisfy(\.isNumber), let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline")
            else { return false }
            return String(decoding: line, as: UTF8.self).contains(scratch.path)
        }
    }

    @Test("the demo records, mirrors, ends by itself, leaves no process, and goes on the next time")
    func runs() throws {
        let scratch = try Scratch()
        let folder = "\(scratch.path)/demo"
        let first = try demo(scratch, "--directory", folder, "--seconds", "7").ended(within: 25)
        #expect(first.code == 0 && first.errors.isEmpty, "\(first)")
        #expect(first.output.contains("topside: live") && first.output.contains("vehicle: live"), "\(first)")
        #expect(first.output.contains("\(folder)/topside/sessions"))
        #expect(try processes(of: scratch) == [])
        let second = try demo(scratch, "--directory", folder, "--seconds", "1").ended(within: 25)
        #expect(second.code == 0 && second.errors.isEmpty, "\(second)")
        for node in ["vehicle", "topside"] {
            let audit = try scratch.run("verify", "--data", "\(folder)/\(node)")
            #expect(audit.code == 0 && !audit.output.contains(" 0 chunks"), "\(audit)")
        }
    }

    @Test("wrong usage is said, and a program that is not there")
    func usage() throws {
        let scratch = try Scratch()
        for arguments in [["--seconds"], ["--seconds", "soon"], ["--frobnicate", "1"], ["x"]] {
            let outcome = try Program([Self.script] + arguments, in: scratch).ended()
            #expect(outcome.code == 2 && outcome.errors.hasPrefix("usage: "), "\(outcome)")
        }
        let outcome = try demo(scratch, "--qnode", "\(scratch.path)/none", "--directory", scratch.path).ended()
        #expect(outcome.code == 1 && outcome.sentences.count == 1, "\(outcome)")
    }
}
