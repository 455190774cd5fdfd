import Testing

@testable import Model

@Suite struct IdentifierTests {
    @Test("a digest is 64 lower-case hex digits, and only that")
    func digests() throws {
        let text = "0123456789abcdef" + String(repeating: "f", count: 48)
        #expect(try #require(ChunkID(text)).description == text)
        #expect(ChunkID(text.uppercased()) == nil)
        #expect(ChunkID(String(text.dropLast())) == nil)
        #expect(ChunkID("../" + String(text.dropFirst(3))) == nil)
        #expect(Digest256(bytes: try #require(ChunkID(text)).digest.bytes)?.hex == text)
    }

    @Test("a UUID is read in either case and printed in lower case")
    func uuids() throws {
        let id = try #require(SessionID("550E8400-E29B-41D4-A716-446655440000"))
        #expect(id.description == "550e8400-e29b-41d4-a716-446655440000")
        #expect(SessionID(bytes: id.bytes) == id)
        #expect(SessionID("550e8400e29b41d4a716446655440000") == nil)
        #expect(SessionID.random() != SessionID.random())
        #expect(SessionID.random().description.dropFirst(14).first == "4")
    }

    @Test(
        "a stream's name is safe as a file's name",
        arguments: ["", ".", "..", "a/b", "A", "é", String(repeating: "a", count: 33)])
    func badStreams(_ text: String) { #expect(StreamName(text) == nil) }

    @Test("a fact's name survives its text")
    func factNames() throws {
        let name = FactName(
            author: NodeID(digest: try #require(Digest256(hex: String(repeating: "a", count: 64)))),
            incarnation: .random(), n: 7)
        #expect(FactName(name.description) == name)
        #expect(FactName(name.description + "/1") == nil)
    }

    @Test("a fact's name has one form only", arguments: ["07", "+7", "-7", "7 ", "٧", "0", ""])
    func oneForm(_ number: String) {
        let place = String(repeating: "a", count: 64) + "/00000000000000ff/"
        #expect(FactName(place + "7") != nil && FactName(place + number) == nil)
    }
}

@Suite struct TimestampTests {
    @Test(
        "nanoseconds become civil time",
        arguments: [
            (0, "1970-01-01T00:00:00.000000Z"), (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_767_225_599_999_999_999, "2025-12-31T23:59:59.999999Z"), (-1, "1969-12-31T23:59:59.999999Z"),
            (Int64.max, "2262-04-11T23:47:16.854775Z"), (Int64.min, "1677-09-21T00:12:43.145224Z"),
        ] as [(Int64, String)])
    func text(nanoseconds: Int64, expected: String) { #expect(Timestamp.text(nanoseconds) == expected) }
}
