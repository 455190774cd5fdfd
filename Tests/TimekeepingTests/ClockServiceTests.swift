import Model
import Reactor
import Testing

@testable import Timekeeping

/// Another process of this very machine: its clocks are ours, so the truth is zero.
private struct MirrorLink: ClockLink {
    let boot = BootID.random()
    func exchange() async throws -> ClockExchange {
        let sent = ClockSample.now()
        let answer = ClockAnswer(received: .now(), sent: .now(), bootID: boot)
        return ClockExchange(sent: sent, answer: answer, received: .now())
    }
}

private struct FailingLink: ClockLink {
    struct Failure: Error {}
    func exchange() async throws -> ClockExchange { throw Failure() }
}

private struct HangingLink: ClockLink {
    let loop: EventLoop
    let asked: AsyncStream<Void>.Continuation
    func exchange() async throws -> ClockExchange {
        asked.yield()
        while true { try await loop.sleep(for: .seconds(3600)) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct ClockServiceTests {
    private let peer = NodeID(digest: Digest256(bytes: [UInt8](repeating: 7, count: 32))!)

    @Test("after a burst a node knows that its own clock is its own, within the bound")
    func burst() async throws {
        let loop = EventLoop(name: "clock")
        let (reports, tell) = AsyncStream.makeStream(of: ClockReport.self, bufferingPolicy: .bufferingNewest(1))
        let service = ClockService(loop: loop, log: .silent) { tell.yield($0) }
        let peer = self.peer
        let keeping = loop.spawn { await service.keep(peer, MirrorLink()) }
        var first: ClockReport?
        for await report in reports {
            first = report
            break
        }
        keeping.cancel()
        _ = try await keeping.value
        let report = try #require(first)
        let estimate = try #require(report.estimate)
        #expect(report.exchanges == Int64(Limits.clockBurst))
        #expect(abs(estimate.offset) <= estimate.bound)
        #expect(abs(estimate.rawOffset) <= estimate.rawBound)
        #expect(estimate.bound < 5_000_000)
        #expect(report.refused == 0 && report.failed == 0 && report.steps.isEmpty)
        loop.stop()
    }

    @Test("failures are counted, the peer is asked again, and less and less often")
    func failures() async throws {
        var schedule = ExchangeSchedule()
        let delays = (0..<8).map { _ in schedule.failed() }
        #expect(delays.first == Limits.clockRetryDelay && delays.last == Limits.clockInterval)
        #expect(zip(delays, delays.dropFirst()).allSatisfy { $0 <= $1 })
        let waits = (0..<Limits.clockBurst).map { _ in schedule.succeeded() }
        #expect(waits.dropLast().allSatisfy { $0 == Limits.clockBurstInterval } && waits.last == Limits.clockInterval)

        let loop = EventLoop(name: "clock")
        let (reports, tell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        struct Counting: ClockLink {
            let tell: AsyncStream<Void>.Continuation
            func exchange() async throws -> ClockExchange {
                tell.yield()
                return try await FailingLink().exchange()
            }
        }
        let service = ClockService(loop: loop, log: .silent)
        let peer = self.peer
        let keeping = loop.spawn { await service.keep(peer, Counting(tell: tell)) }
        var asked = 0
        for await _ in reports {
            asked += 1
            if asked == 2 { break }
        }
        keeping.cancel()
        _ = try await keeping.value
        #expect(await service.report(of: peer)?.failed ?? 0 >= 1)
        #expect(await service.report(of: peer)?.estimate == nil)
        loop.stop()
    }

    @Test("a link that never answers ends with its connection")
    func hanging() async throws {
        let loop = EventLoop(name: "clock")
        let (asked, tell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let service = ClockService(loop: loop, log: .silent)
        let peer = self.peer
        let keeping = loop.spawn { await service.keep(peer, HangingLink(loop: loop, asked: tell)) }
        for await _ in asked { break }
        keeping.cancel()
        _ = try await keeping.value
        loop.stop()
    }
}
