import Model
import Reactor
import Testing

@testable import HTTP

@Suite(.serialized) struct SendPacerTests {
    /// Takes slices for some clients at once for a while; bytes of each.
    private func take(_ pacer: SendPacer, clients: Int, for duration: Duration) async throws -> [Int] {
        let end = SystemClock.monotonic().advanced(by: duration)
        return try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<clients {
                group.addTask {
                    var sum = 0
                    while SystemClock.monotonic() < end { sum += try await pacer.take(128 * 1024) }
                    return sum
                }
            }
            var sums: [Int] = []
            while let sum = try await group.next() { sums.append(sum) }
            return sums
        }
    }

    @Test("all clients together are sent what the cap allows, each the same")
    func shared() async throws {
        let pacer = SendPacer(on: testLoop, cap: 1_000_000)
        let sums = try await take(pacer, clients: 4, for: .seconds(2))
        let wire = Double(sums.reduce(0, +)) * Limits.wireShare
        #expect(wire > 1_700_000 && wire < 2_060_000)
        #expect((sums.max() ?? 0) < (sums.min() ?? 0) * 12 / 10)
    }

    @Test("without a cap nobody waits, and a cap that is taken off lets those go who do")
    func off() async throws {
        let pacer = SendPacer(on: testLoop, cap: nil)
        #expect(try await pacer.take(100_000) == 100_000)
        await pacer.setCap(1000)
        // The first slice is free; the next would take half a minute.
        _ = try await pacer.take(100_000)
        async let waiting = pacer.take(30_000)
        try await testLoop.sleep(for: .milliseconds(20))
        await pacer.setCap(nil)
        #expect(try await waiting > 0)
    }

    @Test("a client that goes takes nothing with it")
    func gone() async throws {
        let pacer = SendPacer(on: testLoop, cap: 1000)
        _ = try await pacer.take(10_000)
        let outcome = await withTaskGroup(of: Bool.self) { group in
            group.addTask { (try? await pacer.take(10_000)) == nil }
            group.cancelAll()
            return await group.next() ?? false
        }
        #expect(outcome)
    }

    @Test("a client that takes an answer slowly is not cut while it takes any")
    func slowClient() async throws {
        var settings = HTTPServer.Settings()
        settings.sendStallTime = .milliseconds(400)
        let body = patterned(16 << 20)
        try await withServer(settings, handler: { _ in HTTPResponse(.ok, body: .bytes(body)) }) { endpoint, server in
            let peer = try await RawPeer.connect(endpoint, receiveBuffer: 8192)
            try await peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for _ in 0..<15 {
                try await testLoop.sleep(for: .milliseconds(100))
                let bytes = try await peer.channel.read(by: SystemClock.monotonic().advanced(by: .seconds(5)))
                #expect(bytes?.isEmpty == false)
            }
            #expect(await server.counts.open == 1)
            await peer.close()
        }
    }
}
