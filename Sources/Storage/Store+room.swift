internal import Model
internal import Reactor

extension Store {
    /// How it is; asking waits for no disk.
    package var health: StoreHealth {
        var health = incidents.health
        health.space = room.space
        return health
    }

    /// Looks how much of the disk is free, and shows what there was no room to show; to be called about every second.
    package func measureSpace() async {
        await room.measure()
        // Without its index a node cannot even say how it is: the reserve pays for that, too.
        if let level = room.space?.level, level != .ample, incidents.health.standing[.index] != nil,
            await room.giveUpReserve()
        {
            while await !catalogue.catchUp() {}
        }
        if room.space?.level == .ample { await catalogue.showUnshown() }
    }

    /// A fact of this node, or what belongs to one, is written even where the disk is full: the reserve pays for it.
    func paid<Result>(
        _ body: () async throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        do {
            return try await body()
        } catch {
            guard case .outOfSpace = error, await givesUpReserve() else { throw error }
            return try await body()
        }
    }

    /// What comes from peers is not paid for, and leaves alone what the reserve gave up.
    func unpaid<Result>(
        _ body: () async throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        guard room.space.map({ $0.level != .full }) ?? true else { throw .outOfSpace(path: path) }
        do {
            return try await body()
        } catch {
            if case .outOfSpace = error { room.refused() }
            throw error
        }
    }

    func givesUpReserve() async -> Bool {
        room.refused()
        return await room.giveUpReserve()
    }
}

extension StoreError {
    /// The index says in words of its own that it has no room.
    var mayBeNoSpace: Bool {
        switch self {
        case .outOfSpace, .index: true
        default: false
        }
    }
}
