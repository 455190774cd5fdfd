import Foundation

/// One file of the repository as text.
struct SourceFile: Sendable {
    /// From the repository's root, `Sources/Model/Fact.swift`.
    let path: String
    let lines: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.components(separatedBy: "\n")
    }

    var folder: String { String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)) }

    /// `Sources/Model/…` is of `Model`; nil outside Sources.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count >= 3 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    /// Lines with their numbers, comments left out.
    var code: [(number: Int, text: String)] {
        lines.enumerated().compactMap { index, line in
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.hasPrefix("//") { return nil }
            return (index + 1, line.components(separatedBy: " // ")[0])
        }
    }

    /// Names of the modules it imports.
    var imports: [(number: Int, module: String)] {
        let declaration =
            #/
            ^\s* (?: @\w+ (?: \([^)]*\) )? \s+ )* (?: \w+ \s+ )? import \s+
            (?: (?: struct | class | enum | protocol | func | var | let | typealias ) \s+ )? (\w+)
            /#
        return code.compactMap { number, text in
            text.firstMatch(of: declaration).map { (number, String($0.1)) }
        }
    }
}

/// The repository that the tests were built from.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// What stands at the top, without what builds leave there.
    static func topLevel() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.path).filter { !$0.hasPrefix(".") }.sorted()
    }

    /// Files below the given folders, and the given files.
    static func files(_ places: [String], suffixes: [String]) throws -> [SourceFile] {
        var files: [SourceFile] = []
        for place in places {
            let base = root.appending(path: place)
            let below = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
            let paths = below.isEmpty ? [place] : below.map { "\(place)/\($0)" }
            for path in paths.sorted() where suffixes.isEmpty || suffixes.contains(where: path.hasSuffix) {
                var isFolder: ObjCBool = false
                let url = root.appending(path: path)
                guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue
                else {
                    continue
                }
                files.append(SourceFile(path: path, text: try String(contentsOf: url, encoding: .utf8)))
            }
        }
        return files
    }
}
