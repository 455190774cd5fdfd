internal import Glibc
internal import Synchronization

/// One thread for calls that may block on a disk; an executor for the actors that make them. Jobs run in their order.
/// Or the same queue without a thread: a simulator says which of many lanes does its next job.
package final class DiskLane: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var stopping = false
    private let threadID = Atomic<UInt>(0)
    private var thread: pthread_t?
    /// Who runs the jobs of a lane without a thread is told of each.
    private let host: (@Sendable (DiskLane) -> Void)?

    package init(name: String) {
        host = nil
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        thread = startPlatformThread(named: name, stackBytes: 1 << 20) { [self] in run() }
    }

    /// A lane without a thread: `host` hears of each job that is queued, and calls `runNext` once for each.
    package init(host: @escaping @Sendable (DiskLane) -> Void) {
        self.host = host
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    private func run() {
        threadID.store(UInt(pthread_self()), ordering: .releasing)
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        var batch: [UnownedJob] = []
        while true {
            pthread_mutex_lock(mutex)
            while jobs.isEmpty, !stopping { pthread_cond_wait(condition, mutex) }
            swap(&jobs, &batch)
            pthread_mutex_unlock(mutex)
            if batch.isEmpty { return }
            for job in batch { job.runSynchronously(isolatedTo: serial, taskExecutor: task) }
            batch.removeAll(keepingCapacity: true)
        }
    }

    /// Runs the job that is queued for longest, on the calling thread.
    package func runNext() {
        pthread_mutex_lock(mutex)
        let job = jobs.removeFirst()
        pthread_mutex_unlock(mutex)
        threadID.store(UInt(pthread_self()), ordering: .relaxed)
        job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
        threadID.store(0, ordering: .relaxed)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pthread_mutex_lock(mutex)
        jobs.append(job)
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        host?(self)
    }

    package var isOnLane: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }
    package func checkIsolated() { precondition(isOnLane, "this runs on its disk lane's thread only") }
    package func isIsolatingCurrentContext() -> Bool? { isOnLane }

    /// Ends the thread after the jobs that are queued and waits for it.
    package func stop() {
        precondition(!isOnLane, "a lane cannot wait for itself")
        pthread_mutex_lock(mutex)
        stopping = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }
}
