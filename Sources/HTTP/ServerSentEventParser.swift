internal import Model

/// Turns the bytes of an event stream into events, exactly as WHATWG HTML says. Holds no socket and no clock.
package struct ServerSentEventParser: Sendable {
    package enum Failure: Error, Hashable, Sendable {
        case lineTooLong(limit: Int)
        case eventTooLong(limit: Int)
    }

    /// The last id that the stream has given: what Last-Event-ID says when it is opened again.
    package private(set) var lastEventID = ""
    /// The reconnection time that the stream asks for.
    package private(set) var retryMilliseconds: Int64?
    /// Comments seen: a silent stream's sign of life.
    package private(set) var commentCount = 0

    private let lineLimit: Int
    private let eventLimit: Int
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var name = ""
    private var idBuffer = ""
    private var afterCarriageReturn = false
    private var isFirstLine = true

    package init(lineLimit: Int = Limits.eventLineBytes, eventLimit: Int = Limits.eventLineBytes) {
        self.lineLimit = lineLimit
        self.eventLimit = eventLimit
    }

    /// The events that `bytes` complete. After an error the stream is to be closed.
    package mutating func consume(_ bytes: [UInt8]) throws(Failure) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            if afterCarriageReturn {
                afterCarriageReturn = false
                if rest.first == 10 { rest.removeFirst() }
            }
            let part = rest.prefix { $0 != 10 && $0 != 13 }
            guard line.count + part.count <= lineLimit else { throw .lineTooLong(limit: lineLimit) }
            line += part
            rest = rest[part.endIndex...]
            guard let end = rest.popFirst() else { break }
            afterCarriageReturn = end == 13
            if let event = try finishLine() { events.append(event) }
        }
        return events
    }

    private mutating func finishLine() throws(Failure) -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
            if line.isEmpty { return dispatch() }
            try field(line[...], [])
            return nil
        }
        if colon == 0 {
            commentCount += 1
            return nil
        }
        var value = line[(colon + 1)...]
        if value.first == 32 { value.removeFirst() }
        try field(line[..<colon], value)
        return nil
    }

    private mutating func field(_ field: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws(Failure) {
        if field.elementsEqual("data".utf8) {
            guard data.count + value.count < eventLimit else { throw .eventTooLong(limit: eventLimit) }
            if hasData { data.append(10) }
            hasData = true
            data += value
        } else if field.elementsEqual("event".utf8) {
            name = String(decoding: value, as: UTF8.self)
        } else if field.elementsEqual("id".utf8) {
            if !value.contains(0) { idBuffer = String(decoding: value, as: UTF8.self) }
        } else if field.elementsEqual("retry".utf8) {
            if !value.isEmpty, value.allSatisfy(HTTPSyntax.isDigit) {
                retryMilliseconds = Int64(String(decoding: value, as: UTF8.self)) ?? retryMilliseconds
            }
        }
    }

    private mutating func dispatch() -> ServerSentEvent? {
        lastEventID = idBuffer
        defer {
            data.removeAll(keepingCapacity: true)
            hasData = false
            name = ""
        }
        guard hasData else { return nil }
        return ServerSentEvent(
            name: name.isEmpty ? "message" : name, data: String(decoding: data, as: UTF8.self),
            id: lastEventID.isEmpty ? nil : lastEventID)
    }
}
