import Testing

@testable import HTTP

@Suite struct ServerSentEventTests {
    private func parse(_ pieces: [[UInt8]]) throws -> ([ServerSentEvent], ServerSentEventParser) {
        var parser = ServerSentEventParser()
        var events: [ServerSentEvent] = []
        for piece in pieces { events += try parser.consume(piece) }
        return (events, parser)
    }

    private func parse(_ text: String) throws -> [ServerSentEvent] { try parse([Array(text.utf8)]).0 }

    @Test("a stream split at any place, with any ends of line, gives the same events", arguments: ["\n", "\r", "\r\n"])
    func splits(end: String) throws {
        let lines = [
            ": hello", "event: chunk", "id: 7", "data: a", "data:b", "data:  ö", "", "data", "", "id: 8", "",
            "retry: 250",
            "data: x", "other: y", "", "id", "data: z", "", "data: unfinished",
        ]
        let bytes = [0xEF, 0xBB, 0xBF] + Array(lines.joined(separator: end).utf8)
        let expected = [
            ServerSentEvent(name: "chunk", data: "a\nb\n ö", id: "7"), ServerSentEvent(data: "", id: "7"),
            ServerSentEvent(data: "x", id: "8"), ServerSentEvent(data: "z"),
        ]
        for split in 0...bytes.count {
            let (events, parser) = try parse([Array(bytes[..<split]), Array(bytes[split...])])
            #expect(events == expected, "split at \(split)")
            #expect(parser.retryMilliseconds == 250 && parser.commentCount == 1 && parser.lastEventID == "")
        }
        #expect(try parse(bytes.map { [$0] }).0 == expected)
    }

    @Test("the examples of the standard")
    func standard() throws {
        #expect(try parse("data: YHOO\ndata: +2\ndata: 10\n\n") == [ServerSentEvent(data: "YHOO\n+2\n10")])
        #expect(try parse("data\n\ndata\ndata\n\ndata:") == [ServerSentEvent(data: ""), ServerSentEvent(data: "\n")])
        #expect(
            try parse("data:test\n\ndata: test\n\n") == [ServerSentEvent(data: "test"), ServerSentEvent(data: "test")])
    }

    @Test("an id with a NUL and a retry that is no number are ignored; an event without data is none")
    func ignored() throws {
        let (events, parser) = try parse([Array("id: a\u{0}b\nretry: 1x\nevent: e\n\ndata: d\n\n".utf8)])
        #expect(events == [ServerSentEvent(data: "d")])
        #expect(parser.lastEventID == "" && parser.retryMilliseconds == nil)
    }

    @Test("the byte-order mark counts at the start only")
    func byteOrderMark() throws {
        #expect(try parse("\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n") == [ServerSentEvent(data: "a")])
    }

    @Test("a line and an event that are too long are errors")
    func limits() {
        var parser = ServerSentEventParser(lineLimit: 10, eventLimit: 12)
        #expect(throws: ServerSentEventParser.Failure.lineTooLong(limit: 10)) {
            _ = try parser.consume(Array("data: 12345".utf8))
        }
        parser = ServerSentEventParser(lineLimit: 10, eventLimit: 12)
        #expect(throws: ServerSentEventParser.Failure.eventTooLong(limit: 12)) {
            for _ in 0..<9 { _ = try parser.consume(Array("data: 12\n".utf8)) }
        }
    }

    @Test("what is written is read again", arguments: ["", "a", "a\nb", "a\r\nb\rc", "\n", " leading", "ö\n\n"])
    func roundTrip(data: String) throws {
        let event = ServerSentEvent(name: "chunk", data: data, id: "e-1")
        let (events, _) = try parse([ServerSentEvent.comment("x"), event.bytes, ServerSentEvent.retry(milliseconds: 5)])
        let read = data.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        #expect(events == [ServerSentEvent(name: "chunk", data: read, id: "e-1")])
    }
}
