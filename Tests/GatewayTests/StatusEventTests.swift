import HTTP
import Model
import Replication
import Storage
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct StatusEventTests {
    private func status(_ event: PeerEvent?) throws -> StoreHealthForm {
        guard case .status(let bytes)? = event else {
            throw CallError.notFound("no status: \(String(describing: event))")
        }
        return try WireJSON.decode(StatusEventForm.self, from: bytes).store
    }

    private func next(_ events: any PeerEvents) async throws -> PeerEvent? {
        while let event = try await events.next() { if event != .heartbeat { return event } }
        return nil
    }

    @Test("what happens to the store is told on event streams, once a second at most, and facts go on between")
    func told() async throws {
        try await TestNode.with { node in
            let link = try await node.link()
            let events = try await link.events(after: 0, author: nil)
            guard case .hello = try await next(events) else { throw CancellationError() }
            node.store.incidents.report(.damagedChunk, "chunk 1 is damaged")
            let first = try status(try await next(events))
            #expect(first.incidents == ["damaged_chunk": 1] && first.latest.map(\.text) == ["chunk 1 is damaged"])
            node.store.incidents.begin(.rows, .rowsWaiting, "rows wait")
            node.store.incidents.report(.rowsLost, "rows are being lost")
            let marker = try await node.store.record(.marker(Marker(id: "m")), in: nil)
            // Within the second the fact comes first, and both changes come as one.
            guard case .fact(_, _, "marker", marker.bytes) = try await next(events) else { throw CancellationError() }
            let second = try status(try await next(events))
            #expect(second.troubles == ["rows wait"] && second.incidents["rows_lost"] == 1)
            await link.close()
        }
    }

    @Test("a change of a peer is told on event streams and to the log, once")
    func peers() async throws {
        try await TestNode.with { node in
            let link = try await node.link()
            let events = try await link.events(after: 0, author: nil)
            guard case .hello = try await next(events) else { throw CancellationError() }
            let statement = HoldingsStatement(epoch: .random(), head: 0, isWhole: true, holdings: Holdings())
            #expect(try await link.postHave(statement) == false)
            await node.peerWatch.look(now: .init(nanoseconds: 0))
            guard case .status(let bytes)? = try await next(events) else { throw CancellationError() }
            let peers = try #require(try WireJSON.decode(StatusEventForm.self, from: bytes).peers)
            #expect(peers.map(\.id) == [TestNode.id(0xbb)] && peers.first?.unacknowledged == 0)
            let told = node.peerWatch.news.version
            await node.peerWatch.look(now: .init(nanoseconds: 1))
            #expect(node.peerWatch.news.version == told)
            await link.close()
        }
    }

    @Test("a stream that begins later is told what happened before, and one of a store without incidents nothing")
    func late() async throws {
        try await TestNode.with { node in
            let link = try await node.link()
            var events = try await link.events(after: 0, author: nil)
            guard case .hello = try await next(events) else { throw CancellationError() }
            let fact = try await node.store.record(.marker(Marker(id: "m")), in: nil)
            guard case .fact(_, _, _, fact.bytes) = try await next(events) else { throw CancellationError() }
            node.store.incidents.report(.logRenewed, "the log goes on")
            events = try await link.events(after: 1, author: nil)
            guard case .hello = try await next(events) else { throw CancellationError() }
            #expect(try status(try await next(events)).incidents == ["log_renewed": 1])
            let form = try WireJSON.decode(NodeStatusForm.self, from: try await node.call(.get, "/v1/status").body)
            #expect(form.store.health.latest.last?.kind == "log_renewed" && form.store.health.disk == nil)
            await link.close()
        }
    }
}
