import Foundation

/// A rule about the text of a file that no compiler holds: what is wrong, as `path:line: what`.
struct SourceRule: Sendable {
    let name: String
    let violations: @Sendable (SourceFile) -> [String]

    init(_ name: String, _ violations: @escaping @Sendable (SourceFile) -> [String]) {
        self.name = name
        self.violations = violations
    }

    /// Spellings that do not occur in code below `folders`, except in `allowed` folders or files.
    static func banned(
        _ name: String, _ spellings: [String], in folders: [String] = ["Sources/"], allowed: [String] = []
    ) -> SourceRule {
        SourceRule(name) { file in
            guard folders.contains(where: file.path.hasPrefix), !allowed.contains(where: file.path.hasPrefix) else {
                return []
            }
            return file.code.flatMap { number, text in
                spellings.filter { occurs($0, in: text) }.map { "\(file.path):\(number): \($0)" }
            }
        }
    }

    /// Whole words only: `usleep` is not in `pulseusleeper`.
    private static func occurs(_ spelling: String, in text: String) -> Bool {
        text.ranges(of: spelling).contains { range in
            guard range.lowerBound > text.startIndex, spelling.first.map({ $0.isLetter }) == true else { return true }
            let before = text[text.index(before: range.lowerBound)]
            return !before.isLetter && !before.isNumber && before != "_"
        }
    }
}

extension SourceRule {
    static let all: [SourceRule] = [
        SourceRule("lines are at most 120 wide") { file in
            file.lines.enumerated().filter { $1.count > 120 && !$1.contains("https://") }
                .map { "\(file.path):\($0 + 1): \($1.count) columns" }
        },
        SourceRule("files are at most 400 lines long") { file in
            // All limits stand in one file, however many they are.
            let isLong = file.lines.count > 400 && !file.path.hasSuffix("Model/Limits.swift")
            return isLong ? ["\(file.path): \(file.lines.count) lines"] : []
        },
        SourceRule("a target imports only what stands above it in the house") { file in
            file.imports.filter { !House.mayImport($0.module, in: file) }
                .map { "\(file.path):\($0.number): import \($0.module)" }
        },
        SourceRule("every type of a target's interface says what it is") { file in
            guard file.path.hasPrefix("Sources/") else { return [] }
            let type = #/^package (?:final |indirect )?(?:actor|class|struct|enum|protocol) /#
            return file.lines.indices.filter { index in
                guard file.lines[index].firstMatch(of: type) != nil else { return false }
                let before = file.lines[..<index].last { !$0.hasPrefix("@") }
                return before?.hasPrefix("///") != true
            }
            .map { "\(file.path):\($0 + 1): \(file.lines[$0])" }
        },
        // Tasks have a parent and the loop's preference; the one place that starts them is EventLoop.spawn.
        banned(
            "tasks are started in one place", ["Task {", "Task(", "Task.detached"],
            allowed: ["Sources/Reactor/EventLoop"]),
        // Task.sleep starts threads of its own; a test that sleeps is slow or wrong, and mostly both.
        banned(
            "nothing sleeps",
            ["Task.sleep", "usleep(", "nanosleep(", "Thread.sleep", "Glibc.sleep"] + (0...9).map { "sleep(\($0)" },
            in: ["Sources/", "Tests/"], allowed: ["Sources/Reactor/EventLoop+sleep.swift", "Tests/TidyTests/"]),
        banned("errors are handled", ["try!", "as!", "fatalError(", "TODO", "FIXME"]),
        banned(
            "checks of the compiler stay on", ["@unchecked Sendable"],
            allowed: ["Sources/Reactor/"]),
        // A table of C functions that the parser takes by its address.
        banned(
            "every global is isolated or constant", ["nonisolated(unsafe)"],
            allowed: ["Sources/Reactor/", "Sources/HTTP/MessageParser.swift"]),
        banned(
            "nothing is public",
            ["public func", "public struct", "public enum", "public actor", "public final", "public var"]),
        banned("the loop is the only executor", ["DispatchQueue", "DispatchSemaphore", "Thread("]),
    ]

    /// Holds for every text of the repository, documents and scripts too.
    static let noMachine = SourceRule("no path of one developer's machine") { file in
        let place = #/(?:^|[\s"'`(=])/(?:home|Users|root|work)/\w/#
        return file.lines.enumerated().filter { $1.firstMatch(of: place) != nil }
            .map { "\(file.path):\($0 + 1): \($1.trimmingCharacters(in: .whitespaces))" }
    }
}
