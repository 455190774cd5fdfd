import Glibc
import Model
import Reactor
import Testing

@testable import Discovery

@Suite struct PeerBookTests {
    private func id(_ number: UInt8) -> NodeID {
        guard let digest = Digest256(bytes: [UInt8](repeating: number, count: 32)) else {
            preconditionFailure("32 bytes are a digest")
        }
        return NodeID(digest: digest)
    }

    private func entry(_ number: UInt8, host: String = "10.0.0.2", name: String = "n") -> PeerBook.Entry {
        PeerBook.Entry(id: id(number), name: name, role: .topside, endpoint: Endpoint(host: host, port: 9150), at: 1)
    }

    /// Runs `body` with a directory of its own.
    private func inDirectory(_ body: (String) async throws -> Void) async throws {
        var template = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/qnode-peers-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SyscallError("mkdtemp", code: errno) }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["peers.json", "peers.json.new", "peers.json.damaged"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
        try await body(path)
    }

    @Test("the latest comes first, once, and the longest unused is forgotten when there are too many")
    func order() {
        var book = PeerBook()
        book.remember(entry(1))
        book.remember(entry(2))
        book.remember(entry(1, host: "10.0.0.9"))
        #expect(book.entries.map(\.id) == [id(1), id(2)])
        #expect(book[id(1)]?.endpoint.host == "10.0.0.9")
        for number in 0...255 { book.remember(entry(UInt8(number))) }
        #expect(book.entries.count == Limits.peers)
        book.forget(id(7))
        #expect(book[id(7)] == nil)
        #expect(entry(1, name: String(repeating: "é", count: 1000)).name.utf8.count == 254)
    }

    @Test("a book of the most and longest entries is read back from its file")
    func roundTrip() async throws {
        try await inDirectory { path in
            let lane = DiskLane(name: "lane")
            let file = PeerBookFile(lane: lane, directory: path, log: .silent)
            #expect(try await file.load() == PeerBook())
            var book = PeerBook()
            let longest = String(repeating: "\u{1}", count: 255)
            for number in 0...255 {
                book.remember(
                    entry(UInt8(number), host: "fe80::\(number)%\(String(repeating: "x", count: 15))", name: longest))
            }
            try await file.save(book)
            try await file.save(book)
            #expect(try await file.load() == book)
            lane.stop()
        }
    }

    @Test(
        "a file that is damaged, hostile or of another version is set aside",
        arguments: [
            "", "{", "[]", "{\"version\":2,\"peers\":[]}", "{\"version\":1}",
            "{\"version\":1,\"peers\":[{\"id\":\"../../etc\",\"name\":\"\",\"endpoint\":\"a:1\",\"at\":\"0\"}]}",
            String(repeating: "[", count: 100_000), String(repeating: " ", count: Limits.peerBookBytes + 1),
        ])
    func damaged(content: String) async throws {
        try await inDirectory { path in
            try Directory.open(path).openFile("peers.json", .createNew).write(Array(content.utf8))
            let lane = DiskLane(name: "lane")
            let warnings = Locked(0)
            let log = Log(source: "t", level: .warning, forJournal: false) { _ in warnings.withLock { $0 += 1 } }
            let file = PeerBookFile(lane: lane, directory: path, log: log)
            #expect(try await file.load() == PeerBook())
            #expect(warnings.withLock { $0 } == 1)
            let directory = try Directory.open(path)
            #expect(try directory.kind(of: "peers.json") == nil)
            #expect(try directory.length(of: "peers.json.damaged") == Int64(content.utf8.count))
            #expect(try await file.load() == PeerBook())
            lane.stop()
        }
    }

    @Test("a symbolic link in the file's place is not followed")
    func link() async throws {
        try await inDirectory { path in
            #expect(symlink("/etc/passwd", "\(path)/peers.json") == 0)
            let lane = DiskLane(name: "lane")
            let file = PeerBookFile(lane: lane, directory: path, log: .silent)
            let book = try await file.load()
            #expect(book == PeerBook())
            lane.stop()
        }
    }
}
