import Model

@testable import HTTP

/// Event streams, as a peer sends them.
func fuzzEventStream(_ input: inout FuzzBytes) {
    let choice = input.byte()
    let cut = input.byte()
    if choice & 7 == 0 {
        checkWriting(&input)
    } else {
        let limit = choice & 8 == 0 ? Limits.eventLineBytes : 1 + Int(choice >> 3)
        checkReading(input.rest(), cutBy: cut, limit: limit)
    }
}

private struct Found: Hashable {
    var events: [ServerSentEvent] = []
    var failure: ServerSentEventParser.Failure?
    var lastEventID = ""
    var retry: Int64?
    var comments = 0
}

private func checkReading(_ bytes: [UInt8], cutBy choice: UInt8, limit: Int) {
    // A failure ends a stream, and the events of the same call with it: pieces may have given some before.
    let whole = read([bytes], limit)
    let parts = read(pieces(of: bytes, cutBy: choice), limit)
    expect(parts.failure == whole.failure, "a failure depends on where the stream is cut: \(whole), \(parts)")
    if whole.failure == nil {
        expect(parts == whole, "events depend on where the stream is cut: \(whole), \(parts)")
    }
    for event in parts.events {
        expect(!event.name.isEmpty && !event.name.utf8.contains { $0 == 10 || $0 == 13 }, "a name is \(event.name)")
        expect(event.id?.utf8.contains { $0 == 0 || $0 == 10 || $0 == 13 } != true, "an id has more than a line")
    }
    expect(parts.retry ?? 0 >= 0, "a time is negative")
}

private func read(_ pieces: [[UInt8]], _ limit: Int) -> Found {
    var parser = ServerSentEventParser(lineLimit: limit, eventLimit: limit)
    var found = Found()
    do {
        for piece in pieces { found.events += try parser.consume(piece) }
    } catch {
        found.failure = error
    }
    found.lastEventID = parser.lastEventID
    found.retry = parser.retryMilliseconds
    found.comments = parser.commentCount
    return found
}

/// What a node writes is read as what it meant; line ends within data become newlines.
private func checkWriting(_ input: inout FuzzBytes) {
    let words = [Int(input.byte() & 31), Int(input.byte() & 31)].map { count in
        String(decoding: input.take(count).map { $0 == 0 || $0 == 10 || $0 == 13 ? 32 : $0 }, as: UTF8.self)
    }
    let data = input.rest()
    let bytes = ServerSentEvent.bytes(name: words[0], id: words[1], data: data)
    let found = read([bytes], Limits.eventLineBytes)
    expect(found.failure == nil && found.events.count == 1, "an event is read as \(found)")
    guard let event = found.events.first else { return }
    let text = String(decoding: normalised(data), as: UTF8.self)
    expect(event.data.utf8.elementsEqual(text.utf8), "an event's data is “\(event.data)” instead of “\(text)”")
}

private func normalised(_ data: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    for (position, byte) in data.enumerated() {
        if byte == 10, position > 0, data[position - 1] == 13 { continue }
        bytes.append(byte == 13 ? 10 : byte)
    }
    return bytes
}
