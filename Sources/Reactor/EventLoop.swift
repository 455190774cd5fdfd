internal import CLibevent
internal import CLinux
internal import Glibc
internal import Synchronization

/// One thread and one `event_base`; Swift jobs run between turns of the loop, on that thread. Actors of the network are
/// pinned to it (`unownedExecutor`), and every task of theirs prefers it.
package final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private struct Queue {
        var jobs: [UnownedJob] = []
        var signalled = false
    }

    /// For libevent calls, which are made on the loop only.
    package let base: OpaquePointer
    private let wakeup: Int32
    private var wakeupEvent: OpaquePointer?
    private let queue = Locked(Queue())
    /// Jobs of this turn; touched by the loop's thread only, and kept for its capacity.
    private var running: [UnownedJob] = []
    private let threadID = Atomic<UInt>(0)
    private let stopping = Atomic<Bool>(false)
    private let thread = Locked<pthread_t?>(nil)

    /// Starts the loop's thread.
    package init(name: String = "loop") {
        signal(SIGPIPE, SIG_IGN)
        let configuration = event_config_new()
        event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
        event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_PRECISE_TIMER.rawValue))
        guard let base = event_base_new_with_config(configuration) else {
            preconditionFailure("libevent found no way to wait for events")
        }
        event_config_free(configuration)
        self.base = base
        wakeup = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(wakeup >= 0, "the loop needs an eventfd")
        wakeupEvent = event_new(
            base, wakeup, Int16(EV_READ | EV_PERSIST),
            { descriptor, _, _ in
                var count: UInt64 = 0
                _ = Glibc.read(descriptor, &count, 8)
            }, nil)
        event_add(wakeupEvent, nil)
        startThread(named: name) { [self] in run() }
    }

    private func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
        let created = startPlatformThread(named: name, stackBytes: 1 << 20, body)
        thread.withLock { $0 = created }
    }

    private func run() {
        threadID.store(UInt(pthread_self()), ordering: .releasing)
        while !stopping.load(ordering: .acquiring) {
            let more = drainRounds()
            event_base_loop(base, more ? EVLOOP_NONBLOCK : EVLOOP_ONCE)
        }
        while drain() {}
    }

    /// Jobs mostly queue further jobs: a few rounds before the next look at the sockets save a system call each.
    /// Whether there may be more.
    private func drainRounds() -> Bool {
        for _ in 0..<16 where !drain() { return false }
        return true
    }

    /// Runs what is queued; whether there was anything.
    private func drain() -> Bool {
        queue.withLock { queue in
            swap(&queue.jobs, &running)
            queue.signalled = false
        }
        guard !running.isEmpty else { return false }
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        for job in running { job.runSynchronously(isolatedTo: serial, taskExecutor: task) }
        running.removeAll(keepingCapacity: true)
        return true
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let mustWake = queue.withLock { queue in
            queue.jobs.append(job)
            // The loop drains before it waits again; what its own thread queues needs no bell.
            guard !queue.signalled, !isOnLoop else { return false }
            queue.signalled = true
            return true
        }
        if mustWake { wake() }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(wakeup, &one, 8)
    }

    package var isOnLoop: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }
    package func checkIsolated() { precondition(isOnLoop, "this runs on the event loop's thread only") }
    package func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    /// Ends the thread after the jobs that are queued and waits for it; call from any other thread. Events still
    /// registered are never called.
    package func stop() {
        precondition(!isOnLoop, "the loop cannot wait for itself")
        stopping.store(true, ordering: .releasing)
        wake()
        if let thread = thread.withLock({ thread in
            defer { thread = nil }; return thread
        }) {
            pthread_join(thread, nil)
        }
    }

    deinit {
        event_free(wakeupEvent)
        event_base_free(base)
        close(wakeup)
    }
}

extension EventLoop {
    /// Starts a task that runs on the loop; the one spelling of an unstructured task, for `main` and for C callbacks
    /// that open a new tree.
    @discardableResult
    package func spawn<Success: Sendable>(
        _ body: @escaping @Sendable () async throws -> Success
    ) -> Task<Success, any Error> {
        Task(executorPreference: self) { try await body() }
    }

    /// Spawns `body` and blocks the calling thread until it ended: how `main`, which is no task, runs one.
    package func runBlocking<Success: Sendable>(_ body: @escaping @Sendable () async throws -> Success) throws
        -> Success
    {
        precondition(!isOnLoop, "the loop cannot wait for itself")
        let done = DispatchlessSemaphore()
        let result = Locked<Result<Success, any Error>?>(nil)
        spawn {
            do {
                let value = try await body()
                result.withLock { $0 = .success(value) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
            done.signal()
        }
        done.wait()
        guard let outcome = result.withLock({ $0 }) else { preconditionFailure("a task that signalled has a result") }
        return try outcome.get()
    }
}

/// A POSIX semaphore: what a thread without an executor waits on.
private final class DispatchlessSemaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }
    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }
    func signal() { sem_post(semaphore) }
    func wait() { while sem_wait(semaphore) == -1, errno == EINTR {} }
}
