#if DEBUG
    internal import Glibc
    internal import Synchronization

    /// Counts the system calls of the funnel in one task tree and, at a chosen one, fails it or kills the process.
    /// Tests only.
    package final class FaultPlan: Sendable {
        package enum Fault: Sendable {
            case kill
            case fail(code: Int32)
        }

        @TaskLocal package static var current: FaultPlan?

        private let fault: Fault
        private let at: Int?
        private let count: Int
        private let calls = Atomic<Int>(0)

        /// Faults `count` calls from number `at` on, counted from 1; nil only counts.
        package init(_ fault: Fault = .kill, at: Int? = nil, count: Int = 1) {
            self.fault = fault
            self.at = at
            self.count = count
        }

        package var callCount: Int { calls.load(ordering: .relaxed) }

        /// The errno that the call is to fail with, or nil where it may go on.
        func willCall(_ call: String) -> Int32? {
            let number = calls.add(1, ordering: .relaxed).newValue
            guard let at, number >= at, number < at + count else { return nil }
            switch fault {
            case .kill:
                kill(getpid(), SIGKILL)
                return nil
            case .fail(let code): return code
            }
        }
    }
#endif
