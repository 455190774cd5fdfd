import Foundation
import Gateway
import Model
import Reactor
import Testing

@testable import Recording

/// A vehicle that records its sensor while something else is the matter.
@Suite(.serialized, .timeLimit(.minutes(3))) struct RecordingUnderLoadTests {
    /// A vehicle with a sensor without faults, and a topside that mirrors it.
    struct Bench: Sendable {
        let pair: DamageTests.Pair
        let sensor: QSeriesSimulator
        let loop: EventLoop

        init(_ scratch: Scratch, seeded chunks: Int, bytes: Int) async throws {
            var options = QSeriesSimulator.Options()
            options.device.signal = .ramp
            options.speed = 40
            options.link = "\(scratch.path)/tty"
            sensor = QSeriesSimulator(options, on: scratch.loop)
            loop = scratch.loop
            let port = try await sensor.open()
            pair = try await DamageTests.Pair(
                scratch, chunks: chunks, bytes: bytes,
                vehicle: [
                    "--serial", "\(port)@9600", "--sensor-id", "wet", "--record", "on", "--chunk-interval", "1s",
                    "--commit-interval", "50ms",
                ])
        }

        func rows(_ count: Int64, more: Bool = true) async throws {
            let start = more ? try await pair.vehicle.wait("it records") { $0.recording?.rows } : 0
            _ = try await pair.vehicle.wait("\(count) rows") { ($0.recording?.rows ?? 0) >= start + count ? true : nil }
        }

        /// Ends all; the findings of what was recorded.
        func end(kills: [MonotonicTime] = []) async throws -> [String] {
            await sensor.strike(.silence)
            let deadline = SystemClock.monotonic().advanced(by: .seconds(30))
            while await sensor.faultCounts[.silence] == nil, SystemClock.monotonic() < deadline {
                try await loop.sleep(for: .milliseconds(20))
            }
            try await pair.vehicle.waitForQuiet()
            #expect(try await pair.vehicle.verb(["record", "stop"]) == 0)
            let lost = try await pair.vehicle.wait("it answers") { $0.recording?.rowsLost }
            #expect(lost == 0)
            try await pair.endEqual()
            await sensor.close()
            let store = try StoredNode(pair.topside.data)
            let session = try #require(store.sessions(ofSensor: "wet").first)
            let audit = WireAudit(
                wire: await sensor.wire.entries, kills: kills, durableAfter: .seconds(2), unpluggings: 0)
            return try audit.check(store, session, sensor: "wet").findings
        }
    }

    @Test("a backlog of large chunks is pulled while recording goes on, and not a row is lost or late")
    func backlog() throws {
        let megabytes = ProcessInfo.processInfo.environment["SOAK_MEGABYTES"].flatMap { Int($0) } ?? 40
        try Scratch.run { scratch in
            let bench = try await Bench(scratch, seeded: megabytes, bytes: 1_000_000)
            try await bench.pair.vehicle.start()
            try await bench.rows(20)
            try await bench.pair.topside.start()
            let start = SystemClock.monotonic()
            _ = try await bench.pair.topside.wait("the backlog is here") {
                $0.store.chunkBytes >= Int64(megabytes) * 999_000 ? true : nil
            }
            print("\(megabytes) MB in \(start.duration(to: SystemClock.monotonic()).inSeconds) s")
            try await bench.rows(20)
            let findings = try await bench.end()
            #expect(findings.isEmpty, "\(findings.prefix(20).joined(separator: "\n"))")
        }
    }

    @Test("a torn write-ahead log costs its torn commit: what stands before it is sealed, and recording goes on")
    func tornWriteAheadLog() throws {
        try Scratch.run { scratch in
            let bench = try await Bench(scratch, seeded: 1, bytes: 1000)
            try await bench.pair.vehicle.start()
            try await bench.pair.topside.start()
            var kills: [MonotonicTime] = []
            for count in [1, 70, 700] {
                try await bench.rows(60)
                kills.append(SystemClock.monotonic())
                try await bench.pair.vehicle.kill()
                try DamageTests.cut(UInt64(count), from: "\(bench.pair.vehicle.data)/wal")
                try await bench.pair.vehicle.start()
            }
            try await bench.rows(60)
            let findings = try await bench.end(kills: kills)
            #expect(findings.isEmpty, "\(findings.prefix(20).joined(separator: "\n"))")
        }
    }

    /// A stopped process answers nothing and its sockets stay open. Takes half a minute, so it runs when asked for.
    @Test(
        "a vehicle that stands still is noticed, and goes on where it was",
        .enabled(if: ProcessInfo.processInfo.environment["SOAK_LONG"] != nil))
    func standstill() throws {
        try Scratch.run { scratch in
            let bench = try await Bench(scratch, seeded: 1, bytes: 1000)
            try await bench.pair.vehicle.start()
            try await bench.pair.topside.start()
            try await bench.rows(60)
            await bench.pair.vehicle.process.signal(SIGSTOP)
            let stopped = SystemClock.monotonic()
            let state = try await bench.pair.topside.wait("it notices", within: .seconds(30)) { status -> String? in
                guard let peer = status.peers.first, peer.state != "live" else { return nil }
                return "\(peer.state) \(peer.lastError ?? "")"
            }
            print("noticed after \(stopped.duration(to: SystemClock.monotonic()).inSeconds) s: \(state)")
            try await scratch.loop.sleep(until: stopped.advanced(by: .seconds(20)))
            await bench.pair.vehicle.process.signal(SIGCONT)
            let woken = SystemClock.monotonic()
            _ = try await bench.pair.topside.wait("it is back") { $0.peers.first?.state == "live" ? true : nil }
            print("back after \(woken.duration(to: SystemClock.monotonic()).inSeconds) s")
            try await bench.rows(60)
            // The tty's buffer holds 4 KB of what came meanwhile.
            let findings = try await bench.end(kills: [stopped.advanced(by: .seconds(20))])
            for finding in findings { print(finding) }
        }
    }
}
