internal import HTTP
internal import Model
internal import Reactor
internal import Storage

/// One client's event stream: `hello`, then each fact as it enters the log, between them `status` when something
/// happened to the store and `tail` when open chunks have grown, comments while nothing does. Pulled, so that a slow
/// client costs nothing but its place.
actor EventFeed {
    private enum State {
        case greeting
        case following(after: Int64)
        /// Nothing lies between `after` and `head`, which need not be asked again.
        case waiting(after: Int64, head: Int64)
    }

    private let loop: EventLoop
    private let store: Store
    private let growth: GrowthWatch
    private let news: @Sendable () -> PeerWatch.News
    private let author: NodeID?
    private let start: Int64?
    private let heartbeat: Duration
    private let place: StreamPlaces.Place
    private var state = State.greeting
    /// What the client knows of the store's health; at first that nothing ever happened to it.
    private var toldVersion: Int64 = 0
    private var toldNews: Int64 = 0
    private var toldAt: MonotonicTime?
    private var tails = TailBells()

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// From behind `start`; nil begins at the head.
    init(
        on loop: EventLoop, store: Store, growth: GrowthWatch, news: @escaping @Sendable () -> PeerWatch.News,
        author: NodeID?, start: Int64?, heartbeat: Duration, place: StreamPlaces.Place
    ) {
        self.news = news
        self.loop = loop
        self.store = store
        self.growth = growth
        self.author = author
        self.start = start
        self.heartbeat = heartbeat
        self.place = place
    }

    /// The next piece for the wire; nil ends the stream, when the node stops.
    func next() async throws -> [UInt8]? {
        switch state {
        case .greeting:
            let head = await store.head()
            // A head beyond ours is another process's or another log's: hello and the head tell the follower.
            state = .following(after: min(start ?? head, head))
            return ServerSentEvent.bytes(
                name: "hello", data: WireJSON.encode(HelloForm(epoch: store.incarnation, head: head)))
        case .following(let seq): return try await piece(after: seq)
        case .waiting(let seq, let head): return try await wait(after: seq, head: head)
        }
    }

    /// What has no number: how the store is, and which open chunks have grown.
    private func word(now: MonotonicTime) -> [UInt8]? {
        status(now: now) ?? tails.bells(store, of: author, now: now)
    }

    /// Before the facts, which wait for the disk: of one that hangs, this tells.
    private func status(now: MonotonicTime) -> [UInt8]? {
        guard hasStatus, statusDelay(now: now) == .zero else { return nil }
        let (health, news) = (store.health, news())
        (toldVersion, toldNews, toldAt) = (health.version, news.version, now)
        let form = StatusEventForm(store: StoreHealthForm(health), peers: news.version > 0 ? news.peers : nil)
        return ServerSentEvent.bytes(name: "status", data: WireJSON.encode(form))
    }

    private var hasStatus: Bool { store.health.version > toldVersion || news().version > toldNews }

    /// How long until another may be told.
    private func statusDelay(now: MonotonicTime) -> Duration {
        toldAt.map { max(.zero, now.duration(to: $0.advanced(by: Limits.statusEventInterval))) } ?? .zero
    }

    private func piece(after seq: Int64) async throws -> [UInt8]? {
        if let word = word(now: SystemClock.monotonic()) { return word }
        let head = await store.head()
        let facts = try await store.facts(after: seq, limit: Limits.factsPerEventPiece)
        if let last = facts.last {
            state = .following(after: last.seq)
            let shown = facts.filter { author == nil || $0.author == author }
            if !shown.isEmpty { return shown.flatMap(bytes) }
            return ServerSentEvent.comment()
        }
        // Beyond the head of just now: where the newest lines are damaged there is nothing to give, and no use in
        // asking again.
        state = .waiting(after: seq, head: head)
        return try await wait(after: seq, head: head)
    }

    private func wait(after seq: Int64, head: Int64) async throws -> [UInt8]? {
        let isBehind = hasStatus
        let delay = statusDelay(now: SystemClock.monotonic())
        let grown = await growth.grows(
            beyond: max(seq, head), within: isBehind ? min(delay, heartbeat) : heartbeat)
        // The node stops, or the client has gone: an end in order, and no broken answer.
        if Task.isCancelled { return nil }
        if let word = word(now: SystemClock.monotonic()) { return word }
        guard grown else { return ServerSentEvent.comment() }
        state = .following(after: seq)
        return try await piece(after: seq)
    }

    private func bytes(_ fact: LoggedFact) -> [UInt8] {
        ServerSentEvent.bytes(name: fact.kind, id: "\(store.incarnation)-\(fact.seq)", data: fact.bytes)
    }
}

/// Where a follower wants to go on: `Last-Event-ID` or `?after=`.
struct EventStart {
    /// Nil: at the head.
    let seq: Int64?

    init(_ request: HTTPRequest, epoch: Incarnation) throws(CallError) {
        if let text = request.query("after") {
            guard let seq = Int64(text), seq >= 0 else { throw .invalid("after= is a position in this log") }
            self.seq = seq
        } else if let id = request.headers["Last-Event-ID"] {
            let parts = id.split(separator: "-")
            // Another epoch's position says nothing here: hello and the head.
            guard parts.count == 2, Incarnation(parts[0]) == epoch, let seq = Int64(parts[1]), seq >= 0 else {
                self.seq = nil
                return
            }
            self.seq = seq
        } else {
            seq = nil
        }
    }
}
