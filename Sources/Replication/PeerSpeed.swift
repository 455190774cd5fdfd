internal import Model

/// How quickly a peer brings chunks, as measured, and who it is where that was not measured yet. Small chunks and large
/// ones are measured apart: those tell of the round trip, these of the link.
struct PeerSpeed: Sendable {
    var role: Role?
    var takesBundles = false
    private var small: Double?
    private var large: Double?

    /// What a new measurement counts.
    private static let share = 0.25

    mutating func add(_ bytes: Int64, areSmall: Bool, in time: Duration) {
        guard bytes > 0, time > .zero else { return }
        let rate = Double(bytes) / time.inSeconds
        if areSmall { small = Self.mean(small, rate) } else { large = Self.mean(large, rate) }
    }

    private static func mean(_ old: Double?, _ new: Double) -> Double {
        old.map { $0 + (new - $0) * share } ?? new
    }

    /// Where that is not known of both, or as good as equal, a topside is: what it has it has at rest, and the
    /// vehicle's link is spared.
    func isQuicker(than other: Self, forSmall: Bool) -> Bool {
        if let own = forSmall ? small : large, let its = forSmall ? other.small : other.large {
            if own > its * Limits.quickerBy { return true }
            if its > own * Limits.quickerBy { return false }
        }
        return role == .topside && other.role == .vehicle
    }
}
