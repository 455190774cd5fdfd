internal import Model
internal import Reactor
internal import Replication

/// Tells the links when an interface of this host loses its carrier or an address, and when it has one again.
actor NetworkService: Service {
    nonisolated let name = "network"
    private let loop: EventLoop
    private let replicator: Replicator
    private let log: Log

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(on loop: EventLoop, replicator: Replicator, log: Log) {
        self.loop = loop
        self.replicator = replicator
        self.log = log
    }

    func run() async {
        let (changes, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        var watch: NetworkChanges?
        do {
            watch = try NetworkChanges(on: loop) { [log] error in
                Self.warn(log, error)
            } _: {
                bell.yield()
            }
        } catch {
            Self.warn(log, error)
        }
        await look()
        for await _ in changes { await look() }
        withExtendedLifetime(watch) {}
        watch = nil
    }

    /// Where the kernel does not say, nothing is known to have changed.
    private func look() async {
        guard let network = LocalNetwork.current() else { return }
        await replicator.networkChanged(to: network)
    }

    /// The links' heartbeats notice it too, only later.
    private static func warn(_ log: Log, _ error: SyscallError) {
        log.warning("changes of this host's interfaces are not heard of", ("error", error))
    }
}
