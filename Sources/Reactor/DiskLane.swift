internal import Glibc
internal import Synchronization

/// One thread for calls that may block on a disk; an executor for the actors that make them. Jobs run in their order.
package final class DiskLane: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var stopping = false
    private let threadID = Atomic<UInt>(0)
    private var thread: pthread_t?

    package init(name: String) {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        thread = startPlatformThread(named: name, stackBytes: 1 << 20) { [self] in run() }
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

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pthread_mutex_lock(mutex)
        jobs.append(job)
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
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
