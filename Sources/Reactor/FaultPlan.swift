#if DEBUG
    internal import Glibc
    internal import Synchronization

    /// Counts the system calls of the funnel in one task tree and, at a chosen one, fails it or kills the process.
    /// Tests only.
    package final class FaultPlan: Sendable {
        package enum Fault: Sendable {
            case kill
            case fail(code: Int32)
            /// Half of what a write is given is taken, as by a disk with little room; other calls are not concerned.
            case short
        }

        @TaskLocal package static var current: FaultPlan?

        private let decide: @Sendable (_ call: String, _ number: Int) -> Fault?
        private let names: Set<String>?
        private let calls = Atomic<Int>(0)

        /// Faults `count` calls from number `at` on, counted from 1; nil only counts. With `names` it concerns the
        /// calls of these names alone.
        package init(_ fault: Fault = .kill, at: Int? = nil, count: Int = 1, names: Set<String>? = nil) {
            self.names = names
            decide = { _, number in
                guard let at, number >= at, number - at < count else { return nil }
                return fault
            }
        }

        /// What becomes of each call is decided when it is made.
        package init(deciding decide: @escaping @Sendable (_ call: String, _ number: Int) -> Fault?) {
            names = nil
            self.decide = decide
        }

        package var callCount: Int { calls.load(ordering: .relaxed) }

        /// What becomes of the call, or nil where it may go on.
        func willCall(_ call: String) -> Fault? {
            guard names?.contains(call) ?? true else { return nil }
            let number = calls.add(1, ordering: .relaxed).newValue
            let fault = decide(call, number)
            if case .kill? = fault { kill(getpid(), SIGKILL) }
            return fault
        }
    }
#endif
