import Foundation
import Model
import Reactor
import Storage
import Testing

@testable import Recording

@Suite(.serialized, .timeLimit(.minutes(1))) struct FreeRunTests {
    @Test("a sensor that free-runs is recorded as it is, without a byte written to it")
    func freeRun() throws {
        try Bench.run(store: MemoryStore()) { bench in
            await bench.store.wait { $0.dataRows >= 20 }
            let session = try #require(await bench.store.order.first)
            let lines = await bench.store.lines(session, .data)
            let sent = await bench.simulator.wire.samples
            let values = lines.map { $0.split(separator: ",", omittingEmptySubsequences: false) }
            #expect(values.map { $0[3...].joined(separator: ", ") } == Array(sent.prefix(lines.count)))
            #expect(values.allSatisfy { $0.count == 6 && $0[1] == "sim" && $0[2] == "freerun" })
            #expect(values.allSatisfy { $0[0].hasSuffix("+00:00") && $0[0].count == 32 })
            #expect(await bench.driver.status().state == .freerun)
        }
    }

    @Test("an adapter that is pulled out and put back: same session, a gap with both ends, rows go on")
    func unplug() throws {
        try Bench.run(store: MemoryStore()) { bench in
            await bench.rows(10)
            await bench.simulator.unplug(for: .milliseconds(60))
            let before = await bench.recorder.readingCount()
            await bench.rows(before + 10)
            let id = try #require(await bench.store.order.first)
            await bench.store.wait {
                $0.facts(id).contains { if case .gap(let gap) = $0 { gap.to != nil } else { false } }
            }
            let gaps = await bench.store.facts(id).compactMap { if case .gap(let gap) = $0 { gap } else { nil } }
            #expect(gaps.map(\.reason) == ["unplugged", "unplugged"])
            #expect(gaps.first?.to == nil && gaps.first?.from == gaps.last?.from)
            #expect(await bench.store.order == [id])
        }
    }

    @Test("a sensor is set up on its line, and its dump is a fact of the session")
    func configure() throws {
        try Bench.run(store: MemoryStore()) { bench in
            await bench.rows(5)
            let settings = try QSeriesSettings(averaging: 250, rate: 250)
            let configuration = try await bench.driver.configure(settings)
            #expect(configuration.averaging == 250 && configuration.rate == 250)
            let before = await bench.recorder.readingCount()
            await bench.rows(before + 3)
            let id = try #require(await bench.store.order.first)
            await bench.store.wait {
                $0.facts(id).contains { if case .config(let change) = $0 { !change.changed.isEmpty } else { false } }
            }
            #expect(await bench.simulator.setup().averaging == 250)
        }
    }

    @Test("another port is used when asked for, and none when let go")
    func connect() throws {
        try Bench.run(store: MemoryStore()) { bench in
            await bench.rows(3)
            await bench.driver.disconnect()
            #expect(await bench.driver.status().state == .disconnected)
            await #expect(throws: SerialLineError.absent(path: "/dev/nowhere")) {
                try await bench.driver.connect(.path("/dev/nowhere"))
            }
            let other = QSeriesSimulator(
                {
                    var options = QSeriesSimulator.Options(); options.speed = 100; return options
                }(), on: bench.loop)
            try await bench.driver.connect(.path(try await other.open()))
            let before = await bench.recorder.readingCount()
            await bench.rows(before + 3)
            await other.close()
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct EndToEndTests {
    /// Records on a real data directory, then reads the sealed chunks.
    private func record(
        _ setup: BenchSetup, _ body: @escaping @Sendable (Bench<Store>) async throws -> Void
    ) throws -> (data: [String], raw: [String]) {
        let path = FileManager.default.temporaryDirectory.appending(path: "recording-\(UUID())").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        return try EventLoop.once { loop in
            let store = try await Store.open(
                path, node: NodeID(String(repeating: "a", count: 64))!, incarnation: .random(), lanes: lanes,
                log: .silent)
            try await Bench.run(setup, store: store, on: loop, body)
            let session = try #require(await store.openSessions().first)
            var lines: [StreamName: [String]] = [:]
            for chunk in try await store.chunks(of: session.id).sorted(by: { $0.fact.index < $1.fact.index }) {
                let file = try await store.openChunk(chunk.fact.sha256)
                let text = String(decoding: try file.read(count: Int(file.length), at: 0), as: UTF8.self)
                let rows = text.split(separator: "\n").map(String.init)
                lines[chunk.fact.stream, default: []] += chunk.fact.stream == .data ? rows.dropFirst() : rows[...]
                #expect(chunk.fact.rows == Int64(chunk.fact.stream == .data ? rows.count - 1 : rows.count))
            }
            try await store.close()
            return (lines[.data] ?? [], lines[.raw] ?? [])
        }
    }

    /// A data row as the sensor printed it.
    private static func printed(_ row: String) -> String {
        row.split(separator: ",", omittingEmptySubsequences: false)[3...].filter { !$0.isEmpty }.joined(separator: ", ")
    }

    private final class WireBox: Sendable { let log = Locked(QSeriesWireLog()) }

    @Test("at 100 times the speed with every fault on: each whole sample once and in order, no banner, no menu")
    func faults() throws {
        for seed: UInt64 in [3] {
            var setup = BenchSetup()
            // A sensor that never answers cannot be brought back from a prompt: that one has a test of its own.
            let kinds = Set(QSeriesFaults.Kind.allCases).subtracting([.neverAnswers])
            setup.faults = QSeriesFaults(kinds: kinds, probability: 0.12, seed: seed)
            setup.recorder.sealPolicy = SealPolicy(interval: .seconds(1), size: 8192)
            let box = WireBox()
            let last = Locked("")
            let (data, _) = try record(setup) { bench in
                await bench.rows(60)
                await bench.simulator.stopFaults()
                let count = await bench.recorder.readingCount()
                await bench.rows(count + 20)
                let sample = try #require(await bench.simulator.wire.samples.last)
                last.withLock { $0 = sample }
                await bench.row(sample)
                let log = await bench.simulator.wire
                box.log.withLock { $0 = log }
            }
            let log = box.log.withLock { $0 }
            let rows = data.map(Self.printed)
            let sample = last.withLock { $0 }
            let end = try #require(rows.lastIndex(of: sample))
            let comparison = WireComparison(rows: Array(rows[...end]), log: log, through: sample)
            #expect(comparison.missing.isEmpty, "seed \(seed)")
            #expect(comparison.strange.isEmpty, "seed \(seed)")
            #expect(rows.count >= 80)
        }
    }

    @Test("ten minutes at 100 times the speed: not a sample is missing, and the raw stream has every byte")
    func tenMinutes() throws {
        var setup = BenchSetup()
        setup.recorder.sealPolicy = SealPolicy(interval: .seconds(1))
        setup.recorder.commitInterval = .milliseconds(20)
        let box = WireBox()
        let (data, raw) = try record(setup) { bench in
            await bench.rows(575)
            let log = await bench.simulator.wire
            await bench.row(try #require(log.samples.last))
            box.log.withLock { $0 = log }
        }
        let log = box.log.withLock { $0 }
        let certain = log.entries.filter { $0.kind == .sample }.map(\.line)
        #expect(Array(data.map(Self.printed).prefix(certain.count)) == certain)
        let numbers = raw.compactMap { $0.split(separator: ",").first }.filter { !$0.contains("null") }
        #expect(
            numbers.prefix(certain.count)
                == (0..<certain.count).map { "{\"row\":\($0)" }[...].map { Substring($0) }[...])
        let lines = raw.compactMap { row in
            row.firstRange(of: "\"line\":\"").map { String(row[$0.upperBound...].dropLast(6)) }
        }
        let start = try #require(lines.firstIndex(of: certain[0]))
        #expect(Array(lines[start...].prefix(certain.count)) == certain)
    }
}
