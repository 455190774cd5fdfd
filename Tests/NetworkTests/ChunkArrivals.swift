import HTTP
import Model
import Reactor
import TestSupport

/// When chunks became the topside's: a chunk's fact is in its log once its bytes are verified and on its disk. Told by
/// the event stream of the node's own socket, which no outage touches.
final class ChunkArrivals: Sendable {
    private let times = Locked<[MonotonicTime]>([])

    /// Runs `body` while somebody listens.
    static func follow<Answer: Sendable>(
        _ node: LabNode, _ body: @escaping @Sendable (ChunkArrivals) async throws -> Answer
    ) async throws -> Answer {
        let arrivals = ChunkArrivals()
        return try await withThrowingTaskGroup(of: Answer?.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                try await node.follow { fact in
                    if case .chunk = fact.body { arrivals.times.withLock { $0.append(SystemClock.monotonic()) } }
                    return false
                }
                return nil
            }
            group.addTask { try await body(arrivals) }
            guard let answer = try await group.next() ?? nil else {
                throw ChildError(description: "\(node.name) ended its events")
            }
            return answer
        }
    }

    func count(since start: MonotonicTime) -> Int { times.withLock { $0.count { $0 >= start } } }

    /// The `count`th that came after `start`.
    func wait(_ count: Int, after start: MonotonicTime, at node: LabNode) async throws -> MonotonicTime {
        try await node.within("\(count) chunks") {
            while true {
                let later = self.times.withLock { $0.filter { $0 > start } }
                if later.count >= count { return later[count - 1] }
                try await node.lab.loop.sleep(for: .milliseconds(5))
            }
        }
    }

    /// The longest time without one from `start` to `end`.
    func longestPause(from start: MonotonicTime, to end: MonotonicTime) -> Duration {
        let marks = [start] + times.withLock { $0.filter { $0 > start && $0 < end } } + [end]
        return zip(marks, marks.dropFirst()).map { $0.duration(to: $1) }.max() ?? .zero
    }
}
