import HTTP
import Model
import Reactor
import Replication
import Storage
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct PlaceTests {
    @Test("one other host has only so many of the places, this machine may have all, and each is given back")
    func perAddress() {
        func origin(_ address: String, _ transport: PeerOrigin.Transport = .network) -> PeerOrigin {
            PeerOrigin(transport: transport, address: address, port: 1)
        }
        let places = StreamPlaces(limit: 6, perAddress: 2)
        var kept = [places.take(for: origin("10.0.0.1")), places.take(for: origin("10.0.0.1"))].compactMap(\.self)
        #expect(kept.count == 2 && places.take(for: origin("10.0.0.1")) == nil)
        for _ in 0..<4 { if let place = places.take(for: origin("::1", .loopback)) { kept.append(place) } }
        #expect(kept.count == 6 && places.take(for: origin("10.0.0.2")) == nil)
        kept.removeFirst()
        #expect(places.take(for: origin("10.0.0.1")) != nil)
    }

    @Test("a refused tail leaves no connection behind")
    func refused() async throws {
        let server = HTTPServer(on: TestNode.loop) { _ in
            var response = HTTPResponse.json(Array("{}".utf8))
            response.status = .unavailable
            return response
        }
        let endpoint = try await server.listen(on: Endpoint(host: "127.0.0.1", port: 0))
        let running = TestNode.loop.spawn { await server.run() }
        let dialed = try await HTTPPeerDialer(on: TestNode.loop, node: TestNode.id(1)).dial(endpoint)
        let link = try #require(dialed as? HTTPPeerLink)
        for _ in 0..<5 {
            await #expect(throws: PeerLinkError.self) { _ = try await link.tail(TailRequest()) }
        }
        #expect(await link.idle.count == 1)
        #expect(await link.busy.isEmpty)
        await link.close()
        await server.stop(within: .zero)
        _ = await running.result
    }
}
