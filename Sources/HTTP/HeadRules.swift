internal import Model

/// The strictness of RFC 9112 that llhttp 8.1 lacks, over a head's raw bytes: where two readers could disagree, nobody
/// reads on.
enum HeadRules {
    /// Checks a whole head, from its start line to its empty line; returns nothing, since llhttp has read the values.
    static func check(_ head: ArraySlice<UInt8>, isRequest: Bool) throws(MessageFault) {
        var lines = try lines(of: head)
        guard !lines.isEmpty else { throw .malformed("it has no start line") }
        let start = lines.removeFirst()
        if isRequest { try checkRequestLine(start) }
        guard start.allSatisfy(HTTPSyntax.isFieldByte) else {
            throw .malformed("its start line has a control character")
        }
        for line in lines { try checkField(line) }
    }

    /// Checks the trailer fields that follow the last chunk, with their empty line.
    static func checkTrailers(_ bytes: ArraySlice<UInt8>) throws(MessageFault) {
        for line in try lines(of: bytes) { try checkField(line) }
    }

    /// The lines before the empty one, each of which must end with CR LF and hold neither elsewhere.
    private static func lines(of head: ArraySlice<UInt8>) throws(MessageFault) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var rest = head
        while true {
            let line = rest.prefix { $0 != 13 && $0 != 10 }
            rest = rest[line.endIndex...]
            guard rest.popFirst() == 13, rest.popFirst() == 10 else {
                throw .malformed("a line does not end with CR LF")
            }
            if line.isEmpty { break }
            lines.append(line)
        }
        guard rest.isEmpty else { throw .malformed("bytes follow its empty line") }
        return lines
    }

    /// `METHOD SP target SP HTTP/x.y`, with exactly one space each.
    private static func checkRequestLine(_ line: ArraySlice<UInt8>) throws(MessageFault) {
        let parts = line.split(separator: 32, omittingEmptySubsequences: false)
        guard parts.count == 3, HTTPSyntax.isToken(parts[0]), !parts[1].isEmpty, parts[2].starts(with: "HTTP/".utf8)
        else {
            throw .malformed("its request line is not three words")
        }
    }

    private static func checkField(_ line: ArraySlice<UInt8>) throws(MessageFault) {
        if line.first == 32 || line.first == 9 { throw .malformed("a header is folded over two lines") }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .malformed("a header has no colon") }
        guard HTTPSyntax.isToken(line[..<colon]) else { throw .malformed("a header's name is no token") }
        guard line[colon...].allSatisfy(HTTPSyntax.isFieldByte) else {
            throw .malformed("a header's value has a control character")
        }
    }

    /// Framing and routing that must be clear without doubt.
    static func checkFraming(_ head: MessageHead, isRequest: Bool) throws(MessageFault) {
        let lengths = head.headers.values("Content-Length")
        let codings = head.headers.values("Transfer-Encoding")
        guard lengths.count <= 1 else { throw .malformed("it has more than one Content-Length") }
        guard lengths.isEmpty || codings.isEmpty else {
            throw .malformed("it has both Content-Length and Transfer-Encoding")
        }
        if let length = lengths.first, HTTPSyntax.decimal(length) == nil {
            throw .malformed("its Content-Length is no number")
        }
        if !codings.isEmpty {
            guard codings.count == 1, HTTPHeaders.same(codings[0], "chunked") else { throw .unsupportedTransferCoding }
            guard head.version == .http11 else { throw .malformed("HTTP/1.0 has no Transfer-Encoding") }
        }
        if isRequest { try checkHost(head) }
    }

    private static func checkHost(_ head: MessageHead) throws(MessageFault) {
        let hosts = head.headers.values("Host")
        guard hosts.count <= 1 else { throw .malformed("it has more than one Host") }
        guard let host = hosts.first else {
            guard head.version == .http10 else { throw .malformed("it has no Host") }
            return
        }
        guard host.utf8.allSatisfy(isHostByte) else { throw .malformed("its Host is not a host") }
    }

    /// reg-name, IP literal and port of RFC 3986; no user information, and no list of two.
    static func isHostByte(_ byte: UInt8) -> Bool {
        HTTPSyntax.isTokenByte(byte) && byte != UInt8(ascii: "|") && byte != UInt8(ascii: "^")
            && byte != UInt8(ascii: "`")
            && byte != UInt8(ascii: "#") || hostPunctuation.contains(byte)
    }

    private static let hostPunctuation = Set("[]:()=;".utf8)
}
