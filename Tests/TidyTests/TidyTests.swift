import Testing

/// Checks of the source text itself: rules that a compiler cannot hold, held by the test run.
@Suite struct TidyTests {
    private static let swift: Result<[SourceFile], any Error> = Result {
        try Repository.files(["Sources", "Tests"], suffixes: [".swift"])
    }

    @Test("the rules of the house hold in every file", arguments: SourceRule.all.indices)
    func rules(_ index: Int) throws {
        let rule = SourceRule.all[index]
        let violations = try Self.swift.get().flatMap(rule.violations)
        #expect(violations.isEmpty, "\(rule.name):\n\(violations.joined(separator: "\n"))")
    }

    @Test("the tests look at the sources there are")
    func sees() throws {
        let files = try Self.swift.get()
        #expect(files.contains { $0.path == "Sources/Model/Limits.swift" && $0.lines.count > 50 })
        #expect(Set(files.compactMap(\.target)) == Set(House.modules.keys))
    }

    @Test("no document, script or source names a path of one developer's machine")
    func machine() throws {
        let places = ["Sources", "Tests", "Deploy", "Docs", "README.md", "CHANGELOG.md", "Package.swift", ".ci"]
        let texts = [".swift", ".md", ".sh", ".service", ".rules", ".c", ".h", "setup", "test", "demo", "run"]
        let violations = try Repository.files(places, suffixes: texts)
            .filter { !$0.path.hasPrefix("Tests/TidyTests/") }.flatMap(SourceRule.noMachine.violations)
        #expect(violations.isEmpty, "\(violations.joined(separator: "\n"))")
    }

    @Test("the top of the repository holds what belongs there")
    func topLevel() throws {
        #expect(Set(try Repository.topLevel()).subtracting(House.topLevel) == [])
    }

    @Test("each shim says what it is for")
    func shims() throws {
        let headers = try Repository.files(["Sources/C"], suffixes: [".h"])
        #expect(!headers.isEmpty)
        for header in headers {
            // One that only includes a library's own headers explains itself.
            let includesOnly = header.lines.allSatisfy {
                $0.isEmpty || $0.hasPrefix("#include") || $0 == "#pragma once"
            }
            if includesOnly { continue }
            #expect(header.lines.prefix(3).contains { $0.hasPrefix("//") && $0.count > 20 }, "\(header.path)")
        }
    }
}

/// The rules find what they are for.
@Suite struct SourceRuleTests {
    private func found(_ path: String, _ text: String) -> Set<String> {
        let file = SourceFile(path: path, text: text)
        return Set((SourceRule.all + [.noMachine]).filter { !$0.violations(file).isEmpty }.map(\.name))
    }

    @Test(
        "a violation is found, and by its rule alone",
        arguments: [
            ("Sources/Node/A.swift", String(repeating: "a", count: 121), "lines are at most 120 wide"),
            ("Tests/XTests/A.swift", String(repeating: "\n", count: 400), "files are at most 400 lines long"),
            (
                "Sources/Model/A.swift", "import FoundationEssentials",
                "a target imports only what stands above it in the house"
            ),
            (
                "Sources/Node/A.swift", "internal import Foundation",
                "a target imports only what stands above it in the house"
            ),
            (
                "Sources/Recording/A.swift", "package import Replication",
                "a target imports only what stands above it in the house"
            ),
            ("Sources/Recording/A.swift", "import HTTP", "a target imports only what stands above it in the house"),
            (
                "Sources/Node/A.swift", "internal import Glibc",
                "a target imports only what stands above it in the house"
            ),
            (
                "Sources/Storage/A.swift", "@preconcurrency import CAvahi",
                "a target imports only what stands above it in the house"
            ),
            (
                "Sources/Node/A.swift", "import struct Dispatch.DispatchTime",
                "a target imports only what stands above it in the house"
            ),
            ("Sources/Node/A.swift", "package struct A {}", "every type of a target's interface says what it is"),
            (
                "Sources/Node/A.swift", "// not a doc comment\n@frozen\npackage final class A {}",
                "every type of a target's interface says what it is"
            ),
            ("Sources/Node/A.swift", "    Task { await x() }", "tasks are started in one place"),
            ("Sources/Node/A.swift", "let t = Task(executorPreference: e) {}", "tasks are started in one place"),
            ("Tests/XTests/A.swift", "try await Task.sleep(for: .seconds(1))", "nothing sleeps"),
            ("Tests/XTests/A.swift", "    usleep(5)", "nothing sleeps"),
            ("Tests/XTests/A.swift", "sleep(5)", "nothing sleeps"),
            ("Sources/Node/A.swift", "let x = try! y()", "errors are handled"),
            ("Sources/Node/A.swift", "let x = y // TODO\nfatalError()", "errors are handled"),
            ("Sources/HTTP/A.swift", "final class A: @unchecked Sendable {}", "checks of the compiler stay on"),
            ("Sources/HTTP/A.swift", "nonisolated(unsafe) var a = 1", "every global is isolated or constant"),
            ("Sources/HTTP/A.swift", "public struct A {}", "nothing is public"),
            ("Docs/A.md", "run /home/me/x", "no path of one developer's machine"),
            ("Sources/Node/A.swift", "let path = \"/root/x\"", "no path of one developer's machine"),
        ])
    func finds(_ path: String, _ text: String, _ rule: String) { #expect(found(path, text) == [rule]) }

    @Test(
        "what is allowed is not found",
        arguments: [
            ("Sources/Node/A.swift", "internal import FoundationEssentials\npackage import Gateway"),
            ("Sources/Reactor/EventLoop.swift", "Task(executorPreference: self) {}"),
            ("Sources/Reactor/A.swift", "final class A: @unchecked Sendable {}"),
            ("Sources/Node/A.swift", "/// Unlike `Task {`, this has a parent.\n@MainActor\nlet x = 1"),
            ("Sources/Node/A.swift", "/// It is.\n@frozen\npackage indirect enum A {}"),
            ("Sources/Node/A.swift", "try await loop.sleep(for: .seconds(1))\ngroup.addTask { x() }"),
            ("Sources/qnode/QNode.swift", "internal import Glibc"),
            ("Tests/XTests/A.swift", "import Foundation\nlet x = try! y()"),
            ("Docs/A.md", "see https://example.org/home/me and /var/lib/qnode"),
        ])
    func allows(_ path: String, _ text: String) { #expect(found(path, text) == []) }
}
