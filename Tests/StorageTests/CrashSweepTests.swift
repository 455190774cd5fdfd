import FoundationEssentials
import Glibc
import Model
import Reactor
import Testing

@testable import Storage

/// The store's work, with a note outside of it of every row and chunk that was acknowledged.
private struct Workload {
    let path: String
    private static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)
    static let session = SessionID("550e8400-e29b-41d4-a716-446655440000")!
    static let foreign = Array("pulled,from\na,peer\n".utf8)
    static let foreignSession = SessionID("550e8400-e29b-41d4-a716-446655440001")!

    private func acknowledge(_ text: String) throws {
        let descriptor = open(path + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        let line = Array((text + "\n").utf8)
        precondition(write(descriptor, line, line.count) == line.count)
        close(descriptor)
    }

    static var foreignFacts: [[UInt8]] {
        let pair = ClockPair(realtime: 1, boottime: 1)
        let incarnation = Incarnation(word: 7)
        let at = ClockReading(realtime: 1, boottime: 1, bootID: BootID(high: 1, low: 1))
        let chunk = ChunkFact(
            stream: .data, index: 0, sha256: ChunkDigester.digest(of: foreign), bytes: Int64(foreign.count), rows: 1,
            firstRow: 0, first: pair, last: pair)
        let bodies: [Fact.Body] = [.session(opening), .chunk(chunk)]
        return bodies.enumerated().map { n, body in
            RecordedFact(
                encoding: Fact(
                    name: FactName(author: other, incarnation: incarnation, n: Int64(n + 1)), session: foreignSession,
                    at: at, body: body)
            ).bytes
        }
    }

    /// Makes a step again while it fails, as the recorder does; its limit is far beyond what the plan fails. Between
    /// the attempts the node has looked how much room there is.
    private func attempt<Result>(
        _ times: Int, _ store: Store, _ step: () async throws -> Result
    ) async throws -> Result {
        for _ in 1..<max(1, times) {
            do { return try await step() } catch is StoreError { await store.measureSpace() }
        }
        return try await step()
    }

    var hasBegun: Bool { FileManager.default.fileExists(atPath: path + "/acknowledged") }

    /// With `attempts` each step behind the first is made up to so often.
    func run(attempts: Int = 1) async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: Scratch.author, incarnation: .random(), lanes: lanes,
            minFree: Limits.minFree.lowerBound, log: .silent)
        let session = try await store.startSession(opening, id: Self.session)
        try acknowledge("session")
        var row = 0
        func commit(_ size: Int) async throws {
            row += 1
            let text = "\(row)-" + String(repeating: "x", count: size)
            let batches = [batch(session, rows: [text]), batch(session, .raw, rows: ["r\(row)"])]
            _ = try await attempt(attempts, store) { try await store.commit(batches) }
            try acknowledge("row \(text)")
        }
        func seal() async throws {
            for chunk in try await attempt(attempts, store, { try await store.seal(session) }) {
                try acknowledge("chunk \(chunk.fact.sha256)")
            }
        }
        try await commit(1)
        try await commit(2)
        try await seal()
        try await commit(Limits.inlineCommitBytes + 1)
        try await commit(3)
        _ = try await attempt(attempts, store) { try await store.receive(Self.foreignFacts) }
        if let wanted = try await store.wanted(mission: nil, limit: 1, excluding: []).first {
            _ = try await attempt(attempts, store) { try await store.admit([(wanted, Self.foreign)])[0].get() }
            try acknowledge("chunk \(wanted.fact.sha256)")
        }
        try await seal()
        try await commit(4)
        await store.refreshView()
        _ = try await attempt(attempts, store) {
            try await store.endSession(session, reason: SessionEnd.Reason.stopped)
        }
        try acknowledge("end")
        try await attempt(attempts, store) { try await store.close() }
    }

    /// What was acknowledged is there, nothing is torn, every file's name is its digest, and work goes on.
    func check() async throws {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let store = try await Store.open(
            path + "/data", node: Scratch.author, incarnation: .random(), lanes: lanes, log: .silent)
        let text = FileManager.default.contents(atPath: path + "/acknowledged").map {
            String(decoding: $0, as: UTF8.self)
        }
        let acknowledged = (text ?? "").split(separator: "\n").map(String.init)
        let known = Set(try await store.sessions().map(\.id))
        if acknowledged.contains("session") { #expect(known.contains(Self.session)) }
        let rows = known.contains(Self.session) ? try await store.rows(Self.session) : []
        let expected = acknowledged.filter { $0.hasPrefix("row ") }.map { String($0.dropFirst(4)) }
        #expect(Array(rows.prefix(expected.count)) == expected, "rows that were acknowledged are missing or torn")
        #expect(rows.count <= expected.count + 1, "rows appeared that nobody wrote")
        let raw = known.contains(Self.session) ? try await store.rows(Self.session, .raw) : []
        #expect(raw == rows.indices.map { "r\($0 + 1)" }, "a commit of two streams was cut in half")
        for line in acknowledged where line.hasPrefix("chunk ") {
            let id = try #require(ChunkID(line.dropFirst(6)))
            #expect(ChunkDigester.digest(of: try await store.contents(id)) == id)
        }
        let files = try FileManager.default.subpathsOfDirectory(atPath: path + "/data/chunks").filter { $0.count > 2 }
        for file in files {
            let bytes = try #require(FileManager.default.contents(atPath: path + "/data/chunks/" + file))
            #expect(file.hasSuffix("/\(ChunkDigester.digest(of: Array(bytes)))"))
        }
        // The ranges say exactly what the log has.
        let facts = try await store.facts(after: 0, limit: 1000)
        #expect(try await store.holdings().holdings.count == Int64(facts.count))
        // Work goes on where it stopped.
        if let open = await store.openSessions().first {
            _ = try await store.commit([batch(open.id, rows: ["more"])])
            let end = try await store.endSession(open.id, reason: SessionEnd.Reason.stopped)
            #expect(try await store.rows(open.id).last == "more")
            #expect(end.streams["data"]?.rows == Int64(rows.count + 1))
            #expect(try await store.session(open.id).isComplete)
        }
        try await store.close()
    }
}

/// Lets so many cases of the sweep work at once: each has a store's files and threads.
private actor Turnstile {
    static let shared = Turnstile(places: 24)
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(places: Int) { free = places }

    func pass(_ body: @Sendable () async throws -> Void) async throws {
        if free > 0 { free -= 1 } else { await withCheckedContinuation { waiting.append($0) } }
        defer { if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() } }
        try await body()
    }
}

/// Dies once in every system call of the store's work; fails each once; and fails for a while and goes on.
@Suite struct CrashSweepTests {
    private static let calls: Int = {
        let path = NSTemporaryPath.make("qnode-count")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let plan = FaultPlan()
        let done = DispatchlessFlag()
        Task {
            try await FaultPlan.$current.withValue(plan) { try await Workload(path: path).run() }
            done.set()
        }
        done.wait()
        return plan.callCount
    }()

    @Test("whatever call it dies in, what was acknowledged is there", arguments: 1...calls)
    func dies(at call: Int) async throws {
        try await Turnstile.shared.pass {
            let path = NSTemporaryPath.make("qnode-crash")
            defer { try? FileManager.default.removeItem(atPath: path) }
            await #expect(processExitsWith: .signal(SIGKILL)) { [call = call as Int, path = path as String] in
                try await FaultPlan.$current.withValue(FaultPlan(.kill, at: call)) {
                    try await Workload(path: path).run()
                }
            }
            try await Workload(path: path).check()
        }
    }

    @Test("one call that fails is an error or is overcome, and what was acknowledged is there", arguments: 1...calls)
    func fails(at call: Int) async throws {
        try await Turnstile.shared.pass {
            for fault in [EIO, ENOSPC, EINTR].map({ FaultPlan.Fault.fail(code: $0) }) + [.short] {
                let path = NSTemporaryPath.make("qnode-fault")
                defer { try? FileManager.default.removeItem(atPath: path) }
                do {
                    try await FaultPlan.$current.withValue(FaultPlan(fault, at: call)) {
                        try await Workload(path: path).run()
                    }
                } catch is StoreError {
                    switch fault {
                    case .fail(EINTR): Issue.record("an interrupted call is made again")
                    case .short: Issue.record("a write that was cut short goes on")
                    case .fail, .kill: break
                    }
                }
                try await Workload(path: path).check()
            }
        }
    }

    @Test(
        "a disk that fails for a while and then works again costs nothing that was acknowledged, in the same process",
        arguments: stride(from: 1, through: calls, by: 3).map { $0 })
    func recovers(from call: Int) async throws {
        try await Turnstile.shared.pass {
            for code in [EIO, ENOSPC] {
                let path = NSTemporaryPath.make("qnode-episode")
                defer { try? FileManager.default.removeItem(atPath: path) }
                let plan = FaultPlan(.fail(code: code), at: call, count: 6)
                do {
                    try await FaultPlan.$current.withValue(plan) { try await Workload(path: path).run(attempts: 12) }
                } catch let error as StoreError {
                    // Opening and beginning are not repeated: a node that cannot start says so and ends.
                    #expect(!Workload(path: path).hasBegun, "\(error)")
                }
                try await Workload(path: path).check()
            }
        }
    }
}

/// Lets a synchronous initializer wait for a task.
private final class DispatchlessFlag: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    init() { sem_init(semaphore, 0, 0) }
    func set() { sem_post(semaphore) }
    func wait() { sem_wait(semaphore) }
}
