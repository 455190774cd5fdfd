import FoundationEssentials
import HTTP
import Model
import Reactor
import Replication
import Storage
import Testing
import Timekeeping

@testable import Gateway

@Suite struct PeerCallTests {
    @Test("a link greets, compares, fetches facts and chunks, and follows events")
    func link() async throws {
        try await TestNode.with { node in
            _ = try await node.record(chunks: 2)
            let link = try await node.link()
            let greeting = try await link.greeting()
            #expect(greeting.id == node.store.node && greeting.head == 3 && greeting.epoch == node.store.incarnation)
            let have = try await link.have(author: nil)
            #expect(have.holdings == (try await node.store.holdings().holdings) && have.head == 3)
            #expect(try await link.have(author: TestNode.id(0xcc)).holdings.isEmpty)
            let answer = try await link.facts(in: have.holdings)
            #expect(!answer.hasMore)
            #expect(answer.facts == (try await node.store.facts(after: 0, limit: 10).map(\.bytes)))
            let events = try await link.events(after: 1, author: nil)
            #expect(try await events.next() == .hello(epoch: greeting.epoch, head: 3))
            for (seq, fact) in zip(Int64(2)..., answer.facts.dropFirst()) {
                #expect(try await events.next() == .fact(seq: seq, epoch: greeting.epoch, kind: "chunk", bytes: fact))
            }
            let marker = try await node.store.record(.marker(Marker(id: "m")), in: nil)
            #expect(
                try await events.next() == .fact(seq: 4, epoch: greeting.epoch, kind: "marker", bytes: marker.bytes))
            await link.close()
            await #expect(throws: PeerLinkError.closed) { _ = try await link.greeting() }
        }
    }

    @Test("an event stream beats at the pace that a client asks for, within bounds")
    func heartbeat() async throws {
        try await TestNode.with { node in
            #expect(try await node.link().greeting().capabilities.contains("heartbeat"))
            let begun = SystemClock.monotonic()
            let link = try await node.link()
            _ = try await link.greeting()
            let events = try await link.events(after: nil, author: nil)
            guard case .hello = try await events.next() else { throw CancellationError() }
            // So the link asks; by itself a node beats every five seconds.
            for _ in 0..<3 { #expect(try await events.next() == .heartbeat) }
            let time = begun.duration(to: SystemClock.monotonic())
            #expect(time >= Limits.linkHeartbeat * 3 && time < Limits.heartbeatInterval)
            let pulse = await link.pulse()
            let heard = try #require(pulse.lastHeard)
            // What the stream says moves no question.
            #expect(heard > begun && (pulse.lastMoved ?? begun) < heard)
            let end = try #require(await link.localEnd())
            #expect(end.address == [127, 0, 0, 1] && end.staysInHost)
            // Facts pass between beats.
            let marker = try await node.store.record(.marker(Marker(id: "m")), in: nil)
            var event = try await events.next()
            while event == .heartbeat { event = try await events.next() }
            guard case .fact(_, _, _, let bytes) = event else { throw CancellationError() }
            #expect(bytes == marker.bytes)
            #expect(try await events.next() == .heartbeat)
            await link.close()
            #expect(await link.pulse().lastHeard == nil)
            for wish in ["", "x", "-1", "0", "1e3"] {
                #expect(try await node.call(.get, "/v1/events?heartbeat_ms=\(wish)").status.code == 422)
            }
        }
    }

    @Test("a chunk comes whole, from an offset, and not at all where it is not held")
    func chunks() async throws {
        try await TestNode.with { node in
            let session = try await node.record(chunks: 1)
            let chunk = try #require(try await node.store.chunks(of: session).first).fact
            let link = try await node.link()
            for offset in [Int64(0), 3, chunk.bytes - 1] {
                let body = try await link.chunk(chunk.sha256, from: offset, rank: PullRank())
                #expect(body.totalLength == chunk.bytes)
                var bytes: [UInt8] = []
                while let piece = try await body.next() { bytes += piece }
                #expect(bytes == Array("value\n0\n".utf8.dropFirst(Int(offset))))
            }
            await #expect(throws: PeerLinkError.notFound) {
                _ = try await link.chunk(ChunkID(digest: TestNode.id(1).digest), from: 0, rank: PullRank())
            }
            await link.close()
        }
    }

    @Test("small chunks come together in the order asked for, what is missing says so, and the connection goes on")
    func bundle() async throws {
        try await TestNode.with { node in
            let session = try await node.record(chunks: 5)
            let ids = try await node.store.chunks(of: session).map(\.fact.sha256)
            let absent = ChunkID(digest: TestNode.id(1).digest)
            let link = try await node.link()
            #expect(try await link.greeting().capabilities.contains("bundle"))
            for _ in 0..<3 {
                let asked = [ids[4], absent] + ids[..<4]
                let bundle = try await link.chunks(asked, rank: PullRank())
                var items: [BundleItem] = []
                while let step = try await bundle.next() { if case .item(let item) = step { items.append(item) } }
                #expect(items.map(\.id) == asked && items[1].bytes == nil)
                #expect(items[0].bytes == Array("value\n4\n".utf8) && items[5].bytes == Array("value\n3\n".utf8))
                await bundle.close()
            }
            let many = Array(repeating: absent, count: Limits.bundleChunks + 1)
            do {
                _ = try await link.chunks(many, rank: PullRank())
                Issue.record("more than the limit was answered")
            } catch PeerLinkError.refused(let status, _) {
                #expect(status == 422)
            }
            await link.close()
        }
    }

    @Test("chunks are served with their digest, entity tag, ranges and conditions")
    func chunkHeaders() async throws {
        try await TestNode.with { node in
            let session = try await node.record(chunks: 1)
            let chunk = try #require(try await node.store.chunks(of: session).first).fact
            let path = "/v1/chunks/\(chunk.sha256)"
            let whole = try await node.call(.get, path)
            #expect(whole.status == .ok && whole.headers["ETag"] == "\"\(chunk.sha256)\"")
            let digest = Data(chunk.sha256.digest.bytes).base64EncodedString()
            #expect(whole.headers["Repr-Digest"] == "sha-256=:\(digest):")
            #expect(whole.headers["Cache-Control"]?.contains("immutable") == true)
            let part = try await node.call(.get, path, headers: ["Range": "bytes=2-4"])
            #expect(part.status == .partialContent && part.body == Array("lue".utf8))
            #expect(part.headers["Content-Range"] == "bytes 2-4/8")
            #expect(try await node.call(.get, path, headers: ["Range": "bytes=8-"]).status == .rangeNotSatisfiable)
            let cached = try await node.call(.get, path, headers: ["If-None-Match": "\"\(chunk.sha256)\""])
            #expect(cached.status == .notModified && cached.body.isEmpty)
            let other = try await node.call(.get, path, headers: ["Range": "bytes=2-4", "If-Range": "\"x\""])
            #expect(other.status == .ok && other.body.count == 8)
            let head = try await node.call(.head, path)
            #expect(head.status == .ok && head.body.isEmpty && head.headers["Content-Length"] == "8")
        }
    }

    @Test("facts are answered by pieces, and the header says whether there is more")
    func factsInPieces() async throws {
        try await TestNode.with { node in
            let text = String(repeating: "x", count: 4000)
            for n in 0..<300 { try await node.store.record(.marker(Marker(id: "\(n)", text: text)), in: nil) }
            let link = try await node.link()
            var rest = try await link.have(author: nil).holdings
            var count = 0
            var rounds = 0
            while !rest.isEmpty {
                let answer = try await link.facts(in: rest)
                for bytes in answer.facts { rest.remove(try #require(RecordedFact(parsing: bytes)).fact.name) }
                count += answer.facts.count
                rounds += 1
                #expect(answer.hasMore == !rest.isEmpty)
            }
            #expect(count == 300 && rounds == 2)
            await link.close()
        }
    }

    @Test("a position beyond the head, or of another epoch, is answered with hello and the head")
    func eventPositions() async throws {
        try await TestNode.with { node in
            _ = try await node.record(chunks: 1)
            let head = await node.store.head()
            let epoch = node.store.incarnation
            let other = Incarnation(word: epoch.word ^ 1)
            for start in [
                EventRequest(query: "?after=99"), EventRequest(lastEventID: "\(other)-1"), EventRequest(),
                EventRequest(lastEventID: "rubbish"),
            ] {
                let stream = try await start.open(node)
                #expect(try await stream.next() == "hello")
                let marker = try await node.store.record(.marker(Marker(id: "m")), in: nil)
                #expect(try await stream.next() == "marker \(epoch)-\(try await node.seq(of: marker))")
                await stream.close()
            }
            let again = try await EventRequest(lastEventID: "\(epoch)-\(head - 1)").open(node)
            #expect(try await again.next() == "hello")
            #expect(try await again.next() == "chunk \(epoch)-\(head)")
            await again.close()
            #expect(try await node.call(.get, "/v1/events?after=-1").status == .unprocessable)
        }
    }

    @Test("an event stream of one author leaves the others out and goes on past them")
    func eventsOfAnAuthor() async throws {
        try await TestNode.with { node in
            _ = try await node.record(chunks: 1)
            let link = try await node.link()
            let events = try await link.events(after: 0, author: TestNode.id(0xcc))
            guard case .hello = try await events.next() else { throw CancellationError() }
            #expect(try await events.next() == .heartbeat)
            await link.close()
        }
    }

    @Test("what a peer states is taken, and rubbish is refused with a sentence")
    func statements() async throws {
        try await TestNode.with { node in
            let link = try await node.link()
            var holdings = Holdings()
            holdings[node.store.node, node.store.incarnation] = RangeSet64(1...5)
            _ = try await link.postHave(HoldingsStatement(epoch: .random(), head: 5, isWhole: true, holdings: holdings))
            await link.close()
            let ranges = #"{"node":"\#(TestNode.id(1))","epoch":"00000000000000aa","head":1,"whole":true,"authors":"#
            for body in ["", "{}", "null", ranges + #"{"x":{}}}"#, ranges + #"{"\#(TestNode.id(2))":{"1":"1-2"}}}"#] {
                let answer = try await node.call(.post, "/v1/have", body: body)
                #expect(answer.status == .unprocessable)
                #expect(try WireJSON.decode(ErrorForm.self, from: answer.body).errorCode == "invalid")
            }
            let own = ranges.replacing("\(TestNode.id(1))", with: "\(node.store.node)") + "{}}"
            #expect(try await node.call(.post, "/v1/have", body: own).status == .unprocessable)
            #expect(try await node.call(.post, "/v1/facts", body: "[").status == .unprocessable)
        }
    }

    @Test("an exchange of clocks is sane and fast")
    func clock() async throws {
        try await TestNode.with { node in
            let link = HTTPClockLink(on: TestNode.loop, endpoint: node.endpoint)
            for _ in 0..<3 {
                let exchange = try await link.exchange()
                #expect(exchange.answer.bootID == SystemClock.bootID)
                // One machine: its own clocks must agree with themselves, in order.
                #expect(exchange.sent.raw <= exchange.answer.received.raw)
                #expect(exchange.answer.received.raw <= exchange.answer.sent.raw)
                #expect(exchange.answer.sent.raw <= exchange.received.raw)
            }
            await link.close()
        }
    }

    @Test(
        "paths lead nowhere else",
        arguments: ["/v1/chunks/..%2f..%2flock", "/v1/chunks/%2e%2e", "/v1/chunks/a/../b", "/../lock"])
    func paths(_ path: String) async throws {
        try await TestNode.with { node in
            let status = try await node.call(.get, path).status
            #expect([.badRequest, .notFound].contains(status))
        }
    }

    @Test("unknown paths are 404, wrong methods 405 with what is allowed")
    func unknown() async throws {
        try await TestNode.with { node in
            #expect(try await node.call(.get, "/nothing").status == .notFound)
            let answer = try await node.call(.delete, "/v1/have")
            #expect(answer.status == .methodNotAllowed && answer.headers["Allow"] == "GET, POST")
        }
    }
}

/// An event stream as a request opens it, read as `name` or `name id`.
private struct EventRequest {
    var query = ""
    var lastEventID: String?

    func open(_ node: TestNode) async throws -> EventReader {
        var headers: HTTPHeaders = [:]
        if let lastEventID { headers.set("Last-Event-ID", lastEventID) }
        let connection = try await HTTPConnection.open(to: node.endpoint, on: TestNode.loop)
        let response = try await connection.send(HTTPClientRequest(.get, "/v1/events" + query, headers: headers))
        #expect(response.headers["X-Accel-Buffering"] == "no")
        return EventReader(connection: connection, body: response.body)
    }
}

private actor EventReader {
    private let connection: HTTPConnection
    private let body: HTTPClientBody
    private var parser = ServerSentEventParser()
    private var pending: [String] = []

    init(connection: HTTPConnection, body: HTTPClientBody) {
        self.connection = connection
        self.body = body
    }

    func next() async throws -> String? {
        while pending.isEmpty {
            guard let piece = try await body.next() else { return nil }
            pending += try parser.consume(piece).map { event in event.id.map { "\(event.name) \($0)" } ?? event.name }
        }
        return pending.removeFirst()
    }

    func close() async { await connection.close() }
}

extension TestNode {
    func seq(of recorded: RecordedFact) async throws -> Int64 {
        try await store.facts(after: 0, limit: 1000).first { $0.bytes == recorded.bytes }?.seq ?? 0
    }
}
