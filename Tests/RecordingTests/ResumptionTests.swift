import Model
import Testing

@testable import Recording
@testable import Storage

@Suite(.timeLimit(.minutes(1))) struct ResumptionTests {
    private static let boot = RecorderBench.boot
    private static let otherBoot = BootID(high: 9, low: 9)
    private static let now = RecorderBench.start
    private static let wish = RecordingWish(mission: "reef", explicit: true)

    private static func reading(secondsAgo: Int64, boot: BootID = boot) -> ClockReading {
        ClockReading(
            realtime: now.realtime - secondsAgo * 1_000_000_000, boottime: now.boottime - secondsAgo * 1_000_000_000,
            bootID: boot)
    }

    static func session(
        lastSecondsAgo: Int64, boot: BootID = boot, orderly: Bool = false, startedSecondsAgo: Int64 = 100_000,
        rows: Int64 = 40
    ) -> OpenSession {
        OpenSession(
            id: .random(),
            opening: SessionOpening(
                mission: "reef", streams: [RowWriter(format: .csv, isText: false).dataStream, RowWriter.rawStream],
                metadata: ["chunk_interval_s": .integer(5)], recordingID: UniqueID(high: 3, low: 4)),
            startedAt: reading(secondsAgo: startedSecondsAgo, boot: boot),
            lastActivity: reading(secondsAgo: lastSecondsAgo, boot: boot), stoppedOrderly: orderly,
            totals: [.data: SessionEnd.Totals(chunks: 2, rows: rows, bytes: 999)], openChunks: [])
    }

    @Test("within ten minutes and one boot, a session goes on with a gap")
    func goesOn() {
        let open = Self.session(lastSecondsAgo: 599)
        let gap = Gap(reason: "restart", from: ClockPair(open.lastActivity), to: ClockPair(Self.now))
        #expect(ResumptionPolicy.decide([open], wish: Self.wish, now: Self.now) == [.resume(open, gap: gap)])
    }

    @Test("after that, or another boot, it ends, and a session with the same purpose takes over while the wish is on")
    func takesOver() {
        for (open, reason) in [
            (Self.session(lastSecondsAgo: 600), "power_lost"),
            (Self.session(lastSecondsAgo: 600, orderly: true), "interrupted"),
            (Self.session(lastSecondsAgo: 1, boot: Self.otherBoot), "power_lost"),
            (Self.session(lastSecondsAgo: 1, boot: Self.otherBoot, orderly: true), "interrupted"),
        ] {
            #expect(
                ResumptionPolicy.decide([open], wish: Self.wish, now: Self.now)
                    == [.end(open.id, reason: reason), .replace(after: open, atOnce: true)])
        }
        let automatic = RecordingWish(mission: "reef", explicit: false)
        let open = Self.session(lastSecondsAgo: 600)
        #expect(
            ResumptionPolicy.decide([open], wish: automatic, now: Self.now).last == .replace(after: open, atOnce: false)
        )
    }

    @Test("a session whose wish was cleared was stopped, and one behind another gave way to it")
    func leftovers() {
        let older = Self.session(lastSecondsAgo: 3, startedSecondsAgo: 50)
        let newer = Self.session(lastSecondsAgo: 2, startedSecondsAgo: 10)
        #expect(ResumptionPolicy.decide([newer], wish: nil, now: Self.now) == [.end(newer.id, reason: "stopped")])
        let decisions = ResumptionPolicy.decide([newer, older], wish: Self.wish, now: Self.now)
        #expect(decisions.first == .end(older.id, reason: "superseded"))
        #expect(decisions.count == 2)
        #expect(ResumptionPolicy.decide([], wish: Self.wish, now: Self.now).isEmpty)
    }

    @Test("a resumed session goes on counting its rows, with its own chunk interval")
    func resumedRows() throws {
        let open = Self.session(lastSecondsAgo: 60)
        try RecorderBench.run(store: MemoryStore(wish: Self.wish, found: [open])) { bench in
            await bench.give(1...2)
            await bench.store.wait { $0.dataRows == 2 && !$0.facts(open.id).isEmpty }
            #expect(await bench.store.order == [open.id])
            #expect(await bench.store.lines(open.id, .raw).first?.hasPrefix("{\"row\":40,") == true)
            let running = try #require(await bench.recorder.status().running)
            #expect(running.isExplicit && running.rows == 42)
            #expect(running.sealPolicy.interval == .seconds(5))
            guard case .gap(let gap) = await bench.store.facts(open.id).first else {
                return #expect(Bool(false), "a gap")
            }
            #expect(gap.reason == "restart")
        }
    }

    @Test("a session that lost its power ends, and the next has its mission, its recording and its name")
    func afterPowerLoss() throws {
        let open = Self.session(lastSecondsAgo: 1, boot: Self.otherBoot)
        try RecorderBench.run(store: MemoryStore(wish: Self.wish, found: [open])) { bench in
            await bench.store.wait { $0.end(open.id) != nil && $0.order.count == 2 }
            #expect(await bench.store.end(open.id)?.reason == "power_lost")
            let running = try #require(await bench.recorder.status().running)
            #expect(running.opening.continues == open.id)
            #expect(running.opening.mission == "reef")
            #expect(running.opening.recordingID == UniqueID(high: 3, low: 4))
        }
    }

    @Test("an automatic session is taken over with the first row, by an automatic one")
    func automaticAfterPowerLoss() throws {
        let open = Self.session(lastSecondsAgo: 1, boot: Self.otherBoot)
        let wish = RecordingWish(mission: "reef", explicit: false)
        let options = RecorderBench.options { $0.recordsByItself = false }
        try RecorderBench.run(options, store: MemoryStore(wish: wish, found: [open])) { bench in
            await bench.store.wait { $0.end(open.id) != nil }
            #expect(await bench.store.order == [open.id])
            await bench.give(1...1)
            await bench.store.wait { $0.dataRows == 1 }
            let running = try #require(await bench.recorder.status().running)
            #expect(running.opening.continues == open.id && !running.isExplicit)
        }
    }
}

@Suite struct PolicyTests {
    @Test("a chunk is due at its size or at its age, whichever comes first, within the limits")
    func seal() {
        let start = ClockPair(RecorderBench.start)
        func chunk(rows: Int64, bytes: Int64) -> OpenChunkState {
            OpenChunkState(stream: .data, index: 0, bytes: bytes, rows: rows, first: start)
        }
        func at(_ seconds: Double) -> ClockReading {
            let start = RecorderBench.start
            // The wall clock does not count.
            return ClockReading(
                realtime: 0, boottime: start.boottime + Int64(seconds * 1e9), bootID: RecorderBench.boot)
        }
        let policy = SealPolicy(interval: .seconds(60), size: 5000)
        #expect(!policy.isDue(chunk(rows: 1, bytes: 4999), at: at(59.9)))
        #expect(policy.isDue(chunk(rows: 1, bytes: 5000), at: at(0)))
        #expect(policy.isDue(chunk(rows: 1, bytes: 10), at: at(60)))
        #expect(!policy.isDue(chunk(rows: 0, bytes: 60), at: at(100)))
        #expect(policy.delay(until: [chunk(rows: 1, bytes: 10)], at: at(50)) == .seconds(10))
        #expect(policy.delay(until: [chunk(rows: 1, bytes: 10)], at: at(70)) == .zero)
        #expect(policy.delay(until: [chunk(rows: 0, bytes: 10)], at: at(70)) == nil)
        let extreme = SealPolicy(interval: .milliseconds(1), size: 1)
        #expect(extreme.interval == .seconds(1) && extreme.size == 1024)
        #expect(SealPolicy(interval: .seconds(1 << 40), size: .max).interval == .seconds(3600))
    }

    @Test("a jump of 10 ms between the clocks is a step, another boot is none")
    func steps() {
        func reading(_ realtime: Int64, _ boottime: Int64, _ boot: BootID = RecorderBench.boot) -> ClockReading {
            ClockReading(realtime: realtime, boottime: boottime, bootID: boot)
        }
        var detector = ClockStepDetector()
        #expect(detector.look(reading(1000, 0)) == nil)
        #expect(detector.look(reading(1000 + 1_009_999_999, 1_000_000_000)) == nil)
        #expect(detector.look(reading(1000 + 2_019_999_999, 2_000_000_000))?.size.value == 10_000_000)
        #expect(detector.look(reading(1000 + 2_009_999_999, 2_000_000_000))?.size.value == -10_000_000)
        #expect(detector.look(reading(0, 5, BootID(high: 7, low: 7))) == nil)
    }

    @Test("a queue that is full drops lines, counts them, and goes on once it was taken")
    func eventQueue() {
        var queue = InstrumentEventQueue(eventLimit: 10, byteLimit: 1 << 20)
        for number in 1...25 { queue.append(RecorderBench.sample(number)) }
        queue.append(.disconnected(reason: "x", at: RecorderBench.start))
        let taken = queue.take()
        #expect(taken.count == 12)
        #expect(taken.last == .overflow(lines: 15, rows: 15, from: RecorderBench.start, to: RecorderBench.start))
        #expect(queue.isEmpty)
        queue.append(RecorderBench.sample(26))
        #expect(queue.take() == [RecorderBench.sample(26)])
    }
}

@Suite struct RowWriterTests {
    private func row(_ text: String, _ format: StreamDescription.Format, id: String = "S1") -> String {
        let sample = try? QSeriesLineParser.parse(Array(text.utf8)[...])
        let line = ReceivedLine(
            bytes: Array(text.utf8), at: RecorderBench.start, content: sample.map { .sample($0) } ?? .rejected(.number))
        var bytes: [UInt8] = []
        RowWriter(format: format, isText: false).appendRow(line, RowWriter.Stamp(line.at), sensorID: id, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("numbers keep the sensor's digits, and are numbers in JSON")
    func digits() {
        #expect(row("25.60, 25.10, 7.500", .csv).hasSuffix("+00:00,S1,freerun,25.60,25.10,7.500\n"))
        #expect(row(".013016", .csv).hasSuffix(",S1,freerun,.013016,,\n"))
        #expect(
            row(".013016, 16.06", .jsonl).hasSuffix(
                "\"sensor_id\":\"S1\",\"mode\":\"freerun\",\"value\":0.013016,\"TempC\":16.06,\"Vin\":null}\n"))
        #expect(
            row("A,-.5, 7.494", .jsonl).contains("\"mode\":\"polled\",\"value\":-0.5,\"TempC\":null,\"Vin\":7.494}"))
        #expect(row("nonsense", .csv).isEmpty)
    }

    @Test("a sensor's id is quoted where it has to be")
    func quoting() {
        #expect(row("0.5", .csv, id: "a,b").contains(",\"a,b\",freerun"))
        #expect(row("0.5", .csv, id: "a\"b\n").contains(",\"a\"\"b\n\",freerun"))
        #expect(row("0.5", .jsonl, id: "a\"\\\n\u{1}é").contains("\"sensor_id\":\"a\\\"\\\\\\n\\u0001é\","))
    }

    @Test("a line that is no UTF-8 is kept whole in base64")
    func bytes() {
        for count in 0...7 {
            let bytes = Array([0xff, 0x00, 0x41, 0xfe, 0x0d, 0x0a, 0x80].prefix(count) as ArraySlice<UInt8>)
            let line = ReceivedLine(bytes: bytes, at: RecorderBench.start, content: .rejected(.garbage))
            var row: [UInt8] = []
            RowWriter.appendRaw(line, RowWriter.Stamp(line.at), row: nil, to: &row)
            let text = String(decoding: row, as: UTF8.self)
            #expect(text.contains(count == 0 ? "\"line\":\"\"}" : "\"line_base64\":\"\(Self.base64[count])\"}"))
        }
    }

    private static let base64 = ["", "/w==", "/wA=", "/wBB", "/wBB/g==", "/wBB/g0=", "/wBB/g0K", "/wBB/g0KgA=="]

    @Test("the header is what clients expect")
    func header() {
        let stream = RowWriter(format: .csv, isText: false).dataStream
        #expect(String(decoding: stream.preamble, as: UTF8.self) == "timestamp,sensor_id,mode,value,TempC,Vin\n")
        #expect(RowWriter(format: .jsonl, isText: false).dataStream.preamble.isEmpty)
    }

    @Test("a line that is not understood is a row of its text")
    func text() {
        let line = ReceivedLine(
            bytes: Array("$GPGGA,1,\"x\"\r\n".utf8), at: RecorderBench.start, content: .text)
        var csv: [UInt8] = []
        RowWriter(format: .csv, isText: true).appendRow(line, RowWriter.Stamp(line.at), sensorID: "gps", to: &csv)
        #expect(String(decoding: csv, as: UTF8.self).hasSuffix("+00:00,gps,\"$GPGGA,1,\"\"x\"\"\"\n"))
        var json: [UInt8] = []
        RowWriter(format: .jsonl, isText: true).appendRow(line, RowWriter.Stamp(line.at), sensorID: "gps", to: &json)
        #expect(
            String(decoding: json, as: UTF8.self).hasSuffix("\"source_id\":\"gps\",\"line\":\"$GPGGA,1,\\\"x\\\"\"}\n"))
    }
}
