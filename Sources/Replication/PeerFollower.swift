internal import Model
internal import Reactor
internal import Storage

/// Follows one peer for as long as it is known: dials it, for ever; compares holdings; takes its facts as they come;
/// tells it what is held here. Owns the link, and a second one that is tried while the first is suspect.
actor PeerFollower {
    let token: PeerDirectory.Token
    let surroundings: Surroundings
    var schedule = DialSchedule()
    private(set) var state = State.idle { didSet { surroundings.bell.ring() } }
    private(set) var greeting: PeerGreeting?
    private(set) var faults = FaultCounts() { didSet { surroundings.bell.ring() } }
    private(set) var lastFault: String?
    private(set) var lastContact: MonotonicTime?
    private(set) var lastEndpoint: Endpoint?
    private var connectionCount = 0
    /// Calls to the peer that are under way, and until when each may take.
    private(set) var deadlines: [Int: Deadline] = [:]
    private var callCount = 0
    /// Why the follower itself ended the link: then every call ends with `closed`, which says nothing.
    var cause: Parting?
    private var isUnreachableNoted = false
    /// Rings when there is a reason to dial before its time, and when dialling is to end.
    let dialBell = ChangeBell()
    /// Rings when there is a reason to look at the link before its time.
    let watchBell = ChangeBell()
    var suspicion = LinkSuspicion()
    /// While a second link is tried.
    var isSeeking = false
    /// Links whose greeting is awaited.
    var greetingCount = 0 { didSet { surroundings.bell.ring() } }
    /// Facts of the peer's event stream on their way to the store.
    var inbox: [[UInt8]] = []
    /// Of those that the store takes at the moment.
    var absorbing = 0
    /// Facts that the last comparison left out, as no more may be remembered.
    var unheard: Int64 = 0
    private(set) var scope: FollowScope?
    private var waiters: [CheckedContinuation<Void, Never>] = []

    var store: Store { surroundings.store }
    var venue: Venue { surroundings.venue }
    var puller: ChunkPuller { surroundings.puller }
    var log: Log { surroundings.log }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe surroundings.venue.executor.asUnownedSerialExecutor()
    }

    /// What a follower works with.
    struct Surroundings: Sendable {
        let store: Store
        let puller: ChunkPuller
        let tails: TailDesk
        let dialing: any PeerDialing
        let dials: DialDesk
        let registry: any FollowerRegistry
        let venue: Venue
        let bell: ChangeBell
        let log: Log
        let companion: PeerCompanion?
    }

    enum State {
        case idle
        case dialling
        /// It has said who it is, and the directory is asked about it.
        case greeting(Connection)
        case comparing(Connection)
        case live(Connection)
        /// It is not to be followed any more.
        case retired

        var connection: Connection? {
            switch self {
            case .idle, .dialling, .retired: nil
            case .greeting(let connection), .comparing(let connection), .live(let connection): connection
            }
        }
    }

    /// A link whose peer has said who it is.
    struct Candidate: Sendable {
        let link: any PeerLink
        let endpoint: Endpoint
        let greeting: PeerGreeting
    }

    /// One link from its greeting to its end.
    struct Connection: Sendable {
        let number: Int
        let link: any PeerLink
        let endpoint: Endpoint
        let greeting: PeerGreeting
        /// It took over from one that was suspect.
        let isReplacement: Bool

        var hasBeats: Bool { greeting.capabilities.contains("heartbeat") }
    }

    /// What is asked of a peer, in the words of a fault.
    enum Call: String { case question, facts, events, statement }

    struct Deadline {
        let call: Call
        let since: MonotonicTime
        let at: MonotonicTime
    }

    /// The connection is over, and why in the terms of counters; nil where nothing is wrong.
    struct Parting: Error {
        let fault: PeerFault?
        let reason: String
    }

    init(token: PeerDirectory.Token, surroundings: Surroundings) {
        self.token = token
        self.surroundings = surroundings
    }

    func setEndpoints(_ endpoints: [Endpoint]) {
        schedule.setEndpoints(endpoints)
        dialBell.ring()
    }

    /// Tries the peer now, whatever the schedule says.
    func hurry() {
        schedule.forgive()
        dialBell.ring()
    }

    /// An interface or an address of this host has changed.
    func networkChanged(from before: LocalNetwork, to after: LocalNetwork) async {
        schedule.hurry()
        dialBell.ring()
        guard let connection = state.connection else { return }
        let effect = after.effect(since: before, on: await connection.link.localEnd())
        guard state.connection?.number == connection.number else { return }
        switch effect {
        case .none: break
        case .doubt:
            suspicion.doubt(now: venue.now())
            watchBell.ring()
        case .gone(let reason):
            cause = Parting(fault: .broken, reason: reason)
            await connection.link.close()
        }
    }

    /// Ends the link and dials again, to hear everything anew.
    func compareAnew() async {
        guard let link = state.connection?.link else { return }
        cause = Parting(fault: nil, reason: "something is to be heard anew")
        schedule.forgive()
        await link.close()
    }

    /// Ends `run` soon.
    func retire() async {
        let link = state.connection?.link
        state = .retired
        dialBell.ring()
        wakeAll()
        await link?.close()
    }

    var isRetired: Bool { if case .retired = state { true } else { false } }

    /// Until its task is cancelled, or it is retired.
    func run() async {
        var successor: Candidate?
        while !isRetired, !Task.isCancelled {
            if let next = successor {
                successor = await serve(next, isReplacement: true)
            } else {
                state = .dialling
                guard let first = await dialUntilGreeted() else { break }
                successor = await serve(first, isReplacement: false)
            }
        }
        await successor?.link.close()
        if !isRetired { state = .idle }
    }

    // MARK: One connection

    /// Until the link ends; gives the one that took over.
    private func serve(_ candidate: Candidate, isReplacement: Bool) async -> Candidate? {
        let link = candidate.link
        guard !isRetired else {
            await link.close()
            return nil
        }
        connectionCount += 1
        let connection = Connection(
            number: connectionCount, link: link, endpoint: candidate.endpoint, greeting: candidate.greeting,
            isReplacement: isReplacement)
        state = .greeting(connection)
        lastEndpoint = candidate.endpoint
        lastContact = venue.now()
        suspicion = LinkSuspicion()
        var successor: Candidate?
        do {
            try await withThrowingTaskGroup(of: Candidate?.self) { group in
                defer { group.cancelAll() }
                group.addTask { try await self.watch(connection) }
                group.addTask {
                    try await self.converse(connection)
                    return nil
                }
                var failure: (any Error)?
                // To its end: what took over may be told after the conversation has noticed that it is over.
                while let result = await group.nextResult() {
                    group.cancelAll()
                    switch result {
                    case .success(let found): successor = found ?? successor
                    case .failure(let error): failure = failure ?? error
                    }
                }
                throw failure ?? cause ?? Parting(fault: nil, reason: "it is over")
            }
        } catch {
            await end(connection, because: error)
        }
        deadlines = [:]
        inbox = []
        absorbing = 0
        cause = nil
        isUnreachableNoted = false
        await surroundings.registry.left(token)
        if !isRetired { state = .dialling }
        return successor
    }

    private func end(_ connection: Connection, because error: any Error) async {
        guard !Task.isCancelled, !isRetired else { return }
        let parting = cause ?? Self.parting(for: error)
        switch error as? PeerLinkError {
        // Who answers what no node answers will do so again.
        case .refused?, .malformed?: schedule.refused(by: connection.endpoint, now: venue.now())
        default: break
        }
        guard let fault = parting.fault else { return }
        note(fault, parting.reason)
        log.notice(
            "lost a peer", ("peer", greeting?.name ?? "unknown"), ("endpoint", connection.endpoint),
            ("fault", fault.rawValue), ("reason", parting.reason))
    }

    private static func parting(for error: any Error) -> Parting {
        switch error {
        case let parting as Parting: parting
        case let error as PeerLinkError: Parting(fault: PeerFault(error), reason: error.description)
        case let error as StoreError: Parting(fault: .storage, reason: error.description)
        case is CancellationError: Parting(fault: nil, reason: "stopped")
        default: Parting(fault: .malformed, reason: "\(error)")
        }
    }

    func note(_ fault: PeerFault, times: Int64 = 1, _ reason: String) {
        faults.count(fault, times: times)
        lastFault = reason
    }

    /// Once an outage: it is dialled for ever, and the number of dials says nothing.
    func noteUnreachable(_ fault: PeerFault, _ reason: String) -> Bool {
        lastFault = reason
        guard !isUnreachableNoted else { return false }
        isUnreachableNoted = true
        faults.count(fault)
        return true
    }

    private func converse(_ connection: Connection) async throws {
        let greeting = connection.greeting
        let verdict = await surroundings.registry.met(token, greeting, at: connection.endpoint)
        try check(connection)
        let scope = try admit(greeting, verdict, connection)
        log.info(
            "met a peer", ("peer", greeting.name), ("id", greeting.id.short), ("role", greeting.role.rawValue),
            ("endpoint", connection.endpoint))
        let attachment = await puller.attach(
            greeting.id, connection.link, role: greeting.role, capabilities: greeting.capabilities)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { try await self.follow(connection, attachment, greeting, scope) }
                group.addTask { try await self.absorb(connection, attachment, scope) }
                group.addTask { try await self.stateHoldings(connection) }
                group.addTask { try await self.accompany(connection, greeting) }
                group.addTask { try await self.followTails(attachment, greeting, scope) }
                group.addTask { await self.detachAtEnd(attachment) }
                for _ in 0..<Limits.chunksInFlight + Limits.newsInFlight {
                    group.addTask { await self.puller.work(attachment) }
                }
                try await group.next()
            }
        } catch {
            await puller.detach(attachment)
            throw error
        }
        await puller.detach(attachment)
        throw PeerLinkError.closed
    }

    /// Whether the conversation goes on, by what the directory says of the node that answered.
    private func admit(
        _ greeting: PeerGreeting, _ verdict: PeerDirectory.Verdict, _ connection: Connection
    ) throws -> FollowScope {
        switch verdict {
        case .follow(let scope):
            self.greeting = greeting
            self.scope = scope
            return scope
        case .yourself: throw Parting(fault: .wrongIdentity, reason: "\(connection.endpoint) is this node itself")
        case .wrongIdentity(let expected):
            throw Parting(
                fault: .wrongIdentity,
                reason: "\(greeting.id.short) answers at \(connection.endpoint) instead of \(expected.prefix(16))")
        case .duplicate, .unfollowed: throw Parting(fault: nil, reason: "not followed from here")
        }
    }

    /// The group's end cancels this, and this lets those end who wait for nothing but a change.
    private func detachAtEnd(_ attachment: ChunkPuller.Attachment) async {
        do { while true { try await venue.sleep(.seconds(3600)) } } catch {
            await puller.detach(attachment)
            wakeAll()
        }
    }

    private func accompany(_ connection: Connection, _ greeting: PeerGreeting) async throws {
        if let companion = surroundings.companion {
            await companion(
                LivePeer(greeting: greeting, endpoint: connection.endpoint, link: connection.link))
        }
        while true { try await venue.sleep(.seconds(3600)) }
    }

    // MARK: Small tools of the conversation

    /// Looked at after every await that others may have used: the connection may be over.
    func check(_ connection: Connection) throws {
        guard state.connection?.number == connection.number else { throw PeerLinkError.closed }
        try Task.checkCancellation()
    }

    func become(_ new: State) { if !isRetired { state = new } }

    /// One call to the peer; the link is ended where it takes longer. An answer is a sign of life.
    func within<Answer: Sendable>(
        _ limit: Duration, _ call: Call, _ body: () async throws -> Answer
    ) async throws -> Answer {
        callCount += 1
        let number = callCount
        let now = venue.now()
        deadlines[number] = Deadline(call: call, since: now, at: now.advanced(by: limit))
        defer { deadlines[number] = nil }
        let answer = try await body()
        lastContact = venue.now()
        return answer
    }

    /// Returns after the inbox has changed, or the conversation has ended.
    func change() async {
        await withCheckedContinuation { waiter in
            // The end may have come on the way here, and nobody wakes after it.
            if Task.isCancelled || isRetired { waiter.resume() } else { waiters.append(waiter) }
        }
    }

    func wakeAll() {
        let woken = waiters
        waiters = []
        for waiter in woken { waiter.resume() }
    }
}
