internal import Reactor

/// How many endless answers of a kind there may be at once. A place is given back when its stream is gone.
final class StreamPlaces: Sendable {
    private let limit: Int
    private let taken = Locked(0)

    final class Place: Sendable {
        private let places: StreamPlaces
        fileprivate init(_ places: StreamPlaces) { self.places = places }
        deinit { places.taken.withLock { $0 -= 1 } }
    }

    init(limit: Int) { self.limit = limit }

    /// nil where all are taken.
    func take() -> Place? {
        let isFree = taken.withLock { taken in
            guard taken < limit else { return false }
            taken += 1
            return true
        }
        return isFree ? Place(self) : nil
    }
}
