import Foundation
import Glibc
import Model
import Reactor
import Storage
import Testing

@testable import Recording

/// A disk that does not answer: everything that is asked of its lane waits behind this.
private actor HungLane {
    private let lane: DiskLane
    private nonisolated(unsafe) let released = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(_ lane: DiskLane) {
        self.lane = lane
        sem_init(released, 0, 0)
    }

    func hang() { while sem_wait(released) != 0 {} }
    nonisolated func release() { sem_post(released) }
}

@Suite(.timeLimit(.minutes(1))) struct StallTests {
    /// Ten seconds of 20 streams with 100 rows a second each.
    private static let tenSeconds = 20_000

    @Test("a commit that blocks for ten seconds of rows costs none of them, and is told of while it lasts")
    func stall() throws {
        try RecorderBench.run(RecorderBench.options { $0.stallNotice = .milliseconds(20) }) { bench in
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            await bench.store.hold()
            var told = bench.store.incidents.changes().makeAsyncIterator()
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            for start in stride(from: 2, to: Self.tenSeconds, by: 1000) { await bench.give(start...start + 999) }
            while await bench.recorder.readingCount() < Self.tenSeconds + 1 { _ = await bells.next() }
            while bench.store.incidents.health.troubles.isEmpty { _ = await told.next() }
            let status = await bench.recorder.status()
            #expect(status.trouble?.contains("has not answered") == true)
            #expect(status.queuedRows == Self.tenSeconds && status.queuedBytes < Limits.queuedRowBytes / 8)
            await bench.store.release()
            await bench.store.wait { $0.dataRows == Self.tenSeconds + 1 }
            while await bench.recorder.status().trouble != nil { await Task.yield() }
            let id = try #require(await bench.store.order.first)
            #expect(await bench.store.facts(id).isEmpty, "nothing was lost, so there is no gap")
            let values = await bench.store.lines(id, .data).map { $0.split(separator: ",")[4] }
            #expect(values == (1...Self.tenSeconds + 1).map { Substring("0.\(100_000 + $0)") })
            #expect(bench.store.incidents.health.counts == [.rowsWaiting: 1, .rowsTaken: 1])
        }
    }

    @Test("one that blocks for longer ends in one gap with the number of rows, and rows go on behind it")
    func longStall() throws {
        try RecorderBench.run(RecorderBench.options { $0.queueBytes = 100_000 }) { bench in
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            await bench.store.hold()
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            for start in stride(from: 2, to: 2000, by: 100) { await bench.give(start...start + 99) }
            while await bench.recorder.readingCount() < 2001 { _ = await bells.next() }
            let queued = await bench.recorder.status().queuedRows
            #expect(queued > 100 && queued < 1000)
            await bench.store.release()
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { $0.facts(id).count == 2 }
            await bench.give(2002...2010)
            await bench.store.wait { $0.text(id, .data).contains("0.102010") }
            let gaps = await bench.store.facts(id).compactMap { if case .gap(let gap) = $0 { gap } else { nil } }
            #expect(gaps.map(\.reason) == ["overflow", "overflow"])
            #expect(gaps[0].to == nil && gaps[0].from == gaps[1].from, "told when it began, and again with its end")
            let rows = await bench.store.dataRows
            #expect(gaps[1].rowsLost == 2010 - rows && gaps[1].to != nil)
            #expect(await bench.recorder.status().rowsLost == 2010 - rows)
            let values = await bench.store.lines(id, .data).compactMap { Int($0.split(separator: ",")[4].dropFirst(3)) }
            #expect(values == Array(1...Int(rows) - 9) + Array(2002...2010), "whole before it and whole behind it")
        }
    }

    @Test("facts do not wait for rows that a full disk refuses: the gap is told of while it lasts")
    func factsFirst() throws {
        try RecorderBench.run(RecorderBench.options { $0.queueBytes = 4096 }) { bench in
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            await bench.store.failRows(.outOfSpace(path: "/data"))
            await bench.give(2...200)
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { !$0.facts(id).isEmpty }
            guard case .gap(let gap)? = await bench.store.facts(id).first else { throw CancellationError() }
            #expect(gap.reason == "overflow" && gap.to == nil && gap.rowsLost == nil)
            #expect(await bench.recorder.status().trouble?.contains("wait in memory") == true)
        }
    }

    @Test("whoever stops a recording on a full disk is told so, and its end comes with the room")
    func stopWhileFull() throws {
        try RecorderBench.run { bench in
            let running = try await bench.recorder.start()
            await bench.store.failRows(.outOfSpace(path: "/data"))
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            await bench.give(1...5)
            while await bench.recorder.readingCount() < 5 { _ = await bells.next() }
            await #expect(throws: RecorderError.store(.outOfSpace(path: "/data"))) {
                _ = try await bench.recorder.stop()
            }
            await bench.store.failRows(nil)
            await bench.store.wait { $0.end(running.session) != nil }
            #expect(await bench.store.dataRows == 5)
        }
    }

    @Test("an orderly stop while the disk takes no rows tells how many were lost by it")
    func orderlyStopWhileFull() throws {
        let store = MemoryStore()
        try RecorderBench.run(store: store) { bench in
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            await bench.store.failRows(.outOfSpace(path: "/data"))
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            await bench.give(2...11)
            while await bench.recorder.readingCount() < 11 { _ = await bells.next() }
        }
        try EventLoop.once { _ in
            let id = try #require(await store.order.first)
            guard case .gap(let gap)? = await store.facts(id).last else { throw CancellationError() }
            #expect(gap.reason == "overflow" && gap.rowsLost == 10 && gap.to != nil)
        }
    }

    @Test("while every lane of a real disk hangs the loop goes on, and not a row is missing afterwards")
    func hungDisk() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "stall-\(UUID())").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let hung = [lanes.commit, lanes.admit, lanes.scrub].map(HungLane.init)
        let count = Self.tenSeconds / 4
        let rows = try EventLoop.once { loop in
            let store = try await Store.open(
                path, node: NodeID(String(repeating: "a", count: 64))!, incarnation: .random(), lanes: lanes,
                log: .silent)
            let source = ScriptedSource(on: loop)
            let recorder = Recorder(RecorderBench.options(), store: store, on: loop, log: .silent)
            await source.give([.identified(RecorderBench.identity), RecorderBench.sample(1)])
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await recorder.run(source) }
                while await recorder.status().running?.rows != 1 { await Task.yield() }
                for lane in hung { group.addTask { await lane.hang() } }
                // The loop serves its timers and the instrument all the while.
                for start in stride(from: 2, to: count, by: 500) {
                    await source.give((start...start + 499).map { RecorderBench.sample($0) })
                    try? await loop.sleep(for: .milliseconds(1))
                }
                while await recorder.readingCount() < count + 1 { await Task.yield() }
                #expect(await recorder.status().queuedRows >= count - 500)
                for lane in hung { lane.release() }
                while await recorder.status().queuedRows > 0 { await Task.yield() }
                group.cancelAll()
            }
            let facts = try await store.facts(after: 0, limit: 100).map(\.kind)
            #expect(!facts.contains("gap"))
            let rows = try await store.summary().rows
            try await store.close()
            return rows
        }
        #expect(rows == count + 1)
    }

    @Test("what waits never exceeds its limit by more than a line, the batch under way among it")
    func bounded() {
        var queue = RowQueue(byteLimit: 10_000)
        let session = SessionID.random()
        let writer = RowWriter(format: .csv, isText: false)
        var taken: RowQueue.PendingRows?
        var most = 0
        for number in 1...500 {
            guard case .line(let line) = RecorderBench.sample(number) else { continue }
            _ = queue.append(line, row: Int64(number), sensorID: "s", session: session, writer: writer)
            if number == 20 { taken = queue.takeFirst() }
            most = max(most, queue.byteCount)
            #expect(queue.byteCount == queue.pending.reduce(taken?.byteCount ?? 0) { $0 + $1.byteCount })
        }
        #expect(most >= 10_000 && most < 10_000 + 2 * Limits.lineBytes)
        #expect(queue.losses.count == 1 && queue.rowCount + queue.losses[0].rows == 500)
    }
}
