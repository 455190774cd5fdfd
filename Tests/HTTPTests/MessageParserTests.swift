import Testing

@testable import HTTP

@Suite struct MessageParserTests {
    /// What a parser finds in a run of messages: each one's target, headers and body.
    private struct Found: Hashable {
        var start = ""
        var headers: [String] = []
        var body: [UInt8] = []
    }

    /// Feeds the pieces as a connection does, until everything is consumed.
    private static func parse(_ pieces: [[UInt8]], _ kind: MessageParser.Kind) throws -> [Found] {
        var found: [Found] = []
        try parse(pieces, kind) { found.append($0) }
        return found
    }

    private static func parse(_ pieces: [[UInt8]], _ kind: MessageParser.Kind, _ emit: (Found) -> Void) throws {
        let parser = MessageParser(kind)
        var current = Found()
        for piece in pieces {
            var offset = 0
            while offset < piece.count {
                let progress = try parser.read(piece, from: offset)
                offset += progress.consumed
                if let head = progress.head {
                    current.start = kind == .request ? "\(head.method) \(head.target)" : "\(head.status)"
                    current.headers = head.headers.fields.map { "\($0.name)=\($0.value)" }
                    let more = try parser.read(piece, from: offset)
                    offset += more.consumed
                    finish(more)
                    continue
                }
                finish(progress)
            }
            func finish(_ progress: MessageParser.Progress) {
                for range in progress.body { current.body += piece[range] }
                guard progress.isComplete else { return }
                emit(current)
                current = Found()
                parser.restart()
            }
        }
    }

    private static let requests = Array(
        ("\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Space: \t b c \t\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "3\r\nabc\r\n1;name=\"va lue\"\r\nd\r\n0\r\nTrailer: x\r\n\r\n"
            + "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nefghGET /end HTTP/1.1\r\nHost: a\r\n\r\n").utf8)

    @Test("requests split at any one place are read the same")
    func requestSplits() throws {
        let whole = try Self.parse([Self.requests], .request)
        #expect(whole.map(\.start) == ["POST /a?b", "PUT /", "GET /end"])
        #expect(whole.map { String(decoding: $0.body, as: UTF8.self) } == ["abcd", "efgh", ""])
        #expect(whole[0].headers == ["Host=a", "X-Empty=", "X-Space=b c", "Transfer-Encoding=chunked"])
        for split in 0...Self.requests.count {
            let pieces = [Array(Self.requests[..<split]), Array(Self.requests[split...])]
            #expect(try Self.parse(pieces, .request) == whole, "split at \(split)")
        }
    }

    @Test("requests and responses that come byte by byte are read the same")
    func byteByByte() throws {
        #expect(try Self.parse(Self.requests.map { [$0] }, .request) == Self.parse([Self.requests], .request))
        let responses = Array(
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
                + "HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\nHTTP/1.1 204 No\r\n\r\n").utf8)
        let whole = try Self.parse([responses], .response)
        #expect(whole.map(\.start) == ["100", "200", "404", "204"])
        #expect(whole.map { String(decoding: $0.body, as: UTF8.self) } == ["", "abc", "de", ""])
        for split in 0...responses.count {
            #expect(try Self.parse([Array(responses[..<split]), Array(responses[split...])], .response) == whole)
        }
        #expect(try Self.parse(responses.map { [$0] }, .response) == whole)
    }

    @Test("every refused request is refused wherever it is split", arguments: Refusal.heads + Refusal.chunks)
    func refusalSplits(refusal: Refusal) throws {
        let bytes = Array(refusal.request.utf8)
        // What llhttp and the rules take is refused above them, by method, target, expectation or size.
        guard let reason = Self.fault([bytes]) else { return }
        guard bytes.count < 2000 else { return }
        for split in 1..<bytes.count {
            let other = try #require(Self.fault([Array(bytes[..<split]), Array(bytes[split...])]), "split at \(split)")
            #expect(RequestFault(other).status == RequestFault(reason).status, "split at \(split)")
        }
    }

    @Test("requests with bytes changed, lost or repeated are read or refused the same, however they are split")
    func mutations() throws {
        var random = SplitMix(state: 20_260_131)
        let alphabet = Array("\r\n :;,\t0aZ/?%\0\u{7f}HTTP1".utf8) + [0x80, 0xff]
        for round in 0..<3000 {
            var bytes = Self.requests
            for _ in 0...Int(random.next() % 3) {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(bytes[place], at: place)
                case 2: bytes.insert(alphabet[Int(random.next() % UInt64(alphabet.count))], at: place)
                default: bytes[place] = alphabet[Int(random.next() % UInt64(alphabet.count))]
                }
            }
            let split = Int(random.next() % UInt64(bytes.count))
            let whole = Self.outcome([bytes])
            #expect(
                Self.outcome([Array(bytes[..<split]), Array(bytes[split...])]) == whole, "round \(round), \(split)")
            if round % 10 == 0 { #expect(Self.outcome(bytes.map { [$0] }) == whole, "round \(round)") }
        }
    }

    /// What was found before the input ended or was refused.
    private static func outcome(_ pieces: [[UInt8]]) -> [Found?] {
        var found: [Found?] = []
        do { try parse(pieces, .request) { found.append($0) } } catch { found.append(nil) }
        return found
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    private static func fault(_ pieces: [[UInt8]]) -> MessageFault? {
        do {
            _ = try parse(pieces, .request)
            return nil
        } catch {
            return error as? MessageFault
        }
    }

    @Test("a response without a length lasts until the end, and one with a length must reach it")
    func ends() throws {
        let parser = MessageParser(.response)
        let head = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
        #expect(try parser.read(head, from: 0).head?.endsWithConnection == true)
        #expect(try parser.read(Array("abc".utf8), from: 0).body == [0..<3])
        try parser.end()
        parser.restart()
        let counted = Array("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".utf8)
        #expect(try parser.read(counted, from: 0).head?.contentLength == 4)
        #expect(try parser.read(Array("abc".utf8), from: 0).isComplete == false)
        #expect(throws: MessageFault.cutShort) { try parser.end() }
    }

    @Test("the answer to HEAD has no body, whatever its headers say")
    func head() throws {
        for framing in ["Content-Length: 9", "Transfer-Encoding: chunked", "X: y"] {
            let parser = MessageParser(.response)
            parser.expectsNoBody = true
            #expect(try parser.read(Array("HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n".utf8), from: 0).head != nil)
            #expect(try parser.read([], from: 0).isComplete)
            for status in [204, 304] {
                let parser = MessageParser(.response)
                #expect(try parser.read(Array("HTTP/1.1 \(status) X\r\n\(framing)\r\n\r\n".utf8), from: 0).head != nil)
                #expect(try parser.read([], from: 0).isComplete)
            }
        }
    }
}
