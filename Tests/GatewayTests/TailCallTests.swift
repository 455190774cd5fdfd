import HTTP
import Model
import Reactor
import Replication
import Storage
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct TailCallTests {
    private func row(_ session: SessionID, _ text: String) -> RowBatch {
        let at = ClockPair(SystemClock.reading())
        return RowBatch(
            session: session, stream: .data, bytes: Array((text + "\n").utf8), rows: 1, first: at, last: at)
    }

    private func next(_ tail: any PeerTail) async throws -> TailFrame? {
        while let frame = try await tail.next() {
            if frame != .heartbeat, frame != .caughtUp { return frame }
        }
        return nil
    }

    @Test("a tail over the wire: the session, each commit, the seal; and it says that it stands before anything comes")
    func tail() async throws {
        try await TestNode.with { node in
            let link = try await node.link()
            #expect(try await link.greeting().capabilities.contains("tail"))
            let tail = try await link.tail(TailRequest())
            #expect(try await tail.next() == .heartbeat)
            let session = try await node.record(chunks: 0)
            for number in 0..<3 {
                _ = try await node.store.commit([row(session, "\(number)")])
                if number == 0 {
                    guard case .session = try await next(tail) else { throw CancellationError() }
                }
                guard case .commit(let piece, left: 0) = try await next(tail) else { throw CancellationError() }
                #expect(String(decoding: piece.bytes, as: UTF8.self) == (number == 0 ? "value\n0\n" : "\(number)\n"))
                #expect(piece.rows == 1)
            }
            let sealed = try await node.store.seal(session)
            guard case .sealed(let slot, _) = try await next(tail) else { throw CancellationError() }
            #expect(slot.index == sealed.first?.fact.index)
            await link.close()
            await #expect(throws: PeerLinkError.self) { while try await tail.next() != nil {} }
        }
    }

    @Test("one chunk by its name: from an offset to its seal; beyond what is committed it is 409, closed it is 404")
    func one() async throws {
        try await TestNode.with { node in
            let session = try await node.record(chunks: 1)
            _ = try await node.store.commit([row(session, "x")])
            let path = "/v1/sessions/\(session)/streams/data/chunks"
            for (target, code) in [
                ("\(path)/1/tail?from=9", 409), ("\(path)/0/tail", 404), ("\(path)/2/tail", 404),
                ("\(path)/1/tail?from=-1", 422), ("\(path)/1/tail?from=x", 422), ("\(path)/-1/tail", 404),
                ("/v1/sessions/\(SessionID.random())/streams/data/chunks/0/tail", 404),
            ] { #expect(try await node.call(.get, target).status.code == code, "\(target)") }
            async let answer = node.call(.get, "\(path)/1/tail?from=6")
            // Begun before the seal or after it: what is there is told either way.
            let connection = try await HTTPConnection.open(to: node.endpoint, on: TestNode.loop)
            let response = try await connection.send(HTTPClientRequest(.get, "\(path)/1/tail?from=6"))
            _ = try await node.store.commit([row(session, "y")])
            _ = try await node.store.seal(session)
            var parser = TailFrameParser()
            let frames = try parser.consume(try await response.body.collect())
            var bytes: [UInt8] = []
            for case .commit(let piece, _) in frames { bytes += piece.bytes }
            #expect(bytes == Array("x\ny\n".utf8))
            guard case .sealed? = frames.last else { throw CancellationError() }
            await connection.close()
            _ = try await answer
        }
    }

    @Test("a reader that does not read is waited for by nobody, and finds everything later")
    func slow() async throws {
        try await TestNode.with { node in
            let link = try await node.link()
            let session = try await node.record(chunks: 0)
            let (slow, quick) = (try await link.tail(TailRequest()), try await link.tail(TailRequest()))
            let line = String(repeating: "x", count: 60_000)
            // 12 MB: more than any socket takes unread.
            for _ in 0..<200 { _ = try await node.store.commit([row(session, line)]) }
            for tail in [quick, slow] {
                var count = 0
                while count < 200 * 60_001 {
                    guard case .commit(let piece, _)? = try await next(tail) else { continue }
                    count += piece.bytes.count
                }
                #expect(count == 200 * 60_001 + 6)
            }
            await link.close()
        }
    }

    @Test("places are limited, and given back")
    func places() async throws {
        try await TestNode.with { node in
            let links = [try await node.link(), try await node.link()]
            // A host may have so many connections, and tails take some of them.
            let count = min(Limits.tails, Limits.connectionsPerAddress - 8)
            var tails: [any PeerTail] = []
            for number in 0..<count { tails.append(try await links[number % 2].tail(TailRequest())) }
            for tail in tails { #expect(try await tail.next() == .heartbeat) }
            for tail in tails { await tail.close() }
            let again = try await links[0].tail(TailRequest())
            #expect(try await again.next() == .heartbeat)
            for link in links { await link.close() }
        }
    }

    @Test("a request that is none, or asks too much, is refused")
    func refused() async throws {
        try await TestNode.with { node in
            let slot = "\"author\":\"\(TestNode.id(1))\",\"session\":\"\(SessionID.random())\",\"stream\":\"data\""
            for body in [
                "", "{}", "[]", "{\"copies\":[{}]}", "{\"copies\":[{\(slot),\"index\":-1,\"length\":0}]}",
                "{\"copies\":[{\(slot),\"index\":0,\"length\":-1}]}",
                "{\"copies\":[{\(slot),\"index\":0,\"length\":9223372036854775807}]}",
                "{\"copies\":[{\(slot),\"index\":0,\"length\":1,\"rows\":2}]}",
                "{\"copies\":[{\(slot),\"index\":0,\"length\":1,\"crc32c\":\"123\"}]}",
                "{\"copies\":[],\"authors\":[\"../..\"]}",
            ] { #expect(try await node.call(.post, "/v1/tail", body: body).status.code == 422, "\(body)") }
            let foreign = try await node.call(
                .post, "/v1/tail", headers: ["Origin": "http://evil.example"], body: "{\"copies\":[]}")
            #expect(foreign.status.code == 403)
        }
    }

    @Test("event streams tell of open chunks that have grown, without a number and once a second at most")
    func bell() async throws {
        try await TestNode.with { node in
            let link = try await node.link()
            let session = try await node.record(chunks: 0)
            _ = try await node.store.commit([row(session, "1")])
            let events = try await link.events(after: nil, author: nil)
            var lengths: [Int64] = []
            var writer: Task<Void, any Error>?
            while lengths.last != 106 {
                guard case .tail(node.store.node?, session, .data, 0, let length)? = try await events.next() else {
                    continue
                }
                lengths.append(length)
                guard writer == nil else { continue }
                writer = TestNode.loop.spawn {
                    for _ in 0..<49 { _ = try await node.store.commit([row(session, "2")]) }
                }
            }
            #expect(lengths.first == 8 && lengths.count <= 3, "\(lengths)")
            try await writer?.value
            await link.close()
        }
    }
}
