import Reactor

/// What a process's disk does to its calls: nothing, failures for a while, or the end of the process in the middle of
/// one. Files are real.
final class SimulatedDisk: @unchecked Sendable {
    /// Nothing is done for a process that is dead.
    var isDead = false
    /// Of calls that fail, and how.
    var failing = 0.0
    var code: Int32 = 5
    /// Calls that are still done before the process dies in one.
    var callsLeft: Int?
    var atDeath: (() -> Void)?
    private(set) var callCount = 0
    private(set) var failureCount = 0
    private let sim: Simulator

    init(_ sim: Simulator) { self.sim = sim }

    static let inputOutputError: Int32 = 5
    static let noSpace: Int32 = 28

    func plan() -> FaultPlan { FaultPlan { [self] call, _ in decide(call) } }

    private func decide(_ call: String) -> FaultPlan.Fault? {
        callCount += 1
        if isDead { return .fail(code: Self.inputOutputError) }
        if let left = callsLeft {
            if left == 0 {
                isDead = true
                sim.trace.note(sim.now, "dies in \(call)")
                // Not here: this is in the middle of somebody's work.
                if let atDeath { sim.after(.zero, atDeath) }
                // What a write had got through is there.
                return sim.chance(0.5) ? .short : .fail(code: Self.inputOutputError)
            }
            callsLeft = left - 1
        }
        guard sim.chance(failing) else { return nil }
        failureCount += 1
        sim.trace.note(sim.now, "\(call) fails with \(code)")
        return .fail(code: code)
    }
}
