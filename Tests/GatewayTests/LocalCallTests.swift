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

    @Test("caps change while the node runs, and nothing else does; what is no cap is refused")
    func caps() async throws {
        try await TestNode.with { node in
            func put(_ name: String, _ body: String) async throws -> HTTPStatus {
                try await node.call(.put, "/v1/settings/\(name)", body: body).status
            }
            func caps() async throws -> CapsForm? {
                try WireJSON.decode(NodeStatusForm.self, from: try await node.call(.get, "/v1/status").body).caps
            }
            #expect(try await caps()?.pullBytesPerS == nil)
            #expect(try await put("cap", #"{"bytes_per_s":204800}"#) == .ok)
            #expect(try await put("serve-cap", #"{"bytes_per_s":1000000}"#) == .ok)
            let set = try #require(try await caps())
            #expect(set.pullBytesPerS == 204_800 && set.serveBytesPerS == 1_000_000)
            #expect(try await put("cap", #"{"bytes_per_s":null}"#) == .ok)
            #expect(try await caps()?.pullBytesPerS == nil)
            #expect(try await put("cap", "{}") == .unprocessable)
            #expect(try await put("cap", #"{"bytes_per_s":1}"#) == .unprocessable)
            #expect(try await put("mission", #"{"bytes_per_s":null}"#) == .notFound)
            #expect(
                try await node.call(
                    .put, "/v1/settings/cap", headers: ["X-Real-IP": "1.2.3.4"], body: #"{"bytes_per_s":null}"#
                ).status == .forbidden)
        }
    }

    @Test("facts come in answers as short as one asks for, and never empty")
    func shortFacts() async throws {
        try await TestNode.with { node in
            _ = try await node.record(chunks: 3)
            let asked = #"{"authors":{"\#(node.store.node)":{"\#(node.store.incarnation)":"1-100"}}}"#
            let whole = try await node.call(.post, "/v1/facts", body: asked)
            let short = try await node.call(.post, "/v1/facts?bytes=1", body: asked)
            #expect(whole.body.split(separator: 10).count > 3 && whole.headers["Qnode-More"] == "false")
            #expect(short.body.split(separator: 10).count == 1 && short.headers["Qnode-More"] == "true")
            #expect(try await node.call(.post, "/v1/facts?bytes=0", body: asked).status == .unprocessable)
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
