import Model
import Reactor
import Storage
import Testing

@testable import Recording

@Suite(.timeLimit(.minutes(1))) struct RecorderTests {
    @Test("an automatic recording begins with the first row, and what the sensor said before is in its raw stream")
    func automatic() throws {
        try RecorderBench.run { bench in
            await bench.source.give([RecorderBench.rejected("Unit ID 17"), RecorderBench.rejected("ADC OK")])
            await bench.give(1...2)
            await bench.store.wait { $0.dataRows == 2 }
            let id = try #require(await bench.store.order.first)
            let stamp = "2026-09-21T14:13:20.123456+00:00"
            #expect(
                await bench.store.lines(id, .data) == [
                    "\(stamp),\"QSP, no. 1\",freerun,0.100001,25.19,7.494",
                    "\(stamp),\"QSP, no. 1\",freerun,0.100002,25.19,7.494",
                ])
            let raw = await bench.store.lines(id, .raw)
            let times =
                "\"realtime\":\"1790000000123456789\",\"boottime\":\"5000000000\",\"boot_id\":\"\(RecorderBench.boot)\""
            #expect(
                raw == [
                    "{\"row\":null,\(times),\"line\":\"Unit ID 17\\r\\n\"}",
                    "{\"row\":null,\(times),\"line\":\"ADC OK\\r\\n\"}",
                    "{\"row\":0,\(times),\"line\":\"0.100001, 25.19, 7.494\\r\\n\"}",
                    "{\"row\":1,\(times),\"line\":\"0.100002, 25.19, 7.494\\r\\n\"}",
                ])
            #expect(await bench.store.wish == RecordingWish(mission: "default", explicit: false))
        }
    }

    @Test("with automatic recording off, rows are shown but nothing is recorded until a start")
    func off() throws {
        try RecorderBench.run(RecorderBench.options { $0.recordsByItself = false }) { bench in
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            await bench.give(1...3)
            while await bench.recorder.readingCount() < 3 { _ = await bells.next() }
            #expect(await bench.store.order.isEmpty)
            #expect(await bench.recorder.latest()?.number == 3)
            let running = try await bench.recorder.start()
            await bench.give(4...5)
            await bench.store.wait { $0.dataRows == 2 }
            #expect(running.isExplicit)
            #expect(await bench.store.order == [running.session])
        }
    }

    @Test(
        "a stop holds through restarts of its boot, and a new boot records by itself again", arguments: [true, false])
    func stopOfThisBoot(isSameBoot: Bool) throws {
        let boot = isSameBoot ? RecorderBench.boot : BootID(high: 9, low: 9)
        try RecorderBench.run(store: MemoryStore(stoppedInBoot: boot)) { bench in
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            await bench.give(1...3)
            while await bench.recorder.readingCount() < 3 { _ = await bells.next() }
            if isSameBoot {
                #expect(await bench.store.order.isEmpty)
            } else {
                await bench.store.wait { $0.dataRows == 3 }
            }
        }
    }

    @Test("an explicit start supersedes an automatic recording without losing a row, and refuses a second start")
    func supersede() throws {
        try RecorderBench.run { bench in
            await bench.give(1...10)
            await bench.store.wait { $0.dataRows == 10 }
            var request = RecordingRequest()
            request.mission = "dive 4"
            request.metadata = ["linked_recording": .string("video-7")]
            request.recordingID = .random()
            let running = try await bench.recorder.start(request)
            await bench.give(11...20)
            await bench.store.wait { $0.dataRows == 20 && $0.sessions.values.contains { $0.end != nil } }
            let automatic = try #require(await bench.store.order.first)
            #expect(await bench.store.end(automatic)?.reason == "superseded")
            #expect(await bench.store.lines(running.session, .data).count == 10)
            #expect(running.opening.mission == "dive 4")
            #expect(running.opening.metadata["linked_recording"] == .string("video-7"))
            #expect(await bench.store.wish?.explicit == true)
            await #expect(throws: RecorderError.alreadyRecording(running.session)) {
                _ = try await bench.recorder.start()
            }
        }
    }

    @Test("a stop ends the session after its last row, clears the wish, and none begins by itself until told")
    func stop() throws {
        try RecorderBench.run { bench in
            await #expect(throws: RecorderError.notRecording) { _ = try await bench.recorder.stop() }
            let running = try await bench.recorder.start()
            let other = SessionID.random()
            await #expect(throws: RecorderError.otherSession(running: running.session)) {
                _ = try await bench.recorder.stop(other)
            }
            await bench.give(1...7)
            await bench.store.wait { $0.dataRows == 7 }
            let summary = try await bench.recorder.stop(running.session)
            #expect(summary.end.reason == "stopped")
            #expect(summary.end.streams["data"]?.rows == 7)
            #expect(await bench.store.wish == nil)
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            await bench.give(8...9)
            while await bench.recorder.readingCount() < 9 { _ = await bells.next() }
            #expect(await bench.store.order.count == 1)
            let again = try await bench.recorder.start()
            await bench.give(10...10)
            await bench.store.wait { $0.dataRows == 8 }
            #expect(await bench.store.lines(again.session, .data).count == 1)
        }
    }

    @Test("rows that come while a commit is under way become durable with the next, together")
    func groupCommit() throws {
        try RecorderBench.run { bench in
            await bench.give(1...1)
            await bench.store.wait { $0.commits.count == 1 }
            await bench.store.hold()
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            for number in 2...50 { await bench.give(number...number) }
            while await bench.recorder.readingCount() < 50 { _ = await bells.next() }
            await bench.store.release()
            await bench.store.wait { $0.dataRows == 50 }
            #expect(await bench.store.commits.count <= 4)
            let id = try #require(await bench.store.order.first)
            let values = await bench.store.lines(id, .data).map { $0.split(separator: ",")[4] }
            #expect(values == (1...50).map { Substring("0.\(100_000 + $0)") })
        }
    }

    @Test("a disk that fails loses no row, and none comes twice")
    func failingDisk() throws {
        try RecorderBench.run { bench in
            await bench.give(1...5)
            await bench.store.wait { $0.dataRows == 5 }
            await bench.store.fail(.outOfSpace(path: "/data"))
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            for number in 6...30 { await bench.give(number...number) }
            while await bench.recorder.readingCount() < 30 { _ = await bells.next() }
            while await bench.recorder.status().failures < 3 { await Task.yield() }
            let status = await bench.recorder.status()
            #expect(status.queuedRows == 25)
            #expect(status.trouble?.contains("no space left") == true)
            await bench.store.fail(nil)
            await bench.store.wait { $0.dataRows == 30 }
            let id = try #require(await bench.store.order.first)
            let values = await bench.store.lines(id, .data).map { $0.split(separator: ",")[4] }
            #expect(values == (1...30).map { Substring("0.\(100_000 + $0)") })
            #expect(await bench.recorder.status().trouble == nil)
            #expect(await bench.store.facts(id).isEmpty, "nothing was lost, so there is no gap")
        }
    }

    @Test("rows that the queue has no room for are counted in a gap, and their numbers are not used")
    func overflow() throws {
        try RecorderBench.run(RecorderBench.options { $0.queueBytes = 4096 }) { bench in
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            await bench.store.fail(.outOfSpace(path: "/data"))
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            for number in 2...100 { await bench.give(number...number) }
            while await bench.recorder.readingCount() < 100 { _ = await bells.next() }
            await bench.store.fail(nil)
            // It was told of when it began, and is again with its number.
            await bench.store.wait { store in store.sessions.values.contains { $0.facts.count == 2 } }
            await bench.give(101...101)
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { $0.text(id, .data).contains("0.100101") }
            guard case .gap(let gap) = await bench.store.facts(id).last else { return #expect(Bool(false), "a gap") }
            let rows = await bench.store.dataRows
            #expect(gap.reason == "overflow")
            #expect(gap.rowsLost == 101 - rows)
            #expect(rows > 5 && rows < 50)
            #expect(await bench.store.lines(id, .raw).last?.hasPrefix("{\"row\":\(rows - 1),") == true)
        }
    }

    @Test("a chunk is sealed at its size, each stream by itself")
    func sealBySize() throws {
        let options = RecorderBench.options { $0.sealPolicy = SealPolicy(interval: .seconds(3600), size: 2048) }
        try RecorderBench.run(options) { bench in
            for number in 1...100 {
                await bench.give(number...number)
                await bench.store.wait { $0.dataRows == number }
            }
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { ($0.sessions[id]?.sealed[.data]?.count ?? 0) >= 3 }
            let session = try #require(await bench.store.sessions[id])
            #expect(session.sealed[.data]?.allSatisfy { (25...35).contains($0) } == true)
            #expect((session.sealed[.raw]?.count ?? 0) > (session.sealed[.data]?.count ?? 0))
        }
    }

    @Test("rows are committed while a chunk is being sealed, and the next chunk is known")
    func commitsBesideSeal() throws {
        let options = RecorderBench.options { $0.sealPolicy = SealPolicy(interval: .seconds(3600), size: 2048) }
        try RecorderBench.run(options) { bench in
            await bench.store.holdSeals()
            await bench.give(1...60)
            await bench.store.wait { $0.sealsBegun == 1 }
            let before = await bench.store.dataRows
            await bench.give(61...65)
            await bench.store.wait { $0.dataRows == before + 5 }
            #expect(await bench.store.sealsBegun == 1)
            await bench.store.releaseSeals()
            await bench.give(66...200)
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { $0.dataRows == 200 && ($0.sessions[id]?.sealed[.data]?.count ?? 0) >= 2 }
            let summary = try await bench.recorder.stop()
            #expect(summary.end.streams["data"]?.rows == 200)
            #expect(await bench.store.sessions[id]?.sealed[.data]?.reduce(0, +) == 200)
        }
    }

    @Test("a chunk is sealed at its age, also when no row comes any more")
    func sealByAge() throws {
        let options = RecorderBench.options { $0.sealPolicy = SealPolicy(interval: .seconds(1)) }
        try RecorderBench.run(options) { bench in
            await bench.give(1...3)
            await bench.store.wait { $0.dataRows == 3 }
            bench.advance(realtime: 1_000_000_000, boottime: 1_000_000_000)
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { $0.sessions[id]?.sealed[.data] == [3] && $0.sessions[id]?.sealed[.raw] == [3] }
        }
    }

    @Test("a clock that is set is a fact; one that is slewed is none")
    func clockStep() throws {
        try RecorderBench.run { bench in
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            bench.advance(realtime: 1_000_500_000, boottime: 1_000_000_000)
            await bench.give(2...2)
            await bench.store.wait { $0.dataRows == 2 }
            bench.advance(realtime: -3_000_000_000, boottime: 1_000_000_000)
            await bench.give(3...3)
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { !$0.facts(id).isEmpty }
            guard case .clock(let step) = await bench.store.facts(id).first else {
                return #expect(Bool(false), "a step")
            }
            #expect(step.size.value == -4_000_000_000)
            #expect(await bench.store.facts(id).count == 1)
        }
    }

    @Test("gaps, configurations and markers become facts of the session")
    func facts() throws {
        try RecorderBench.run { bench in
            await bench.give(1...4)
            await bench.store.wait { $0.dataRows == 4 }
            let later = ClockReading(
                realtime: RecorderBench.start.realtime + 9, boottime: 5_000_000_009, bootID: RecorderBench.boot)
            await bench.source.give([
                .gapBegan(reason: "unplugged", from: RecorderBench.start),
                .gapEnded(reason: "unplugged", from: RecorderBench.start, to: later),
                .configuration(ConfigurationChange(changed: [:], dump: .string("x")), at: later),
                .overflow(lines: 3, rows: 2, from: RecorderBench.start, to: later),
            ])
            let id = try #require(await bench.store.order.first)
            await bench.store.wait { $0.facts(id).count == 4 }
            _ = try await bench.recorder.mark(id: "m1", type: "START", text: "in the water")
            let from = ClockPair(RecorderBench.start)
            #expect(
                await bench.store.facts(id) == [
                    .gap(Gap(reason: "unplugged", from: from, to: nil)),
                    .gap(Gap(reason: "unplugged", from: from, to: ClockPair(later))),
                    .config(ConfigurationChange(changed: [:], dump: .string("x"))),
                    .gap(Gap(reason: "overflow", from: from, to: ClockPair(later), rowsLost: 2)),
                    .marker(Marker(id: "m1", type: "START", text: "in the water", row: 4)),
                ])
        }
    }

    @Test("with a commit interval of nothing each row is a commit, and those that come during one are the next")
    func eachRow() throws {
        try RecorderBench.run { bench in
            for number in 1...5 {
                await bench.give(number...number)
                await bench.store.wait { $0.dataRows == Int64(number) }
            }
            #expect(await bench.store.commits.count == 5)
            await bench.store.hold()
            await bench.give(6...6)
            // They come one by one while the disk works on the sixth.
            await bench.store.waitHeld()
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            for number in 7...9 {
                await bench.give(number...number)
                while await bench.recorder.readingCount() < number { _ = await bells.next() }
            }
            await bench.store.release()
            await bench.store.wait { $0.dataRows == 9 }
            let rows = await bench.store.commits.map { $0.first { $0.stream == .data }?.rows }
            #expect(rows == [1, 1, 1, 1, 1, 1, 3])
        }
    }

    @Test("an orderly stop commits and seals what came, and ends no session")
    func orderlyStop() throws {
        let store = MemoryStore()
        try RecorderBench.run(RecorderBench.options { $0.commitInterval = .seconds(10) }, store: store) { bench in
            var bells = await bench.recorder.readingBell().makeAsyncIterator()
            // The first waits for nobody, those behind it share the next commit.
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            await bench.give(2...9)
            while await bench.recorder.readingCount() < 9 { _ = await bells.next() }
            #expect(await bench.store.dataRows == 1)
        }
        try EventLoop.once { _ in
            let id = try #require(await store.order.first)
            #expect(await store.sessions[id]?.sealed[.data] == [9])
            #expect(await store.end(id) == nil)
        }
    }

    @Test("a start whose session cannot be opened says why, and the wish is as before")
    func failingStart() throws {
        try RecorderBench.run(RecorderBench.options { $0.recordsByItself = false }) { bench in
            await bench.store.fail(.outOfSpace(path: "/data"))
            await #expect(throws: RecorderError.store(.outOfSpace(path: "/data"))) {
                _ = try await bench.recorder.start()
            }
            await bench.store.fail(nil)
            #expect(await bench.recorder.status().running == nil)
            _ = try await bench.recorder.start()
        }
    }

    @Test("the chunk interval that was asked for is the session's, also after a restart")
    func chunkInterval() throws {
        try RecorderBench.run { bench in
            var request = RecordingRequest()
            request.chunkInterval = .seconds(7)
            let running = try await bench.recorder.start(request)
            #expect(running.sealPolicy.interval == .seconds(7))
            #expect(running.opening.metadata["chunk_interval_s"] == .number(7))
        }
    }
}
