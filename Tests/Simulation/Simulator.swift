import Model
import Reactor

/// One thread, many lanes and a clock of its own: which lane does its next job, and everything else that could be
/// otherwise, follows from the seed. Time passes only when no job is left.
final class Simulator: @unchecked Sendable {
    /// A queue of jobs that one thread of a real node would do.
    final class Lane: @unchecked Sendable {
        fileprivate(set) var executor: DiskLane!
        fileprivate var pending = 0
        /// It does nothing before.
        var blockedUntil: Int64 = 0
        /// Told after each job, with this lane: what the job cost.
        var afterJob: ((Lane) -> Void)?
        fileprivate var isReady = false
        let number: Int
        fileprivate init(number: Int) { self.number = number }
    }

    /// Something that happens at its time.
    private struct Event {
        let at: Int64
        let number: Int
        let body: () -> Void
        func isBefore(_ other: Self) -> Bool { (at, number) < (other.at, other.number) }
    }

    var random: Seeded
    private(set) var now: Int64 = 1_000_000_000_000
    let trace: Trace
    private var lanes: [Lane] = []
    private var ready: [Lane] = []
    private var events: [Event] = []
    private var eventCount = 0
    private(set) var jobCount = 0
    private var jobsNow = 0
    /// The first thing that is wrong ends the run.
    private(set) var failure: String?

    /// Jobs without any time passing: beyond it something turns for ever.
    private static let jobsPerMoment = 500_000

    init(seed: UInt64, trace: Trace) {
        random = Seeded(state: seed &* 0x9E37_79B9_7F4A_7C15 ^ 0x5bf0_3635)
        self.trace = trace
    }

    func makeLane() -> Lane {
        let lane = Lane(number: lanes.count)
        lane.executor = DiskLane { [weak self, weak lane] _ in
            guard let self, let lane else { return }
            lane.pending += 1
            makeReady(lane)
        }
        lanes.append(lane)
        return lane
    }

    private func makeReady(_ lane: Lane) {
        guard !lane.isReady else { return }
        lane.isReady = true
        if lane.blockedUntil > now {
            at(lane.blockedUntil) { [self] in
                lane.isReady = false
                if lane.pending > 0 { makeReady(lane) }
            }
        } else {
            ready.append(lane)
        }
    }

    func fail(_ reason: String) {
        guard failure == nil else { return }
        failure = reason
        trace.note(now, "FAILED: \(reason)")
    }

    // MARK: Time

    func at(_ time: Int64, _ body: @escaping () -> Void) {
        eventCount += 1
        events.append(Event(at: max(time, now), number: eventCount, body: body))
        var child = events.count - 1
        while child > 0, events[child].isBefore(events[(child - 1) / 2]) {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    func after(_ delay: Duration, _ body: @escaping () -> Void) { at(now + max(0, delay.nanoseconds), body) }

    private func nextEvent() -> Event? {
        guard let first = events.first, let last = events.popLast() else { return nil }
        guard !events.isEmpty else { return first }
        events[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < events.count && events[child].isBefore(events[least]) { least = child }
            guard least != parent else { return first }
            events.swapAt(least, parent)
            parent = least
        }
    }

    /// Throws where the task is cancelled, at once.
    func sleep(_ duration: Duration) async throws(CancellationError) {
        let wait = Wait()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !wait.isOver else { return continuation.resume() }
                wait.continuation = continuation
                after(duration) { wait.end() }
            }
        } onCancel: {
            wait.end()
        }
        if Task.isCancelled { throw CancellationError() }
    }

    private final class Wait: @unchecked Sendable {
        var continuation: CheckedContinuation<Void, Never>?
        var isOver = false

        func end() {
            isOver = true
            let waiting = continuation
            continuation = nil
            waiting?.resume()
        }
    }

    // MARK: Running

    /// Until `isDone`, or nothing is left that could happen.
    func run(until isDone: () -> Bool) {
        while failure == nil, !isDone() {
            if ready.isEmpty {
                guard let event = nextEvent() else { return fail("everybody waits for something that never comes") }
                if event.at > now { jobsNow = 0 }
                now = event.at
                event.body()
            } else {
                runOne()
            }
        }
    }

    private func runOne() {
        let position = ready.count == 1 ? 0 : Int.random(in: 0..<ready.count, using: &random)
        let lane = ready[position]
        ready.swapAt(position, ready.count - 1)
        ready.removeLast()
        lane.isReady = false
        lane.pending -= 1
        jobCount += 1
        jobsNow += 1
        if jobsNow > Self.jobsPerMoment { fail("something turns without end") }
        trace.mix(UInt64(lane.number))
        lane.executor.runNext()
        lane.afterJob?(lane)
        if lane.pending > 0 { makeReady(lane) }
    }

    // MARK: Chance

    func chance(_ probability: Double) -> Bool {
        probability > 0 && Double.random(in: 0..<1, using: &random) < probability
    }
    func number(_ range: ClosedRange<Int>) -> Int { .random(in: range, using: &random) }
    func seconds(_ range: ClosedRange<Double>) -> Duration { .seconds(Double.random(in: range, using: &random)) }
    func pick<Element>(_ elements: [Element]) -> Element { elements[number(0...elements.count - 1)] }
}

/// SplitMix64: a seed can be run again.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// What happened, as a hash that tells two runs apart, and as lines where somebody wants to read them.
final class Trace: @unchecked Sendable {
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    let write: ((String) -> Void)?

    init(write: ((String) -> Void)? = nil) { self.write = write }

    func mix(_ word: UInt64) { hash = (hash ^ word) &* 0x0000_0100_0000_01b3 }

    func note(_ now: Int64, _ text: @autoclosure () -> String) {
        mix(UInt64(bitPattern: now))
        guard let write else { return }
        write("\(Self.time(now)) \(text())")
    }

    /// Told for people, and no part of the hash: log lines name paths.
    func remark(_ now: Int64, _ text: @autoclosure () -> String) { write?("\(Self.time(now))   \(text())") }

    private static func time(_ now: Int64) -> String {
        let micros = (now - 1_000_000_000_000) / 1000
        let fraction = String(micros % 1_000_000)
        return "\(micros / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}

/// Values on their way to one reader, and how that ends. For one thread.
final class Inbox<Value: Sendable>: @unchecked Sendable {
    private var values: [Value] = []
    private var end: Result<Void, any Error>?
    private var reader: CheckedContinuation<Void, Never>?

    private func wake() {
        let waiting = reader
        reader = nil
        waiting?.resume()
    }

    func put(_ value: Value) {
        guard end == nil else { return }
        values.append(value)
        wake()
    }

    func finish() {
        if end == nil { end = .success(()) }
        wake()
    }

    /// What has not been read is lost.
    func fail(_ error: any Error) {
        values = []
        end = .failure(error)
        wake()
    }

    /// Nil at the end; throws where the task is cancelled.
    func next() async throws -> Value? {
        while true {
            try Task.checkCancellation()
            if !values.isEmpty { return values.removeFirst() }
            if let end {
                try end.get()
                return nil
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    guard values.isEmpty, end == nil, !Task.isCancelled else { return continuation.resume() }
                    reader = continuation
                }
            } onCancel: {
                wake()
            }
        }
    }
}
