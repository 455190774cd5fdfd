import FoundationEssentials
import Model
import Reactor
import Replication

extension World {
    func befall(_ mishap: Mishap) {
        let node = sim.pick(nodes)
        switch mishap {
        case .linkEnds: if let link = anyLink() { link.breakOff() }
        case .linkIsForgotten: anyLink()?.isHole = true
        case .partition:
            let other = sim.pick(nodes.filter { $0 !== node })
            cut([(node.number, other.number)])
        case .isolation: cut(nodes.filter { $0 !== node }.map { (node.number, $0.number) })
        case .death: leave(node, inOrder: false) { _ in }
        case .deathInWrite: node.process?.disk.callsLeft = sim.number(0...60)
        case .stop: leave(node, inOrder: true) { _ in }
        case .emptied: leave(node, inOrder: sim.chance(0.5)) { try $0.removeAll() }
        case .restored: restore(node)
        case .indexGone: leave(node, inOrder: sim.chance(0.5)) { try $0.removeIndex() }
        case .diskFails: if plan.failsDisks { failDisk(of: node) }
        case .diskHangs:
            let lane = sim.pick(Array(node.lanes.dropFirst()))
            lane.blockedUntil = sim.now + sim.seconds(0.1...8).nanoseconds
        case .chunkGone: if plan.scrubs { loseChunk(of: node) }
        case .clockJumps: node.clockOffset += Int64(sim.number(-100_000...100_000)) * 1_000_000_000
        case .policyChanges: changePolicy(of: node)
        case .slowLink: slow(node)
        case .twoAddresses:
            node.peers = nodes.filter { $0 !== node }.flatMap(\.endpoints)
            setPeers(of: node)
        case .hurry: spawn(on: node) { await $0.requestPull() }
        }
    }

    private func anyLink() -> Link? {
        let links = network.openLinks
        return links.isEmpty ? nil : sim.pick(links)
    }

    private func cut(_ pairs: [(Int, Int)]) {
        let manner = sim.pick([Path.Cut.silent, .loud, .forgetful])
        for (one, other) in pairs { network.cut(one, other, manner) }
        sim.after(sim.seconds(0.2...20)) { [self] in
            for (one, other) in pairs { network.mend(one, other) }
        }
    }

    /// Its process ends, something happens to its directory, and later another one starts.
    private func leave(_ node: SimulatedNode, inOrder: Bool, _ change: @escaping (SimulatedNode) throws -> Void) {
        // One at a time.
        guard node.isOn else { return }
        node.isOn = false
        if inOrder { node.stop() } else { node.die() }
        if sim.chance(0.3) { node.boot += 1 }
        awaitEnd(of: node, since: sim.now, change)
    }

    private func awaitEnd(of node: SimulatedNode, since: Int64, _ change: @escaping (SimulatedNode) throws -> Void) {
        guard node.process == nil else {
            guard sim.now - since < 120_000_000_000 else { return sim.fail("node \(node.number) does not end") }
            return sim.after(.milliseconds(10)) { [self] in awaitEnd(of: node, since: since, change) }
        }
        do { try change(node) } catch { sim.fail("\(error)") }
        sim.after(sim.seconds(0...10)) { node.start() }
    }

    /// An older copy of its directory takes the place of the newer.
    private func restore(_ node: SimulatedNode) {
        leave(node, inOrder: true) { try $0.takeBackup() }
        sim.after(sim.seconds(5...20)) { [self] in
            guard node.hasBackup, !oracle.isQuiet else { return }
            leave(node, inOrder: sim.chance(0.5)) { if $0.hasBackup { try $0.restoreBackup() } }
        }
    }

    private func failDisk(of node: SimulatedNode) {
        guard let disk = node.process?.disk else { return }
        disk.failing = sim.pick([0.01, 0.1, 1])
        disk.code = sim.pick([SimulatedDisk.inputOutputError, SimulatedDisk.noSpace])
        sim.after(sim.seconds(0.1...5)) { disk.failing = 0 }
    }

    /// A file vanishes under a running node.
    private func loseChunk(of node: SimulatedNode) {
        let held = oracle.transfers.filter { $0.isWhole && $0.link.client.node === node }.map(\.id)
        guard !held.isEmpty else { return }
        let id = sim.pick(held)
        let file = node.file(of: id)
        guard FileManager.default.fileExists(atPath: file) else { return }
        oracle.damages(id, of: node)
        do { try FileManager.default.removeItem(atPath: file) } catch { sim.fail("\(error)") }
    }

    private func changePolicy(of node: SimulatedNode) {
        guard node.follow == .everyone else { return }
        let before = node.pull
        setPolicy(of: node, sim.pick([.none, .mission("north"), .all]))
        if sim.chance(0.7) {
            sim.after(sim.seconds(1...15)) { [self] in setPolicy(of: node, before) }
        }
    }

    private func setPolicy(of node: SimulatedNode, _ policy: PullPolicy) {
        node.pull = policy
        spawn(on: node) { await $0.setPullPolicy(policy) }
    }

    private func setPeers(of node: SimulatedNode) {
        let peers = node.peers
        spawn(on: node) { await $0.setEndpoints(peers) }
    }

    private func slow(_ node: SimulatedNode) {
        let other = sim.pick(nodes.filter { $0 !== node })
        let path = network.path(node.number, other.number)
        let before = path.weather
        path.weather.rate = sim.pick([5_000, 20_000])
        path.weather.latency = .milliseconds(sim.number(20...800))
        sim.after(sim.seconds(1...15)) {
            path.weather.rate = before.rate
            path.weather.latency = before.latency
        }
    }

    private func spawn(on node: SimulatedNode, _ body: @escaping @Sendable (Replicator) async -> Void) {
        guard let process = node.process, let replicator = process.replicator else { return }
        _ = process.spawn { await body(replicator) }
    }
}
