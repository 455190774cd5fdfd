import Foundation
import Testing

@testable import Node

/// The documents and the tables say the same.
@Suite struct DocumentTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test("the manual lists each setting with its default, and no other")
    func settings() throws {
        let text = try String(contentsOf: Self.root.appending(path: "Docs/Operating.md"), encoding: .utf8)
        let section = try #require(
            text.components(separatedBy: "### The settings\n").last?.components(separatedBy: "\n## ").first)
        let rows = section.split(separator: "\n").compactMap { line -> (String, String)? in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 3, cells[0].hasPrefix("`") else { return nil }
            return (cells[0].replacing("`", with: ""), cells[1])
        }
        #expect(rows.map(\.0) == Settings.all.map(\.name))
        for (name, cell) in rows {
            let setting = try #require(Settings.all.first { $0.name == name })
            switch setting.defaultValue {
            case .value(let value): #expect(cell == "`\(value)`", "\(name)")
            case .byRole(let vehicle, let topside):
                #expect(cell == "vehicle `\(vehicle)`, topside `\(topside)`", "\(name)")
            case .none, .found: #expect(!cell.isEmpty, "\(name)")
            }
        }
    }

    @Test("the example of the manual is a file that a node takes")
    func example() throws {
        let text = try String(contentsOf: Self.root.appending(path: "Docs/Operating.md"), encoding: .utf8)
        let block = try #require(
            text.components(separatedBy: "### The file\n\n```\n").last?.components(separatedBy: "```").first)
        let node = try configuration(["--config", "/f"], files: ["/f": block])
        #expect(node.mission == "Reef # 7" && node.peers.count == 2 && node.chunkInterval == .seconds(30))
    }
}
