import Foundation
import Glibc
import Testing

/// Peers that are none, and peers that lie: counted, and nothing hangs, falls or is lost.
@Suite struct PeerTests {
    /// What a server answers to any request.
    enum Answer: String, CaseIterable {
        case rubbish, endlessHeaders, endlessBody, cutOffHead, cutOffBody, nothing, wrongJSON, redirect, silence

        func send(to socket: Int32) {
            func text(_ text: String) -> Bool { Loopback.send(Array(text.utf8), to: socket) }
            switch self {
            case .rubbish: _ = Loopback.send((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 37) }, to: socket)
            case .endlessHeaders:
                guard text("HTTP/1.1 200 OK\r\n") else { return }
                while text("X-Filler: \(String(repeating: "x", count: 1000))\r\n") {}
            case .endlessBody:
                guard text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") else { return }
                while text("400\r\n\(String(repeating: "x", count: 1024))\r\n") {}
            case .cutOffHead: _ = text("HTTP/1.1 200 OK\r\nContent-Le")
            case .cutOffBody: _ = text("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"id\":")
            case .nothing: break
            case .wrongJSON: _ = text("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"id\":\"../..\"")
            case .redirect: _ = text("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
            // Until the other side has had enough.
            case .silence: _ = Loopback.receive(socket)
            }
        }
    }

    @Test("a peer that is no node is counted and dialled again, beside one that is", arguments: Answer.allCases)
    func garbage(_ answer: Answer) throws {
        let scratch = try Scratch()
        let peer = try BadPeer { _, socket in
            _ = Loopback.receive(socket)
            answer.send(to: socket)
        }
        defer { peer.stop() }
        let good = try scratch.node("good", ["--role", "topside"])
        let port = try #require(try good.status()?.port)
        let node = try scratch.node(
            "node", ["--role", "topside", "--peer", "127.0.0.1:\(peer.port)", "--peer", "127.0.0.1:\(port)"])
        try node.until("the trouble is counted, and the other peer is live") { status in
            status.peers.contains { $0["state"] as? String == "live" }
                && status.peers.contains { ($0["error_count"] as? Int ?? 0) > 0 && $0["last_error"] is String }
        }
        if answer != .silence { try node.until("it is dialled again") { _ in peer.visits >= 2 } }
        #expect(try node.stop().code == 0)
    }

    @Test("bytes that are not what their name says are kept aside and counted, and the true ones come after them")
    func wrongBytes() throws {
        let scratch = try Scratch()
        let vehicle = try scratch.node(
            "vehicle", ["--role", "vehicle", "--serial", try scratch.sensor(), "--chunk-interval", "1s"])
        try vehicle.until("chunks are sealed") { $0.sealed >= 2 }
        let port = try #require(try vehicle.status()?.port)
        let falsifier = Falsifier()
        let proxy = try BadPeer { peer, socket in falsifier.serve(peer, socket, port: port) }
        defer { proxy.stop() }
        let topside = try scratch.node("topside", ["--role", "topside", "--peer", "127.0.0.1:\(proxy.port)"])
        let deceived = try topside.until("wrong bytes are counted") { $0.errors("corrupt_chunk") >= 2 }
        #expect(deceived.store["quarantined"] as? Int ?? 0 >= 1)
        falsifier.isLying = false
        try topside.until("the true bytes are here", within: 20) { $0.held >= 4 }
        #expect(try vehicle.stop().code == 0)
        #expect(try topside.stop().code == 0)
        // Of a bundle only its last chunk was spoilt; what is held is what its name says.
        for node in [vehicle, topside] { #expect(try scratch.run("verify", "--data", node.data).code == 0) }
    }

    @Test("status waits until everything the peers have is here, and says what is missing when its time is over")
    func waitSynced() throws {
        let scratch = try Scratch()
        let vehicle = try scratch.node(
            "vehicle", ["--role", "vehicle", "--serial", try scratch.sensor(), "--chunk-interval", "1s"])
        try vehicle.until("chunks are sealed") { $0.sealed >= 2 }
        let port = try #require(try vehicle.status()?.port)
        let lonely = try scratch.node("lonely", ["--role", "topside"])
        let alone = try scratch.run("status", "--data", lonely.data, "--wait-synced", "--timeout", "1")
        #expect(alone.code == 1 && alone.errors.hasSuffix("not everything is here yet: lonely has found no peer\n"))
        let topside = try scratch.node("topside", ["--role", "topside", "--peer", "127.0.0.1:\(port)"])
        let synced = try scratch.run("status", "--data", topside.data, "--wait-synced", "--timeout", "30")
        #expect(synced.code == 0, "\(synced.errors)")
        #expect(try topside.status()?.held ?? 0 >= 2)
        #expect(try vehicle.stop().code == 0)
        let gone = try scratch.run("status", "--data", topside.data, "--wait-synced", "--timeout", "1")
        #expect(gone.code == 1 && gone.errors.contains("vehicle is not connected"), "\(gone.errors)")
        let absent = try scratch.run("status", "--data", vehicle.data, "--wait-synced")
        #expect(absent.code == 1 && absent.errors.contains("no node runs on"), "\(absent.errors)")
    }

    @Test(
        "requests that mean harm are refused, and the node answers on",
        arguments: [
            "GET /../node.key HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/chunks/../../identity/node.key HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/chunks/..%2f..%2fidentity%2fnode.key HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/status HTTP/1.1\r\n\r\n",
            "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "DELETE /v1/recordings/current HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n\r\n",
            "POST /v1/facts HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /v1/have HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", "NONSENSE\r\n\r\n",
        ])
    func harmful(_ request: String) throws {
        let scratch = try Scratch()
        let node = try scratch.node("node", ["--role", "topside"])
        let port = try #require(try node.status()?.port)
        let socket = try Loopback.connect(port: port)
        defer { close(socket) }
        #expect(Loopback.send(Array(request.utf8), to: socket))
        shutdown(socket, Int32(SHUT_WR))
        var answer: [UInt8] = []
        while true {
            let bytes = Loopback.receive(socket)
            if bytes.isEmpty { break }
            answer += bytes
        }
        let text = String(decoding: answer, as: UTF8.self)
        #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 4"), "\(text)")
        #expect(!text.contains("PRIVATE KEY"))
        #expect(try node.status() != nil)
        #expect(try node.stop().code == 0)
    }

    @Test("headers without end are cut off at the limit")
    func endlessRequest() throws {
        let scratch = try Scratch()
        let node = try scratch.node("node", ["--role", "topside"])
        let socket = try Loopback.connect(port: try #require(try node.status()?.port))
        defer { close(socket) }
        var sent = 0
        if Loopback.send(Array("GET /v1/node HTTP/1.1\r\nHost: x\r\n".utf8), to: socket) {
            let line = Array("X-Filler: \(String(repeating: "x", count: 1000))\r\n".utf8)
            while sent < 100_000_000, Loopback.send(line, to: socket) { sent += line.count }
        }
        #expect(sent < 100_000_000)
        #expect(try node.status() != nil)
        #expect(try node.stop().code == 0)
    }

    @Test("pull fetches everything into an empty directory and ends; nobody there is said in time")
    func pull() throws {
        let scratch = try Scratch()
        let vehicle = try scratch.node(
            "vehicle", ["--role", "vehicle", "--serial", try scratch.sensor(), "--chunk-interval", "1s"])
        try vehicle.until("chunks are sealed") { $0.sealed >= 2 }
        let port = try #require(try vehicle.status()?.port)
        let copy = "\(scratch.path)/copy"
        let pulled = try scratch.run("pull", "--from", "127.0.0.1:\(port)", "--data", copy, within: 20)
        #expect(pulled.code == 0 && pulled.errors.isEmpty, "\(pulled)")
        let audit = try scratch.run("verify", "--json", "--data", copy)
        #expect(audit.code == 0, "\(audit)")
        #expect(try object(audit.output)["chunks"] as? Int ?? 0 >= 4)
        #expect(try vehicle.stop().code == 0)
        let again = try scratch.run(
            "pull", "--from", "127.0.0.1:\(port)", "--timeout", "1s", "--data", copy, within: 20)
        #expect(again.code == 1 && again.sentences.count == 1, "\(again)")
        #expect(again.errors.contains("127.0.0.1:\(port)"))
    }

    @Test("a peer that only states what it holds has a name and a role in status")
    func named() throws {
        let scratch = try Scratch()
        let vehicle = try scratch.node("vehicle", ["--role", "vehicle", "--serial", "off"])
        let port = try #require(try vehicle.status()?.port)
        let topside = try scratch.node("topside", ["--role", "topside", "--peer", "127.0.0.1:\(port)"])
        try vehicle.until("the topside stated") { status in
            status.peers.contains { $0["name"] as? String == "topside" && $0["role"] as? String == "topside" }
        }
        #expect(try topside.stop().code == 0)
        #expect(try vehicle.stop().code == 0)
    }
}
