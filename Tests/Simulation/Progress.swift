import Model
import Reactor

/// Whether a node that is behind, and connected to one that has what it lacks, gets anything.
struct Progress {
    private var since: [Int: Int64] = [:]
    private var last: [Int: Int64] = [:]

    /// A node that stands still for longer has not noticed by itself: it looks after `Limits.stallTime`, may have to do
    /// so on two links, and each is dialled anew.
    static let limit = Limits.stallTime * 3

    mutating func look(_ world: World, _ lacks: [Oracle.Lack]) {
        let sim = world.sim
        for node in world.nodes {
            let reached = world.oracle.transfers.reduce(Int64(0)) { $1.link.client.node === node ? $0 + $1.read : $0 }
            let facts = node.process?.announced.count ?? 0
            let mark = reached &* 1_000_003 &+ facts
            let isConnected = world.network.openLinks.contains { link in
                link.client.node === node
                    && lacks.contains { $0.node == node.number && $0.from == link.server.node.number }
            }
            if !isConnected || last[node.number] != mark || isExcused(node, world) { since[node.number] = sim.now }
            last[node.number] = mark
            let stall = Duration.nanoseconds(sim.now - (since[node.number] ?? sim.now))
            guard stall > .zero else { continue }
            world.oracle.note { $0.stall = max($0.stall, stall) }
            sim.trace.note(sim.now, "node \(node.number) stands still for \(stall)")
            if stall > Self.limit {
                sim.fail("\(lacks.first?.text ?? ""), is connected, and stands still for \(stall)")
            }
        }
    }

    /// A peer that gave a chunk wrongly is left in peace for a while, and so is a disk that failed.
    private func isExcused(_ node: SimulatedNode, _ world: World) -> Bool {
        guard let process = node.process, process.disk.failureCount == 0 else { return true }
        return world.nodes.contains { other in
            let weather = world.network.path(node.number, other.number).stormy
            return other !== node && (weather.corruption > 0 || weather.cutting > 0)
        }
    }
}
