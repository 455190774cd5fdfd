import Foundation
import Glibc
import Testing

/// What a topside has of a vehicle that dies while it writes.
@Suite struct TailTests {
    /// Lines of the files below this folder whose names begin and end so; nil where there is none.
    private func lines(_ folder: String, _ beginning: String, _ end: String) -> [String]? {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        let found = names.filter { name in
            let file = name.split(separator: "/").last ?? ""
            return file.hasPrefix(beginning) && file.hasSuffix(end)
        }
        guard !found.isEmpty else { return nil }
        return found.sorted().flatMap { name in
            String(decoding: FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data(), as: UTF8.self)
                .split(separator: "\n").map(String.init)
        }
    }

    @Test("a vehicle that is killed in mid-chunk has its rows in the topside's partial file, and goes on from there")
    func killed() throws {
        let scratch = try Scratch()
        let sensor = try scratch.sensor()
        let settings = ["--role", "vehicle", "--serial", sensor, "--commit-interval", "0", "--chunk-interval", "600s"]
        let vehicle = try scratch.node("vehicle", settings)
        let port = try #require(try vehicle.status()?.port)
        let mirror = ["--role", "topside", "--peer", "127.0.0.1:\(port)"]
        var topside = try scratch.node("topside", mirror)
        try topside.until("it copies the open chunk") { _ in lines("\(topside.data)/open", "data.", "0") != nil }
        let rows = try vehicle.until("rows are recorded") { $0.rows > 60 }.rows
        try topside.until("they are copied") { _ in lines("\(topside.data)/open", "data.", "0")?.count ?? 0 > rows }
        try vehicle.kill()
        // The header's line is one more.
        try topside.until("the partial file has them", within: 25) { _ in
            lines("\(topside.data)/sessions", "chunk_", ".partial.csv")?.count ?? 0 > rows
        }
        let partial = try #require(lines("\(topside.data)/sessions", "chunk_", ".partial.csv"))
        let own = try #require(lines("\(vehicle.data)/open", "data.", "0"))
        #expect(own.starts(with: partial) || partial.starts(with: own))
        // The topside dies as well, and has them still.
        try topside.kill()
        topside = try scratch.node("topside", mirror)
        #expect(lines("\(topside.data)/open", "data.", "0")?.starts(with: partial) == true)
        // The author is back: what it sealed is completed behind the copy.
        let again = try scratch.node("vehicle", settings + ["--listen", "127.0.0.1:\(port)"])
        try topside.until("the chunk is held") { status in
            status.held >= 2 && lines("\(topside.data)/sessions", "chunk_00000", ".csv")?.starts(with: partial) == true
        }
        #expect(try again.stop().code == 0)
        #expect(try topside.stop().code == 0)
        let audit = try scratch.run("verify", "--data", topside.data)
        #expect(audit.code == 0, "\(audit)")
    }
}
