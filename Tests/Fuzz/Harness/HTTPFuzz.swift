import Model

@testable import HTTP

/// HTTP as it comes from a connection, and the values in its heads.
func fuzzHTTP(_ input: inout FuzzBytes) {
    let choice = input.byte()
    let cut = input.byte()
    switch choice & 3 {
    case 0: checkMessages(input.rest(), .request, cutBy: cut)
    case 1: checkMessages(input.rest(), .response, cutBy: cut, withoutBody: choice & 4 != 0)
    case 2:
        // A whole head but for what the input brings.
        let head = choice & 4 == 0 ? "POST /v1/facts?a=b HTTP/1.1\r\nHost: a\r\n" : "GET / HTTP/1.0\r\n"
        checkMessages(Array(head.utf8) + input.rest(), .request, cutBy: cut)
    default: checkValues(&input, choice: choice)
    }
}

// MARK: - Messages

/// What a parser finds in a stream of messages, and what ends it.
private struct Found: Hashable {
    struct Message: Hashable {
        var start = ""
        var fields: [HTTPHeaders.Field] = []
        var keepsAlive = false
        var body: [UInt8] = []
        var isComplete = false
    }

    var messages: [Message] = []
    var fault: MessageFault?
    /// Bytes that were taken; those behind a fault are nobody's.
    var consumed = 0
}

private func checkMessages(
    _ bytes: [UInt8], _ kind: MessageParser.Kind, cutBy choice: UInt8, withoutBody: Bool = false
) {
    let whole = read([bytes], kind, withoutBody)
    expect(whole.fault != nil || whole.consumed == bytes.count, "bytes are left without a fault")
    for message in whole.messages { check(message, kind) }
    let parts = read(pieces(of: bytes, cutBy: choice), kind, withoutBody)
    expect(parts.messages == whole.messages, "messages depend on where the stream is cut: \(whole), \(parts)")
    expect(parts.fault == whole.fault, "a fault depends on where the stream is cut: \(whole), \(parts)")
}

private func check(_ message: Found.Message, _ kind: MessageParser.Kind) {
    for field in message.fields {
        expect(HTTPSyntax.isToken(field.name.utf8), "a header's name is no token: \(field)")
        expect(field.value.utf8.allSatisfy(HTTPSyntax.isFieldByte), "a header's value is no text: \(field)")
        expect(HTTPSyntax.trimmed(field.value).elementsEqual(field.value), "a header's value is not trimmed: \(field)")
    }
    guard kind == .request, let target = message.start.split(separator: " ").last else { return }
    checkTarget(String(target))
}

/// As a connection does: reads until everything is taken, a new message after each.
private func read(_ pieces: [[UInt8]], _ kind: MessageParser.Kind, _ withoutBody: Bool) -> Found {
    let parser = MessageParser(kind)
    parser.expectsNoBody = withoutBody
    var found = Found()
    do {
        for piece in pieces {
            var offset = 0
            // A head that ends with the piece may complete its message without another byte.
            var isAfterHead = false
            while offset < piece.count || isAfterHead {
                let before = offset
                let progress = try parser.read(piece, from: offset)
                offset += progress.consumed
                found.consumed += progress.consumed
                note(progress, of: piece, in: &found)
                expect(
                    offset > before || progress.head != nil || progress.isComplete || isAfterHead,
                    "the parser takes nothing and finds nothing")
                isAfterHead = progress.head != nil
                if progress.isComplete {
                    parser.restart()
                    parser.expectsNoBody = withoutBody
                }
            }
        }
        if parser.hasBegun {
            try parser.end()
            found.messages[found.messages.count - 1].isComplete = true
        }
    } catch {
        found.fault = error
        // A piece that ends in a fault gives none of its body: how much came before depends on the pieces.
        if let last = found.messages.indices.last, !found.messages[last].isComplete { found.messages[last].body = [] }
    }
    return found
}

private func note(_ progress: MessageParser.Progress, of piece: [UInt8], in found: inout Found) {
    if let head = progress.head {
        expect(head.status == 0 || head.method.isEmpty, "a response has a method")
        let start = head.method.isEmpty ? "\(head.status)" : "\(head.method) \(head.target)"
        found.messages.append(Found.Message(start: start, fields: head.headers.fields, keepsAlive: head.keepsAlive))
    }
    for range in progress.body {
        expect(range.upperBound <= piece.count, "a body is beyond the bytes")
        found.messages[found.messages.count - 1].body += piece[range]
    }
    if progress.isComplete { found.messages[found.messages.count - 1].isComplete = true }
}

// MARK: - Values

private func checkValues(_ input: inout FuzzBytes, choice: UInt8) {
    let number = input.int64()
    let text = String(decoding: input.rest(), as: UTF8.self)
    checkTarget(text)
    let escaped = PercentCoding.encode(text)
    let decoded = try? PercentCoding.decode(escaped)
    expect(decoded == (text.utf8.contains(0) ? nil : text), "“\(text)” is another when it was escaped")
    checkRange(text, length: number & .max >> (choice & 4 == 0 ? 40 : 0))
    for tag in EntityTag.list(text) {
        expect(EntityTag.list(tag.description) == [tag], "an entity tag is another when it was printed: \(tag)")
        expect(tag.matches(ifNoneMatch: [text]), "an entity tag is not in the list it was read from: \(tag)")
    }
    let date = HTTPDate.text(number)
    expect(date.utf8.count == 29 && date.hasSuffix(" GMT"), "a date is “\(date)”")
    let blanks: [UInt8] = [9, 32]
    let trimmed = text.utf8.drop(while: blanks.contains).reversed().drop(while: blanks.contains).reversed()
    expect(HTTPSyntax.trimmed(text).utf8.elementsEqual(trimmed), "“\(text)” is trimmed by more than blanks")
    if let value = HTTPSyntax.decimal(text) { expect(value >= 0, "digits are a negative number") }
    expect(HTTPHeaders(dictionaryLiteral: ("A", text))["a"]?.utf8.contains(10) != true, "a value starts a line")
}

private func checkRange(_ text: String, length: Int64) {
    for value in [text, "bytes=" + text] {
        let range = ByteRange(value, length: length)
        guard case .part(let part) = range else { continue }
        expect(!part.isEmpty && part.lowerBound >= 0 && part.upperBound <= length, "\(part) is not in \(length) bytes")
        let printed = range.contentRange(length: length).flatMap(ContentRange.init)
        expect(printed?.range == part && printed?.length == length, "\(part) of \(length) is another when printed")
    }
    if let range = ContentRange(text) {
        expect(!range.range.isEmpty && range.range.upperBound <= range.length ?? .max, "\(range) is no range")
    }
}

private func checkTarget(_ text: String) {
    guard let target = try? RequestTarget(text) else { return }
    let parts = target.segments + target.query.flatMap { [$0.name, $0.value] }
    expect(parts.allSatisfy { !$0.utf8.contains(0) }, "a target has a NUL: \(target)")
    expect(!target.segments.contains(".") && !target.segments.contains(".."), "a path climbs: \(target)")
    // Printed in our own words it is the same, but for a last slash.
    let path = "/" + target.segments.map(PercentCoding.encode).joined(separator: "/")
    let query = target.query.map { PercentCoding.encode($0.name) + "=" + PercentCoding.encode($0.value) }
    let again = try? RequestTarget(path + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
    expect(again?.query == target.query, "a query is another when it was printed: \(target)")
    if target.segments.last != "" {
        expect(again?.segments == target.segments, "a path is another when it was printed: \(target)")
    }
}
