import FoundationEssentials
import Testing

@testable import Model

@Suite struct FactTests {
    static let author = String(repeating: "ab", count: 32)
    static let head = """
        "author":"\(author)","incarnation":"00000000000000ff","n":3,"session":"550e8400-e29b-41d4-a716-446655440000",\
        "at":{"realtime":"1767225599999999999","boottime":"5","boot_id":"550e8400-e29b-41d4-a716-446655440001"}
        """

    private func decode(_ fields: String) throws -> Fact {
        try JSONDecoder().decode(Fact.self, from: Data("{\(Self.head),\(fields)}".utf8))
    }

    @Test("every kind survives encoding")
    func roundTrip() throws {
        let pair = ClockPair(realtime: 1, boottime: 2)
        let name = FactName(author: try #require(NodeID(Self.author)), incarnation: .random(), n: 1)
        let chunk = ChunkFact(
            stream: .data, index: 4, sha256: try #require(ChunkID(Self.author)), bytes: 100, rows: 3, firstRow: 9,
            first: pair, last: pair)
        let bodies: [Fact.Body] = [
            .session(
                SessionOpening(mission: "M", streams: [StreamDescription(name: .data, format: .csv, columns: ["a"])])),
            .chunk(chunk), .end(SessionEnd(reason: "stopped", streams: ["data": .init(chunks: 1, rows: 2, bytes: 3)])),
            .gap(Gap(reason: Gap.Reason.restart, from: pair, to: nil)), .clock(ClockStep(before: pair, after: pair)),
            .marker(Marker(id: "x", text: "hello")),
            .config(ConfigurationChange(changed: ["averaging": .integer(12)], dump: .null)),
            .lost(ChunkState(reason: "rot")), .held(ChunkState()), .removed(ChunkState()),
        ]
        for body in bodies {
            let fact = Fact(
                name: name, session: .random(), at: ClockReading(realtime: 1, boottime: 2, bootID: .random()),
                body: body)
            let decoded = try JSONDecoder().decode(Fact.self, from: JSONEncoder().encode(fact))
            #expect(decoded == fact)
        }
    }

    @Test("a kind of a later release is kept")
    func unknownKind() throws {
        #expect(try decode(#""kind":"weather","sky":"blue""#).body == .unknown(kind: "weather"))
    }

    @Test(
        "numbers and names out of range are refused",
        arguments: [
            #""index":-1,"bytes":1,"rows":0,"first_row":0"#, #""index":0,"bytes":-1,"rows":0,"first_row":0"#,
            #""index":0,"bytes":1,"rows":2,"first_row":0"#, #""index":0,"bytes":1,"rows":0,"first_row":-3"#,
            #""index":0,"bytes":99999999999999,"rows":0,"first_row":0"#,
        ])
    func hostileChunk(_ numbers: String) {
        let times = #""first":{"realtime":"1","boottime":"1"},"last":{"realtime":"1","boottime":"1"}"#
        #expect(throws: (any Error).self) {
            _ = try decode(#""kind":"chunk","stream":"data","sha256":"\#(Self.author)",\#(times),\#(numbers)"#)
        }
        #expect(throws: (any Error).self) {
            _ = try decode(
                #""kind":"chunk","stream":"../x","sha256":"\#(Self.author)",\#(times),"#
                    + #""index":0,"bytes":1,"rows":0,"first_row":0"#
            )
        }
    }

    @Test(
        "a fact's number stays where everybody can reckon with it",
        arguments: ["0", "-1", "9007199254740993", "9223372036854775807"])
    func numbers(_ n: String) {
        let head = Self.head.replacing(#""n":3"#, with: "\"n\":\(n)")
        #expect(throws: (any Error).self) {
            _ = try JSONDecoder().decode(Fact.self, from: Data("{\(head),\"kind\":\"x\"}".utf8))
        }
    }

    @Test("a claim of more facts than there are numbers is counted, not trapped on")
    func vastClaims() throws {
        var claims = Holdings()
        for n in 1...2048 {
            claims[NodeID(digest: try #require(Digest256(hex: Self.author))), Incarnation(word: UInt64(n))] =
                try #require(RangeSet64("1-9007199254740992"))
        }
        #expect(claims.count == .max)
    }
}
