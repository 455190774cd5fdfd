internal import Model
package import Reactor
package import Storage

/// Follows the log's growth once, for any number of event streams that wait for it.
package actor GrowthWatch {
    private struct Waiter {
        let beyond: Int64
        let timer: LoopTimer
        let continuation: CheckedContinuation<Void, Never>
    }

    private let loop: EventLoop
    private let store: Store
    private var head: Int64 = 0
    private var waiters: [Int64: Waiter] = [:]
    private var count: Int64 = 0

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package init(on loop: EventLoop, store: Store) {
        self.loop = loop
        self.store = store
    }

    /// Until its task is cancelled or the store closes.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followHealth() }
            group.addTask { await self.followTails() }
            for await _ in store.growth() {
                head = await store.head()
                for (key, waiter) in waiters where waiter.beyond < head { release(key) }
            }
            group.cancelAll()
        }
        releaseAll()
    }

    /// What happens to the store is told on event streams, too: all of them look again.
    private func followHealth() async {
        for await _ in store.incidents.changes() { releaseAll() }
    }

    /// And that open chunks have grown, a second after the last time at the soonest.
    private func followTails() async {
        let (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        store.ringTails(bell)
        for await _ in rings {
            releaseAll()
            do { try await loop.sleep(for: Limits.tailBellInterval) } catch { return }
        }
    }

    /// Something that is no fact has changed: all who wait look again.
    func releaseAll() { for key in waiters.keys { release(key) } }

    private func release(_ key: Int64) {
        guard let waiter = waiters.removeValue(forKey: key) else { return }
        waiter.timer.cancel()
        waiter.continuation.resume()
    }

    /// Waits until the log reaches beyond `seq`, something happens to the store, the time is over, or the task is
    /// cancelled; whether it reaches beyond.
    func grows(beyond seq: Int64, within time: Duration) async -> Bool {
        guard head <= seq else { return true }
        count += 1
        let key = count
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard head <= seq, !Task.isCancelled else { return continuation.resume() }
                let timer = LoopTimer(on: loop) { self.assumeIsolated { $0.release(key) } }
                waiters[key] = Waiter(beyond: seq, timer: timer, continuation: continuation)
                timer.set(after: time)
            }
        } onCancel: {
            loop.spawn { await self.release(key) }
        }
        return head > seq
    }
}
