import Model
import Testing

@testable import Reactor

private actor Counter {
    let loop: EventLoop
    var count = 0
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    init(loop: EventLoop) { self.loop = loop }
    func add() { loop.checkIsolated(); count += 1 }
}

@Suite struct EventLoopTests {
    @Test("actors pinned to a loop run on its thread")
    func isolation() throws {
        let loop = EventLoop(name: "test")
        let counter = Counter(loop: loop)
        try loop.runBlocking {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<100 { group.addTask { await counter.add() } }
            }
        }
        #expect(try loop.runBlocking { await counter.count } == 100)
        loop.stop()
    }

    @Test("a sleep ends by its timer, or by cancellation at once")
    func sleeping() throws {
        let loop = EventLoop(name: "test")
        let elapsed = try loop.runBlocking {
            let start = SystemClock.monotonic()
            try await loop.sleep(for: .milliseconds(20))
            return start.duration(to: SystemClock.monotonic())
        }
        #expect(elapsed >= .milliseconds(20))
        let task = loop.spawn { try await loop.sleep(for: .seconds(3600)) }
        task.cancel()
        let cancelled = try loop.runBlocking { await task.result }
        #expect(throws: CancellationError.self) { try cancelled.get() }
        loop.stop()
    }

    @Test("a lane runs its actor's jobs on its own thread and ends when told")
    func lanes() async {
        let lane = DiskLane(name: "lane")
        actor Worker {
            let lane: DiskLane
            nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }
            init(lane: DiskLane) { self.lane = lane }
            func work() -> Bool { lane.isOnLane }
        }
        #expect(await Worker(lane: lane).work())
        lane.stop()
    }
}

@Suite struct ChecksumTests {
    @Test("CRC-32C of RFC 3720's vectors")
    func vectors() {
        #expect(Checksum([UInt8](repeating: 0, count: 32)).value == 0x8A91_36AA)
        #expect(Checksum([UInt8](repeating: 0xff, count: 32)).value == 0x62A8_AB43)
        #expect(Checksum((0..<32).map { UInt8($0) }).value == 0x46DD_794E)
        #expect(Checksum(Array("123456789".utf8)).value == 0xE306_9283)
    }

    @Test("a checksum continued is the checksum of the whole")
    func continued() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for split in [0, 1, 7, 8, 500, 999, 1000] {
            var sum = Checksum(bytes[..<split])
            sum.update(bytes[split...])
            #expect(sum.value == Checksum(bytes).value)
        }
    }
}
