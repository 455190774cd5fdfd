internal import Reactor

/// Bytes that many connections may hold together: each takes what it needs and gives it back.
final class ByteBudget: Sendable {
    private let left: Locked<Int>

    init(_ bytes: Int) { left = Locked(bytes) }

    /// Takes `bytes`, or nothing and false where there are not so many left.
    func take(_ bytes: Int) -> Bool {
        left.withLock { left in
            guard bytes <= left else { return false }
            left -= bytes
            return true
        }
    }

    func give(_ bytes: Int) { left.withLock { $0 += bytes } }
}
