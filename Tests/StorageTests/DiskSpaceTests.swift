import Model
import Testing

@testable import Storage

@Suite struct DiskSpaceTests {
    private let mega: Int64 = 1_000_000

    private func space(_ free: Int64, _ reserve: DiskSpace.Reserve = .held) -> DiskSpace {
        DiskSpace(minFree: 100 * mega, free: free * mega, reserve: reserve)
    }

    /// The levels after each of these measurements.
    private func levels(_ start: DiskSpace, _ measured: Int64...) -> [DiskSpace.Level] {
        var space = start
        return measured.map { free in
            space.measured(free * mega)
            return space.level
        }
    }

    @Test("a disk is low below what is to be kept free, and ample again a tenth above it")
    func low() {
        #expect(space(100).level == .ample && space(99).level == .low)
        #expect(levels(space(200), 100, 99, 100, 109, 110, 100) == [.ample, .low, .low, .low, .ample, .ample])
    }

    @Test("a refused write makes a disk full, until there is room and no other was refused")
    func full() {
        var space = space(50)
        space.refused()
        #expect(space.level == .full)
        space.measured(50 * mega)
        #expect(space.level == .full, "what was measured may be another's: a quota gives none of it")
        space.measured(mega / 5)
        #expect(space.level == .full)
        space.measured(50 * mega)
        #expect(space.level == .low)
        space.refused()
        space.measured(200 * mega)
        space.measured(200 * mega)
        #expect(space.level == .ample)
    }

    @Test("rows leave the room of a reserve that was given up to the facts")
    func factsFirst() {
        var space = space(5)
        #expect(space.takesRows(5 * mega) && !space.takesRows(6 * mega))
        #expect(self.space(5, .none).takesRows(5 * mega), "a disk too small for one gives all it has")
        space.spentReserve()
        #expect(!space.takesRows(0))
        space.measured(12 * mega)
        #expect(space.takesRows(3 * mega) && !space.takesRows(4 * mega))
    }

    @Test("a full disk without its reserve is full until there is more than the reserve")
    func fullWithoutReserve() {
        var space = space(0)
        space.refused()
        space.spentReserve()
        space.measured(0)
        #expect(levels(space, 8, 9, 10) == [.full, .full, .low])
    }

    @Test("the reserve is made again where the disk does not become low by it")
    func remade() {
        var space = space(200)
        space.spentReserve()
        space.refused()
        space.measured(0)
        for free in [50, 109, 110, 117] as [Int64] {
            space.measured(free * mega)
            #expect(!space.mayMakeReserve, "\(free) MB")
        }
        space.measured(118 * mega)
        #expect(space.mayMakeReserve)
        space.madeReserve()
        space.measured(110 * mega)
        #expect(space.level == .ample && !space.mayMakeReserve)
    }

    @Test("what is wrong is one sentence with its figures")
    func words() throws {
        #expect(space(100).trouble == nil)
        var space = space(80)
        #expect(try #require(space.trouble).hasPrefix("the disk has 80.0 MB left of the 100 MB kept free: make room; "))
        space.refused()
        #expect(try #require(space.trouble).hasPrefix("the disk is full, 80.0 MB left: make room; "))
    }
}
