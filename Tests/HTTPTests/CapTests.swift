import Model
import Reactor
import Testing

@testable import HTTP

/// When how much payload came.
actor Arrivals {
    nonisolated var unownedExecutor: UnownedSerialExecutor { testLoop.asUnownedSerialExecutor() }
    private var entries: [(at: MonotonicTime, bytes: Int)] = []
    private let start = SystemClock.monotonic()
    private let largestPiece = Locked(0)

    isolated deinit {}

    func add(_ bytes: Int) {
        entries.append((SystemClock.monotonic(), bytes))
        largestPiece.withLock { $0 = max($0, bytes) }
    }

    /// The largest piece that came at once.
    nonisolated var largest: Int { largestPiece.withLock { $0 } }
    nonisolated func forgetLargest() { largestPiece.withLock { $0 = 0 } }

    func bytes(_ from: Duration, _ to: Duration) -> Double {
        let (low, high) = (start.advanced(by: from), start.advanced(by: to))
        return Double(entries.lazy.filter { $0.at > low && $0.at <= high }.reduce(0) { $0 + $1.bytes })
    }

    func worst(_ window: Duration, _ from: Duration, _ to: Duration) -> Double {
        var worst = 0.0
        var at = from
        while at + window <= to {
            worst = max(worst, bytes(at, at + window))
            at += window / 20
        }
        return worst / window.inSeconds
    }
}

@Suite(.serialized) struct CapTests {
    private func withTransfers(
        cap: Int64?, connections: Int, answer: Int,
        _ body: @escaping @Sendable (ReadPacer, Arrivals) async throws -> Void
    ) async throws {
        let pacer = ReadPacer(on: testLoop, cap: cap)
        let arrivals = Arrivals()
        let piece = patterned(min(answer, 64 * 1024))
        let handler: HTTPServer.Handler = { _ in
            let sent = Locked(0)
            return HTTPResponse(
                .ok,
                body: .stream(length: Int64(answer)) {
                    let done = sent.withLock { $0 }
                    guard done < answer else { return nil }
                    let next = Array(piece.prefix(answer - done))
                    sent.withLock { $0 += next.count }
                    return next
                })
        }
        try await withServer(handler: handler) { endpoint, _ in
            let workers = testLoop.spawn {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<connections {
                        group.addTask { await Self.pull(endpoint, answer, pacer, arrivals) }
                    }
                }
            }
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(pacer, arrivals)) } catch { outcome = .failure(error) }
            workers.cancel()
            _ = await workers.result
            try outcome.get()
        }
    }

    /// One answer after another, on a fresh connection where the last was ended.
    private static func pull(_ endpoint: Endpoint, _ answer: Int, _ pacer: ReadPacer, _ arrivals: Arrivals) async {
        while !Task.isCancelled {
            do {
                let connection = try await HTTPConnection.open(
                    to: endpoint, on: testLoop, settings: HTTPConnection.Settings(pacer: pacer, .data(priority: 0)))
                defer { connection.assumeIsolatedClose() }
                while await connection.isIdle {
                    let response = try await connection.send(
                        HTTPClientRequest(.get, "/", expectedBytes: Int64(answer) + Limits.answerHeadBytes))
                    while let bytes = try await response.body.next() { await arrivals.add(bytes.count) }
                }
            } catch {
                // Cut by a new cap, or cancelled: the loop looks.
                await Task.yield()
            }
        }
    }

    @Test(
        "over sockets a cap is met on average and held in each second, for small answers and large ones",
        arguments: [(4, 64_000_000), (1, 64_000_000), (4, 6000)])
    func accuracy(connections: Int, answer: Int) async throws {
        let cap = 512_000.0
        try await withTransfers(cap: 512_000, connections: connections, answer: answer) { _, arrivals in
            try await testLoop.sleep(for: .seconds(6))
            // In Ethernet bytes; a small answer has a head, and its last segment is short.
            let wire = answer < 10_000 ? (Double(answer) + 180 + 5 * 66) / Double(answer) : 1514.0 / 1448
            let average = await arrivals.bytes(.seconds(2), .seconds(6)) / 4 * wire / cap
            let worst = await arrivals.worst(.seconds(1), .seconds(2), .seconds(6)) * wire / cap
            print("cap over sockets: \(connections) × \(answer) B: average \(average), worst second \(worst)")
            // A machine that is busy is late, and never early.
            #expect(average > 0.85 && average < 1.01)
            #expect(worst < 1.05)
        }
    }

    @Test("a new cap holds within 200 ms over sockets, from none to one too")
    func change() async throws {
        try await withTransfers(cap: nil, connections: 4, answer: 64_000_000) { pacer, arrivals in
            try await testLoop.sleep(for: .milliseconds(500))
            let open = await arrivals.bytes(.zero, .milliseconds(500))
            #expect(open > 2_000_000)
            await pacer.setCap(400_000)
            try await testLoop.sleep(for: .milliseconds(1500))
            #expect(await arrivals.bytes(.milliseconds(720), .milliseconds(1720)) < 450_000)
            #expect(await arrivals.bytes(.milliseconds(720), .milliseconds(1720)) > 200_000)
            await pacer.setCap(4_000_000)
            try await testLoop.sleep(for: .milliseconds(1500))
            #expect(await arrivals.bytes(.milliseconds(2300), .milliseconds(3300)) > 2_000_000)
            #expect(await arrivals.bytes(.milliseconds(2300), .milliseconds(3300)) < 4_300_000)
            await pacer.setCap(nil)
            arrivals.forgetLargest()
            try await testLoop.sleep(for: .seconds(1))
            // In mid-stream: the connection reads as one that was never capped.
            #expect(arrivals.largest > 16_384)
        }
    }

    @Test("a cap of two kilobytes a second lets something through on each connection")
    func slow() async throws {
        try await withTransfers(cap: 4000, connections: 3, answer: 1_000_000) { _, arrivals in
            try await testLoop.sleep(for: .seconds(6))
            let bytes = await arrivals.bytes(.zero, .seconds(6))
            #expect(bytes > 4000 && bytes < 30_000)
        }
    }

    @Test("cancelling ends a transfer that waits for its turn")
    func cancelled() async throws {
        let begun = SystemClock.monotonic()
        try await withTransfers(cap: 1000, connections: 4, answer: 1_000_000) { _, _ in
            try await testLoop.sleep(for: .milliseconds(300))
        }
        #expect(begun.duration(to: SystemClock.monotonic()) < .seconds(5))
    }
}

extension HTTPConnection {
    nonisolated fileprivate func assumeIsolatedClose() {
        let connection = self
        testLoop.spawn { await connection.close() }
    }
}
