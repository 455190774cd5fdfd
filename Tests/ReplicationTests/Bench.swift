import Model
import Reactor

@testable import Replication
@testable import Storage

/// Several real stores and a network between them.
final class Bench {
    let loop = EventLoop(name: "test")
    let network = Network()
    let scratch: Scratch
    /// How much more quickly time passes for the nodes: a busy machine is slow, so no more than a test needs.
    let speed: Double
    private(set) var nodes: [StoreNode] = []

    init(speed: Double = 1) throws {
        self.speed = speed
        scratch = try Scratch()
    }

    func node(
        _ number: Int, folder: String? = nil, role: Role = .vehicle, follow: FollowPolicy = .everyone,
        pull: PullPolicy = .all, log: Log = .silent, capabilities: Set<String> = ["tail"]
    ) async throws -> StoreNode {
        let store = try await scratch.open(folder ?? "\(number)", node: Sample.node(number))
        let node = StoreNode(
            store, at: Endpoint(host: "host\(number)", port: 1), on: network, loop: loop, role: role, follow: follow,
            pull: pull, speed: speed, log: log, capabilities: capabilities)
        nodes.append(node)
        return node
    }

    /// The process of this node ends; others find nobody at its address.
    func kill(_ number: Int) async throws {
        guard let position = nodes.firstIndex(where: { $0.store.node == Sample.node(number) }) else { return }
        let node = nodes.remove(at: position)
        await network.unplug(node.endpoint)
        try await node.stop()
    }

    func end() async throws {
        for node in nodes {
            await network.unplug(node.endpoint)
            try await node.stop()
        }
        nodes = []
        loop.stop()
    }
}
