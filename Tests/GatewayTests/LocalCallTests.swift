import HTTP
import Model
import Storage
import Testing

@testable import Gateway

@Suite struct LocalCallTests {
    private func request(
        _ transport: PeerOrigin.Transport, host: String = "127.0.0.1:9150", _ headers: HTTPHeaders = [:]
    ) throws -> HTTPRequest {
        var all = headers
        all.set("Host", host)
        return HTTPRequest(
            method: .get, target: try RequestTarget("/v1/status"), headers: all,
            origin: PeerOrigin(transport: transport, address: "127.0.0.1", port: 1))
    }

    @Test("the socket and loopback are local; the network, proxies, rebound pages and foreign pages are not")
    func origins() throws {
        #expect(LocalOrigin.isLocal(try request(.unixSocket, host: "anything")))
        #expect(LocalOrigin.isLocal(try request(.loopback)))
        #expect(LocalOrigin.isLocal(try request(.loopback, host: "localhost:9150")))
        #expect(LocalOrigin.isLocal(try request(.loopback, host: "[::1]:9150")))
        #expect(LocalOrigin.isLocal(try request(.loopback, ["Origin": "http://127.0.0.1:9150"])))
        #expect(!LocalOrigin.isLocal(try request(.network)))
        #expect(!LocalOrigin.isLocal(try request(.loopback, host: "evil.example")))
        #expect(!LocalOrigin.isLocal(try request(.loopback, host: "localhost.evil.example")))
        #expect(!LocalOrigin.isLocal(try request(.loopback, host: "127.0.0.1.evil.example")))
        #expect(!LocalOrigin.isLocal(try request(.loopback, ["Origin": "http://evil.example"])))
        #expect(!LocalOrigin.isLocal(try request(.loopback, ["Origin": "null"])))
        for header in ["Forwarded", "X-Forwarded-For", "x-forwarded-anything", "X-Real-IP"] {
            #expect(!LocalOrigin.isLocal(try request(.loopback, [header: "1.2.3.4"])))
        }
    }

    @Test("status, sessions and one session are told; recording without an instrument is refused with a sentence")
    func calls() async throws {
        try await TestNode.with { node in
            let session = try await node.record(chunks: 2)
            let status = try WireJSON.decode(
                NodeStatusForm.self, from: try await node.call(.get, "/v1/status").body)
            #expect(status.node.id == node.store.node && status.store.chunks == 2 && status.recording == nil)
            let sessions = try WireJSON.decode([SessionForm].self, from: try await node.call(.get, "/v1/sessions").body)
            #expect(sessions.map(\.id) == [session] && sessions[0].streams["data"]?.rows == 2)
            let detail = try WireJSON.decode(
                SessionDetailForm.self, from: try await node.call(.get, "/v1/sessions/\(session)").body)
            #expect(detail.chunks.map(\.index) == [0, 1] && detail.chunks.allSatisfy { !$0.variant })
            #expect(try await node.call(.get, "/v1/sessions/\(SessionID.random())").status == .notFound)
            #expect(try await node.call(.post, "/v1/recordings").status == .failedDependency)
            #expect(try await node.call(.get, "/v1/status", headers: ["X-Real-IP": "1.2.3.4"]).status == .forbidden)
        }
    }

    @Test("rows of a copy are told with its session; closing it seals them, and the node's own is refused")
    func copies() async throws {
        try await TestNode.with { node in
            let own = try await node.record(chunks: 1)
            let refusal = try await node.call(.post, "/v1/sessions/\(own)/close")
            #expect(refusal.status == .conflict)
            #expect(String(decoding: refusal.body, as: UTF8.self).contains("qnode record stop"))
            #expect(try await node.call(.post, "/v1/sessions/\(SessionID.random())/close").status == .notFound)
            #expect(try await node.call(.post, "/v1/sessions/x/close").status == .notFound)
            let headers: HTTPHeaders = ["X-Real-IP": "1.2.3.4"]
            let foreign = try await node.call(.post, "/v1/sessions/\(own)/close", headers: headers)
            #expect(foreign.status == .forbidden)
            let session = SessionID.random()
            let slot = ChunkSlot(author: TestNode.id(0xcc), session: session, stream: .data, index: 0)
            try await node.copy(slot, rows: ["1", "2"])
            let open = try WireJSON.decode(
                SessionDetailForm.self, from: try await node.call(.get, "/v1/sessions/\(session)").body)
            #expect(open.session.partial && open.session.partialRows == 2 && open.session.endedAt == nil)
            #expect(open.partials.map(\.rows) == [2] && open.chunks.isEmpty)
            let status = try WireJSON.decode(
                NodeStatusForm.self, from: try await node.call(.get, "/v1/status").body)
            #expect(status.store.copies == 1)
            let answer = try await node.call(.post, "/v1/sessions/\(session)/close")
            let closed = try WireJSON.decode(ClosedForm.self, from: answer.body)
            #expect(closed.reason == "closed_by_peer" && closed.rows == 2 && closed.sealedChunks == 1)
            let after = try WireJSON.decode(
                SessionDetailForm.self, from: try await node.call(.get, "/v1/sessions/\(session)").body)
            #expect(!after.session.partial && after.session.complete && after.chunks.map(\.rows) == [2])
        }
    }

    @Test(
        "a recording's wishes out of range are refused",
        arguments: [
            RecordingRequestForm(mission: ""), RecordingRequestForm(mission: String(repeating: "m", count: 200)),
            RecordingRequestForm(chunkIntervalS: 0.5), RecordingRequestForm(chunkIntervalS: .infinity),
            RecordingRequestForm(chunkIntervalS: 3601),
        ])
    func wishes(_ form: RecordingRequestForm) { #expect(throws: CallError.self) { _ = try form.request() } }
}
