import Model
import Testing

@testable import HTTP

@Suite struct ValueTests {
    @Test(
        "a Range header is met, ignored or refused as RFC 9110 has it",
        arguments: [
            (nil, .whole), ("bytes=0-9", .part(0..<10)), ("bytes=5-", .part(5..<100)), ("bytes=-7", .part(93..<100)),
            ("bytes=-700", .part(0..<100)), ("bytes=90-200", .part(90..<100)), ("bytes=99-99", .part(99..<100)),
            ("BYTES=0-0", .part(0..<1)), ("bytes= 0-1", .part(0..<2)), ("bytes=100-", .unsatisfiable),
            ("bytes=100-200", .unsatisfiable), ("bytes=-0", .unsatisfiable),
            ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=0-99999999999999999999", .part(0..<100)),
            ("bytes=9-5", .whole), ("bytes=-", .whole), ("bytes=", .whole), ("bytes", .whole), ("lines=0-9", .whole),
            ("bytes=0-1,5-6", .whole), ("bytes=a-b", .whole), ("bytes=+1-2", .whole), ("bytes=1--2", .whole),
            ("bytes=0-9 ", .part(0..<10)), ("bytes=١-٢", .whole),
        ] as [(String?, ByteRange)])
    func ranges(value: String?, expected: ByteRange) {
        #expect(ByteRange(value, length: 100) == expected)
    }

    @Test("ranges of an empty body, and their Content-Range")
    func contentRange() {
        #expect(ByteRange("bytes=0-", length: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-5", length: 0) == .unsatisfiable)
        #expect(ByteRange.part(3..<9).contentRange(length: 20) == "bytes 3-8/20")
        #expect(ByteRange.unsatisfiable.contentRange(length: 20) == "bytes */20")
        #expect(ByteRange.whole.contentRange(length: 20) == nil)
        #expect(ContentRange("bytes 3-8/20")?.range == 3..<9)
        #expect(ContentRange("bytes 3-8/*")?.length == nil && ContentRange("bytes 3-8/*")?.range == 3..<9)
        for bad in [
            "bytes 8-3/20", "bytes 3-20/20", "bytes */20", "bytes 3-8", "3-8/20", "bytes 3-9223372036854775807/*",
        ] {
            #expect(ContentRange(bad) == nil, "\(bad)")
        }
    }

    @Test("entity tags match weakly in If-None-Match and strongly in If-Range")
    func entityTags() {
        let tag = EntityTag("abc")
        #expect(tag.description == "\"abc\"")
        #expect(tag.matches(ifNoneMatch: ["\"x\", W/\"abc\""]) && tag.matches(ifNoneMatch: [" * "]))
        #expect(tag.matches(ifNoneMatch: ["\"x\"", "\"abc\""]))
        #expect(
            !tag.matches(ifNoneMatch: []) && !tag.matches(ifNoneMatch: ["\"ab\""]) && !tag.matches(ifNoneMatch: ["abc"])
        )
        #expect(tag.matches(ifRange: nil) && tag.matches(ifRange: "\"abc\""))
        #expect(!tag.matches(ifRange: "W/\"abc\"") && !tag.matches(ifRange: "Sun, 06 Nov 1994 08:49:37 GMT"))
        #expect(EntityTag.list("\"a,b\" , W/\"c\",\"d").map(\.opaque) == ["a,b", "c"])
    }

    @Test("HTTP dates")
    func dates() {
        #expect(HTTPDate.text(784_111_777_000_000_000) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.text(0) == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(HTTPDate.text(-1) == "Wed, 31 Dec 1969 23:59:59 GMT")
        #expect(HTTPDate.text(951_782_400_000_000_000) == "Tue, 29 Feb 2000 00:00:00 GMT")
    }

    @Test("percent-encoding goes both ways")
    func percent() throws {
        let text = "a b/ö%+&=~-_.\u{1F30A}"
        #expect(try PercentCoding.decode(PercentCoding.encode(text)) == text)
        #expect(PercentCoding.encode("a/b c") == "a%2Fb%20c")
        #expect(try PercentCoding.decode("a+b") == "a+b")
        #expect(try PercentCoding.decode("a+b", plusIsSpace: true) == "a b")
        for bad in ["%", "%4", "%g0", "%0g", "%00", "%ff", "%c3"] {
            #expect(throws: RequestTarget.Fault.self, "\(bad)") { _ = try PercentCoding.decode(bad) }
        }
    }

    @Test("a target is taken apart, and an encoded slash stays in its segment")
    func targets() throws {
        let target = try RequestTarget("/files/a%2F..%2Fb/%C3%B6/?x=1&y=a+b%26&z&=&x=2")
        #expect(target.path == "/files/a%2F..%2Fb/%C3%B6/")
        #expect(target.segments == ["files", "a/../b", "ö"])
        #expect(target.query.map { "\($0.name)=\($0.value)" } == ["x=1", "y=a b&", "z=", "=", "x=2"])
        #expect(try RequestTarget("/").segments == [] && RequestTarget("/?").query == [])
        #expect(try RequestTarget("//a").segments == ["", "a"])
        #expect(try RequestTarget("/a?b?c=/..").query == [QueryItem(name: "b?c", value: "/..")])
    }

    @Test("headers compare without case, keep their order, and cannot be split by a value")
    func headers() {
        var headers: HTTPHeaders = ["Content-Type": "a", "X": "1"]
        headers.add("x", "2\r\nY: 3")
        #expect(headers["CONTENT-type"] == "a" && headers.values("X") == ["1", "2  Y: 3"])
        headers.set("x", "4")
        #expect(headers.values("X") == ["4"] && headers["Y"] == nil)
        headers.add("Connection", "keep-alive, Close")
        #expect(headers.lists("close", in: "connection") && !headers.lists("clos", in: "Connection"))
    }

    @Test("a value loses the blanks around it, and nothing of a character that begins with one")
    func trimming() {
        #expect(HTTPSyntax.trimmed(" \t a b\t ") == "a b" && HTTPSyntax.trimmed(" \t") == "")
        #expect(HTTPSyntax.trimmed(" \u{301}a \u{301}").unicodeScalars.elementsEqual("\u{301}a \u{301}".unicodeScalars))
    }

    @Test("media types")
    func mediaTypes() {
        #expect(MediaType.isJSON("application/json; charset=utf-8") && MediaType.isJSON("Application/Problem+JSON"))
        #expect(!MediaType.isJSON("text/plain") && !MediaType.isJSON("application/jsonx") && !MediaType.isJSON(""))
        #expect(MediaType.essence(of: " Text/CSV ;x") == "text/csv" && MediaType.essence(of: "text") == nil)
    }

    @Test("an error is JSON whatever its words")
    func errors() throws {
        let response = HTTPResponse.error(.conflict, code: "x", detail: "a \"b\" \\ \n \u{1} ö", at: 0)
        guard case .bytes(let bytes) = response.body else { return #expect(Bool(false), "an error has a body") }
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "{\"detail\":\"a \\\"b\\\" \\\\ \\u000a \\u0001 ö\",\"error_code\":\"x\","
                + "\"timestamp\":\"1970-01-01T00:00:00.000000Z\"}\n")
        #expect(response.headers["Content-Type"] == "application/json")
    }

    @Test("a client's request has the Host of its endpoint and a length where it has a body")
    func clientRequest() {
        let bytes = HTTPClientRequest(.post, "/a?b", headers: ["X": "y", "Host": "evil"], body: [65]).bytes(
            host: "[::1]:80")
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "POST /a?b HTTP/1.1\r\nHost: [::1]:80\r\nX: y\r\nContent-Length: 1\r\n\r\nA")
    }
}
