package import Model
package import Reactor

/// Finds the nodes of the link and tells them of this one, until it is cancelled.
///
/// Its loop should be one of its own, not the one that records: libavahi-client waits for each answer of the daemon (25
/// s of one that hangs), and libavahi-core waits for a socket that cannot send.
package actor DiscoveryService {
    private enum State {
        case idle
        case running(CheckedContinuation<Void, Never>)
        case stopped
    }

    private let loop: EventLoop
    private let advertisement: Advertisement
    private let policy: ResponderPolicy
    private let log: Log
    private var state = State.idle
    private var table = SightingTable()
    private var network = Network([])
    private var changes: NetworkChanges?
    private var retry: LoopTimer?
    private var daemon: (any Responder)?
    private var daemonState = ResponderPolicy.Daemon.unknown
    private var embedded: (any Responder)?
    private var inUse = ResponderPolicy.Choice.none
    private var refused: Set<Question> = []
    private var bells: [Int: AsyncStream<Void>.Continuation] = [:]
    private var bellsMade = 0

    /// Who is there now.
    package private(set) var sightings: [PeerSighting] = []
    package private(set) var status: DiscoveryStatus

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    package init(
        loop: EventLoop, advertisement: Advertisement, mode: DiscoveryMode, interfaces: [String], log: Log
    ) {
        self.loop = loop
        self.advertisement = advertisement
        self.log = log
        policy = ResponderPolicy(mode: mode, interfaces: InterfaceChoice(names: interfaces))
        status = DiscoveryStatus(mode: mode, reason: "not started")
    }

    /// Rings once at first, and then whenever `sightings` or `status` changed.
    package func changed() -> AsyncStream<Void> {
        let (bell, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = bellsMade
        bellsMade += 1
        continuation.onTermination = { [weak self, loop] _ in
            guard let self else { return }
            loop.spawn { await self.forgetBell(number) }
        }
        if case .stopped = state {
            continuation.finish()
        } else {
            bells[number] = continuation
            continuation.yield()
        }
        return bell
    }

    private func forgetBell(_ number: Int) { bells[number] = nil }

    /// Announces and listens until the task is cancelled, then says goodbye. Once.
    package func run() async {
        guard case .idle = state else { preconditionFailure("a discovery service runs once") }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !Task.isCancelled else { return continuation.resume() }
                state = .running(continuation)
                open()
            }
        } onCancel: {
            loop.spawn { await self.end() }
        }
        close()
    }

    private func end() {
        guard case .running(let continuation) = state else { return }
        state = .stopped
        continuation.resume()
    }

    private func open() {
        guard policy.mode != .off else { return decide() }
        network = Network.current() ?? network
        retry = LoopTimer(on: loop) { [weak self] in self?.assumeIsolated { $0.askAgain() } }
        do {
            changes = try NetworkChanges(on: loop) { [weak self] error in
                self?.assumeIsolated { $0.lostChanges(error) }
            } _: { [weak self] in
                self?.assumeIsolated { $0.lookAtNetwork() }
            }
        } catch {
            lostChanges(error)
        }
        if policy.asksForDaemon {
            let daemon = DaemonResponder(on: loop, choice: policy.interfaces, network: network, log: log) {
                [weak self] events in self?.assumeIsolated { $0.daemonTold(events) }
            }
            self.daemon = daemon
            daemon.start()
        }
        decide()
    }

    private func close() {
        state = .stopped
        embedded?.stop()
        embedded = nil
        daemon?.stop()
        daemon = nil
        changes = nil
        retry = nil
        inUse = .none
        table.reset()
        sightings = []
        status.responder = .off
        status.reason = "stopped"
        status.announcedAs = nil
        for bell in bells.values {
            bell.yield()
            bell.finish()
        }
        bells = [:]
    }

    private func lostChanges(_ error: SyscallError) {
        // Without it nothing is wrong until an address changes; the operator may restart the node then.
        log.warning("changes of this host's addresses will not be announced", ("error", error))
        status.fault = "\(error)"
        ring()
    }

    private func lookAtNetwork() {
        guard let now = Network.current(), now != network else { return }
        network = now
        daemon?.networkChanged(to: now)
        embedded?.networkChanged(to: now)
        look()
    }

    // MARK: Which responder

    private func daemonTold(_ events: [ResponderEvent]) {
        for event in events {
            switch event {
            case .present:
                daemonState = .present
                if inUse == .daemon { begin(anew: daemon) }
                decide()
            case .absent(let reason):
                daemonState = .absent(reason)
                decide()
            case .record, .announced, .fault: if inUse == .daemon { heard(event) }
            }
        }
        look()
    }

    private func embeddedTold(_ events: [ResponderEvent]) {
        for event in events {
            if case .present = event { begin(anew: embedded) } else { heard(event) }
        }
        look()
    }

    private func decide() {
        let (use, why) = policy.choice(daemonState)
        status.reason = why
        guard use != inUse else { return }
        log.notice("mDNS", ("responder", use == .none ? "off" : use.rawValue), ("reason", why))
        // The old responder ends first: its goodbye and its answers would contend with what the new one announces under
        // the same name.
        if let embedded, use != .embedded {
            embedded.stop()
            self.embedded = nil
        }
        inUse = use
        table.reset()
        status.announcedAs = nil
        status.fault = nil
        status.responder = .off
        switch use {
        case .none: break
        case .daemon:
            status.responder = .daemon
            daemon?.publish(advertisement)
            begin(anew: daemon)
        case .embedded:
            status.responder = .embedded
            let embedded = EmbeddedResponder(on: loop, choice: policy.interfaces, network: network, log: log) {
                [weak self] events in self?.assumeIsolated { $0.embeddedTold(events) }
            }
            self.embedded = embedded
            embedded.publish(advertisement)
            embedded.start()
        }
        look()
    }

    // MARK: What is heard

    private func begin(anew responder: (any Responder)?) {
        table.reset()
        refused = []
        status.announcedAs = nil
        askNext(responder)
    }

    private func heard(_ event: ResponderEvent) {
        switch event {
        case .record(let change):
            // What went is taken as well from an interface that is gone.
            guard !change.appeared || listens(on: change.link.interface) else { return }
            table.apply(change)
        case .announced(let name):
            status.announcedAs = name
            status.fault = nil
            log.info("announced", ("name", name), ("responder", inUse.rawValue))
        case .fault(let reason):
            if status.fault != reason { log.warning("mDNS: \(reason)") }
            status.fault = reason
        case .absent(let reason):
            status.fault = reason
            table.reset()
        case .present: break
        }
    }

    private func listens(on index: Int32) -> Bool {
        if network.interfaces[index] == nil { network = Network.current() ?? network }
        guard let interface = network.interfaces[index] else { return false }
        return policy.interfaces.includes(interface)
    }

    private func askNext(_ responder: (any Responder)?) {
        guard let responder else { return }
        let (ask, drop) = table.nextQuestions()
        for question in drop {
            responder.drop(question)
            refused.remove(question)
        }
        put(ask, to: responder)
    }

    private func put(_ questions: some Sequence<Question>, to responder: any Responder) {
        for question in questions {
            do {
                try responder.ask(question)
                refused.remove(question)
            } catch {
                if refused.isEmpty { log.debug("a question was refused", ("error", error), ("question", question)) }
                refused.insert(question)
            }
        }
        if !refused.isEmpty { retry?.set(after: .seconds(5)) }
    }

    private func askAgain() {
        guard let responder = inUse == .daemon ? daemon : embedded else { return }
        put(refused, to: responder)
    }

    /// Draws the conclusions from what was heard, and rings where they differ from the last ones.
    private func look() {
        switch inUse {
        case .daemon: askNext(daemon)
        case .embedded: askNext(embedded)
        case .none: break
        }
        let interfaces = network.interfaces.mapValues {
            SightingTable.Interface(name: $0.name, isLoopback: $0.isLoopback)
        }
        let now = table.sightings(except: advertisement.idPrefix, interfaces: interfaces)
        var standing = status
        standing.invalidRecords = table.counters.invalid
        standing.surplusRecords = table.counters.surplus
        guard now != sightings || standing != lastRung else { return }
        sightings = now
        status = standing
        ring()
    }

    /// The status that listeners were last told of.
    private var lastRung: DiscoveryStatus?

    private func ring() {
        lastRung = status
        for bell in bells.values { bell.yield() }
    }
}
