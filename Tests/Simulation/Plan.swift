import Model
import Replication

/// What a world is like; drawn from its seed.
struct Plan {
    let nodes: Int
    let vehicles: Int
    let isRough: Bool
    /// How long things happen, before it becomes quiet.
    let turbulence: Duration
    let mishaps: Int
    /// What is held is read in the background, and chunks may get lost under a node.
    let scrubs: Bool
    let failsDisks: Bool

    init(_ sim: Simulator) {
        nodes = sim.pick([2, 2, 2, 3, 3, 4, 5])
        vehicles = sim.number(1...nodes - 1)
        isRough = sim.chance(0.6)
        turbulence = sim.seconds(4...20)
        mishaps = sim.pick([0, 1, 2, 3, 4, 6, 8])
        scrubs = sim.chance(0.25)
        failsDisks = sim.chance(0.3)
    }
}

/// Something that goes wrong.
enum Mishap: CaseIterable {
    case linkEnds, linkIsForgotten, partition, isolation
    case death, deathInWrite, stop, emptied, restored, indexGone
    case diskFails, diskHangs, chunkGone
    case clockJumps, policyChanges, slowLink, twoAddresses, hurry
}
