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

    @Test("a book of the most and longest entries is read back from its bytes")
    func roundTrip() throws {
        var book = PeerBook()
        let longest = String(repeating: "\u{1}", count: 255)
        for number in 0...255 {
            book.remember(
                entry(UInt8(number), host: "fe80::\(number)%\(String(repeating: "x", count: 15))", name: longest))
        }
        #expect(PeerBook(json: try book.json()) == book)
    }

    @Test(
        "bytes that are damaged, hostile or of another version are no book",
        arguments: [
            "", "{", "[]", "{\"version\":2,\"peers\":[]}", "{\"version\":1}",
            "{\"version\":1,\"peers\":[{\"id\":\"../../etc\",\"name\":\"\",\"endpoint\":\"a:1\",\"at\":\"0\"}]}",
            String(repeating: "[", count: 100_000), String(repeating: " ", count: Limits.peerBookBytes + 1),
        ])
    func damaged(content: String) { #expect(PeerBook(json: Array(content.utf8)) == nil) }
}
