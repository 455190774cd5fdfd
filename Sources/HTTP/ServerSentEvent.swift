/// One event of an event stream (WHATWG HTML, section 9.2).
package struct ServerSentEvent: Hashable, Sendable {
    /// The event's type; `message` where the stream names none.
    package var name: String
    package var data: String
    /// As a reader sees it: the last id the stream has given, which may be an earlier event's. As a writer gives it:
    /// nil for none.
    package var id: String?

    package init(name: String = "message", data: String, id: String? = nil) {
        self.name = name
        self.data = data
        self.id = id
    }

    /// The event's bytes on the wire.
    package var bytes: [UInt8] { Self.bytes(name: name, id: id, data: Array(data.utf8)) }

    /// The same from data that is bytes already, such as a fact's; every line of it becomes a `data:` line.
    package static func bytes(name: String, id: String? = nil, data: [UInt8]) -> [UInt8] {
        precondition(isOneLine(name) && isOneLine(id ?? ""), "an event's name and id are one line each")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + name.utf8.count + 64)
        if name != "message" { bytes += Array("event: \(name)\n".utf8) }
        if let id { bytes += Array("id: \(id)\n".utf8) }
        var rest = data[...]
        while true {
            let line = rest.prefix { $0 != 10 && $0 != 13 }
            bytes += Array("data: ".utf8)
            bytes += line
            bytes.append(10)
            rest = rest[line.endIndex...]
            guard let end = rest.popFirst() else { break }
            if end == 13, rest.first == 10 { rest.removeFirst() }
        }
        bytes.append(10)
        return bytes
    }

    /// A comment: what keeps a silent stream alive.
    package static func comment(_ text: String = "") -> [UInt8] {
        precondition(isOneLine(text), "a comment is one line")
        return Array(":\(text)\n\n".utf8)
    }

    /// Tells the reader how long to wait before it comes back.
    package static func retry(milliseconds: Int) -> [UInt8] { Array("retry: \(milliseconds)\n\n".utf8) }

    private static func isOneLine(_ text: String) -> Bool { text.utf8.allSatisfy { $0 != 10 && $0 != 13 && $0 != 0 } }
}
