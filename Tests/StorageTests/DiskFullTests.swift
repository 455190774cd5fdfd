import FoundationEssentials
import Glibc
import Model
import Reactor
import Testing

@testable import Storage

/// A store on a disk that has no room, which is a plan of faults here; on a real one in `ProcessTests`.
@Suite struct DiskFullTests {
    private let minFree = Limits.minFree.lowerBound
    private static let full = FaultPlan.Fault.fail(code: ENOSPC)
    /// What a disk without room refuses: taking away works.
    private static var fullDisk: FaultPlan {
        FaultPlan(full, at: 1, count: .max, names: ["write", "pwrite", "fallocate", "mkdirat"])
    }

    private func open(_ scratch: Scratch) async throws -> Store {
        try await Store.open(
            "\(scratch.path)/data", node: Scratch.author, incarnation: .random(), lanes: scratch.lanes,
            minFree: minFree, log: .silent)
    }

    private var gap: Fact.Body {
        .gap(Gap(reason: Gap.Reason.overflow, from: ClockPair(realtime: 1, boottime: 1), to: nil, rowsLost: 7))
    }

    private func reserveBytes(_ scratch: Scratch) -> Int64? {
        var status = stat()
        return stat("\(scratch.path)/data/reserve", &status) == 0 ? Int64(status.st_blocks) * 512 : nil
    }

    @Test("a store that keeps room takes its reserve of the disk for real, and one that does not leaves none")
    func reserve() async throws {
        let scratch = try Scratch()
        let store = try await open(scratch)
        #expect(try #require(reserveBytes(scratch)) >= Limits.reserveBytes)
        #expect(store.health.space?.reserve == .held && store.health.troubles.isEmpty)
        let other = try await scratch.open("other")
        #expect(other.health.space == nil && !scratch.names("other").contains("reserve"))
    }

    @Test("a fact that finds no room at any of its calls is written all the same, once, by the reserve")
    func paid() async throws {
        let scratch = try Scratch()
        let store = try await open(scratch)
        let session = try await store.startSession(opening)
        let counting = FaultPlan()
        try await FaultPlan.$current.withValue(counting) { _ = try await store.record(gap, in: session) }
        for call in 1...counting.callCount {
            let scratch = try Scratch()
            let store = try await open(scratch)
            let session = try await store.startSession(opening)
            try await FaultPlan.$current.withValue(FaultPlan(Self.full, at: call)) {
                _ = try await store.record(gap, in: session)
            }
            #expect(try await store.facts(after: 0, limit: 10).map(\.kind) == ["session", "gap"], "call \(call)")
            let health = store.health
            if health.counts[.diskFull] != nil {
                #expect(health.space?.level == .full && health.counts[.reserveUsed] == 1)
                #expect(reserveBytes(scratch) == nil)
            } else {
                #expect(health.counts[.logRenewed] == 1, "a failed sync is a new segment")
            }
            // Twice: the first look still knows of the refusal.
            await store.measureSpace()
            await store.measureSpace()
            #expect(store.health.troubles.isEmpty && reserveBytes(scratch) != nil, "it recovers by itself")
            _ = try await store.commit([batch(session, rows: ["1"])])
        }
    }

    @Test("rows never use the reserve, and a disk without room for them is as it was before")
    func unpaid() async throws {
        let scratch = try Scratch()
        let store = try await open(scratch)
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["0"])])
        let segments = scratch.names("data/wal")
        let long = String(repeating: "x", count: Limits.inlineCommitBytes)
        for _ in 0..<20 {
            for row in ["1", long] {
                await #expect(throws: StoreError.outOfSpace(path: store.path)) {
                    try await FaultPlan.$current.withValue(Self.fullDisk) {
                        _ = try await store.commit([batch(session, rows: [row])])
                    }
                }
            }
        }
        #expect(scratch.names("data/wal") == segments, "a refusal leaves no segment behind")
        #expect(store.health.space?.level == .full && store.health.space?.reserve == .held)
        #expect(store.health.counts[.diskFull] == 1 && store.health.troubles.count == 1)
        _ = try await store.commit([batch(session, rows: ["1"])])
        _ = try await store.seal(session)
        #expect(try await store.rows(session) == ["0", "1"])
    }

    @Test("a session ends on a full disk: its chunk is sealed and its end is written, by the reserve")
    func ends() async throws {
        let scratch = try Scratch()
        let store = try await open(scratch)
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["0", "1"])])
        // The first call of each kind finds no room, which is what the reserve is for.
        let end = try await FaultPlan.$current.withValue(FaultPlan(Self.full, at: 1)) {
            try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        }
        #expect(end.streams["data"]?.rows == 2)
        #expect(try await store.rows(session) == ["0", "1"])
    }

    @Test("nothing is taken from peers and no session begins while the disk is full")
    func refuses() async throws {
        let scratch = try Scratch()
        let store = try await open(scratch)
        let session = try await store.startSession(opening)
        await #expect(throws: StoreError.self) {
            try await FaultPlan.$current.withValue(Self.fullDisk) {
                _ = try await store.commit([batch(session, rows: ["0"])])
            }
        }
        await #expect(throws: StoreError.outOfSpace(path: store.path)) { _ = try await store.receive([[1]]) }
        await store.measureSpace()
        await store.measureSpace()
        #expect(try await store.receive([[1]]).refused == 1)
    }

    @Test("a start on a full disk comes up on the room of the reserve")
    func starts() async throws {
        let scratch = try Scratch()
        try await open(scratch).close()
        // Some of the first calls find no room; with the reserve gone, there is some.
        for call in [8, 12, 16, 20] {
            let store = try await FaultPlan.$current.withValue(FaultPlan(Self.full, at: call)) {
                try await open(scratch)
            }
            #expect(store.health.space?.reserve == .held, "there is room again in truth")
            try await store.close()
        }
    }

    @Test("a failed sync of the write-ahead log is an incident, with its words and counted")
    func incident() async throws {
        let scratch = try Scratch()
        let store = try await open(scratch)
        let session = try await store.startSession(opening)
        _ = try await store.commit([batch(session, rows: ["0"])])
        let counting = FaultPlan()
        try await FaultPlan.$current.withValue(counting) { _ = try await store.commit([batch(session, rows: ["1"])]) }
        for call in 1...counting.callCount {
            try await FaultPlan.$current.withValue(FaultPlan(.fail(code: EIO), at: call)) {
                _ = try await store.commit([batch(session, rows: ["\(call + 1)"])])
            }
        }
        _ = try await store.commit([batch(session, rows: ["last"])])
        let health = store.health
        #expect(health.counts[.walRenewed] ?? 0 >= 2)
        #expect(health.latest.contains { $0.text.contains("Input/output error") })
        _ = try await store.seal(session)
        #expect(try await store.rows(session) == (0...(counting.callCount + 1)).map(String.init) + ["last"])
        #expect(store.health.counts[.chunkWrittenAnew] == 1, "its file refused a write")
    }

    @Test("incidents are counted all, and the last of them kept")
    func bounded() async throws {
        let incidents = StoreIncidents(log: .silent)
        var bells = incidents.changes().makeAsyncIterator()
        _ = await bells.next()
        for n in 1...100 { incidents.report(.damagedChunk, "chunk \(n)") }
        incidents.begin(.rows, .rowsWaiting, "they wait")
        incidents.begin(.rows, .rowsWaiting, "they wait still")
        _ = await bells.next()
        var health = incidents.health
        #expect(health.counts == [.damagedChunk: 100, .rowsWaiting: 1])
        #expect(health.latest.count == Limits.incidentsKept && health.latest.last?.text == "they wait")
        #expect(health.troubles == ["they wait"])
        incidents.end(.rows, .rowsTaken, "they do not")
        incidents.end(.rows, .rowsTaken, "they do not")
        health = incidents.health
        #expect(health.troubles.isEmpty && health.counts[.rowsTaken] == 1 && health.version == 102)
    }
}
