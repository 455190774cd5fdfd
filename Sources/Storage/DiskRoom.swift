internal import Model
internal import Reactor

/// The room on a store's disk: measured, told of, and a part of it held by a file of its own, the reserve, so that the
/// facts that tell of a full disk can be written. Works on the admit lane; what it knows may be asked on any.
actor DiskRoom {
    static let fileName = "reserve"

    private let lane: DiskLane
    private let directory: DataDirectory
    private let incidents: StoreIncidents
    /// nil where nobody asked to keep any room.
    private nonisolated let state: Locked<DiskSpace?>

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane, directory: DataDirectory, incidents: StoreIncidents) {
        self.lane = lane
        self.directory = directory
        self.incidents = incidents
        state = Locked(nil)
    }

    nonisolated var space: DiskSpace? { state.withLock { $0 } }

    /// Begins to keep this much free. The reserve is made where that leaves as much again: it is worth more than rows.
    /// `isSpent`: it was, for the start.
    func keep(_ minFree: Int64, isSpent: Bool) {
        guard let free = measuredFree() else { return }
        let reserve: DiskSpace.Reserve = reserveStands() ? .held : isSpent ? .spent : .none
        change { $0 = DiskSpace(minFree: minFree, free: free, reserve: reserve) }
        if reserve != .held, free >= 2 * Limits.reserveBytes { makeReserve() }
    }

    /// Looks how much is free; to be called about every second.
    func measure() {
        guard space != nil, let free = measuredFree() else { return }
        change { $0?.measured(free) }
        if space?.mayMakeReserve == true { makeReserve() }
    }

    /// A write found no room.
    nonisolated func refused() { change { $0?.refused() } }

    /// Gives the reserve's room to the facts; whether there was one.
    func giveUpReserve() -> Bool {
        guard space?.reserve == .held else { return false }
        do {
            try directory.root.remove(Self.fileName)
            // ext4 gives the room back with its next commit, which this asks for.
            try directory.root.synchronize()
        } catch {
            incidents.report(.reserveUsed, "the reserve could not be given up: \(error)")
            return false
        }
        change { $0?.spentReserve() }
        incidents.report(.reserveUsed, "the reserve was given up, so that what happens can be written down")
        return true
    }

    /// Whether so many bytes of rows may be written. Once the reserve is spent, its room is left to the facts: asked of
    /// the disk each time, since facts take of it meanwhile. Call on a disk lane.
    nonisolated func takesRows(_ bytes: Int) -> Bool {
        guard var space, space.reserve == .spent, let free = measuredFree() else { return true }
        space.measured(free)
        // Once in the write-ahead log, once in the chunk.
        return space.takesRows(2 * Int64(bytes))
    }

    /// Whether so many bytes of live copies may be written: like all that comes from peers they leave alone what is to
    /// be kept free. Call on a disk lane.
    nonisolated func takesCopies(_ bytes: Int) -> Bool {
        guard let space else { return true }
        guard space.level == .ample else { return false }
        // Once in the write-ahead log, once in the copy.
        return measuredFree().map { $0 - 2 * Int64(bytes) >= space.minFree } ?? true
    }

    /// Whether a session may begin.
    func isOpenForRows() -> Bool { takesRows(0) }

    /// nil where the disk does not say; then what was known before counts.
    private nonisolated func measuredFree() -> Int64? {
        do { return try directory.root.space().free } catch { return nil }
    }

    /// It is there, and really has its bytes of the disk.
    private func reserveStands() -> Bool {
        do {
            guard try directory.root.kind(of: Self.fileName) == .file else { return false }
            return try directory.root.openFile(Self.fileName, .read).allocatedLength() >= Limits.reserveBytes
        } catch {
            return false
        }
    }

    /// Where this fails, rows leave its room alone all the same, and it is tried again.
    private func makeReserve() {
        do {
            let file = try directory.root.openFile(Self.fileName, .createOrOpen)
            try file.allocate(Limits.reserveBytes)
            try file.synchronize()
            try directory.root.synchronize()
            change { $0?.madeReserve() }
        } catch {
            _ = try? directory.root.remove(Self.fileName)
        }
        if let free = measuredFree() { change { $0?.measured(free) } }
    }

    /// Tells of each change of the level, once.
    private nonisolated func change(_ body: (inout DiskSpace?) -> Void) {
        let (before, after) = state.withLock { space in
            let before = space?.level ?? .ample
            body(&space)
            return (before, space)
        }
        guard let after, after.level != before else { return }
        switch after.level {
        case .ample:
            incidents.report(.diskBack, "the disk has room again: \(Magnitude.bytes(after.free)) free")
        case .low: incidents.report(.diskLow, after.trouble ?? "the disk has little room")
        case .full: incidents.report(.diskFull, after.trouble ?? "the disk is full")
        }
    }
}

extension DataDirectory {
    /// For a start on a full disk: with the reserve's room it can come up, and say so.
    static func giveUpReserve(at path: String) -> Bool {
        do {
            let root = try Directory.open(path)
            guard try root.kind(of: DiskRoom.fileName) == .file else { return false }
            try root.remove(DiskRoom.fileName)
            try root.synchronize()
            return true
        } catch {
            return false
        }
    }
}
