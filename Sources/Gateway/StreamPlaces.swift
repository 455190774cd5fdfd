internal import HTTP
internal import Reactor

/// How many endless answers of a kind there may be at once, and how many of them to one other host. A place is given
/// back when its stream is gone.
final class StreamPlaces: Sendable {
    private struct Taken {
        var count = 0
        var perAddress: [String: Int] = [:]
    }

    private let limit: Int
    private let limitPerAddress: Int
    private let taken = Locked(Taken())

    final class Place: Sendable {
        private let places: StreamPlaces
        private let address: String

        fileprivate init(_ places: StreamPlaces, _ address: String) {
            self.places = places
            self.address = address
        }

        deinit { places.giveBack(address) }
    }

    init(limit: Int, perAddress: Int) {
        self.limit = limit
        limitPerAddress = perAddress
    }

    /// nil where all are taken. Programs of this machine may have all.
    func take(for origin: PeerOrigin) -> Place? {
        let address = origin.address
        let isFree = taken.withLock { taken in
            let own = taken.perAddress[address, default: 0]
            guard taken.count < limit, origin.transport != .network || own < limitPerAddress else { return false }
            taken.count += 1
            taken.perAddress[address] = own + 1
            return true
        }
        return isFree ? Place(self, address) : nil
    }

    private func giveBack(_ address: String) {
        taken.withLock { taken in
            taken.count -= 1
            let left = taken.perAddress[address, default: 1] - 1
            taken.perAddress[address] = left == 0 ? nil : left
        }
    }
}
