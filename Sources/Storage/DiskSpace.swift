internal import Model

/// How much room a store's disk has, and what that allows. Below what is to be kept free it is low: pulling stops and
/// recording goes on. It is full when a write found no room, until there is some again. Each way back takes a little
/// more than the way there, so that nothing flickers.
package struct DiskSpace: Hashable, Sendable {
    package enum Level: String, Hashable, Sendable {
        case ample, low, full
    }

    /// What the file is that holds room for the facts of a full disk.
    package enum Reserve: String, Hashable, Sendable {
        /// The disk never had room for it, and rows may have all there is.
        case none
        /// What it takes is not among what is free.
        case held
        /// Its room is the facts', and rows leave it to them.
        case spent
    }

    package let minFree: Int64
    package private(set) var free: Int64
    package private(set) var level = Level.ample
    package private(set) var reserve: Reserve
    /// A write found no room since the last measurement.
    private var wasRefused = false

    package init(minFree: Int64, free: Int64, reserve: Reserve) {
        self.minFree = minFree
        self.free = free
        self.reserve = reserve
        if free < minFree { level = .low }
    }

    package mutating func measured(_ free: Int64) {
        self.free = free
        defer { wasRefused = false }
        switch level {
        case .ample where free < minFree: level = .low
        case .low where free >= minFree + slack: level = .ample
        // Room that is there and not given, a quota's for one, is no room.
        case .full where !wasRefused && takesRows(Limits.fullDiskSlack): level = free >= minFree + slack ? .ample : .low
        case .ample, .low, .full: break
        }
    }

    /// A write found no room.
    package mutating func refused() {
        wasRefused = true
        level = .full
    }

    package mutating func madeReserve() { reserve = .held }
    package mutating func spentReserve() { reserve = .spent }

    /// By how much more than the bound there has to be before a state ends.
    package var slack: Int64 { max(Limits.freeSpaceSlack, minFree / 10) }

    /// Whether there is room for so many bytes of rows.
    package func takesRows(_ bytes: Int64) -> Bool {
        free >= (reserve == .spent ? Limits.reserveBytes + Limits.freeSpaceSlack : 0) + bytes
    }

    /// There is room for the reserve without making the disk low by it.
    package var mayMakeReserve: Bool {
        reserve != .held && level == .ample && free >= minFree + slack + Limits.reserveBytes
    }

    /// What is wrong and what to do, in one sentence; nil where nothing is.
    package var trouble: String? {
        let left = Magnitude.bytes(max(0, free))
        return switch level {
        case .ample: nil
        case .low:
            "the disk has \(left) left of the \(Magnitude.bytes(minFree)) kept free: make room; recording goes on, "
                + "pulling and partial copies wait"
        case .full:
            "the disk is full, \(left) left: make room; rows wait in memory, and what does not fit is recorded as a gap"
        }
    }
}
