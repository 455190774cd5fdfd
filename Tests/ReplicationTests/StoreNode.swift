import FoundationEssentials
import Model
import Reactor
import Replication

@testable import Storage

/// A directory that is removed, and the threads of its stores.
final class Scratch: Sendable {
    let path: String
    let lanes = Store.Lanes()

    init() throws {
        // In memory where that is to be had: what is durable is another suite's concern.
        let memory = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : nil
        let root = memory ?? FileManager.default.temporaryDirectory.path
        path = "\(root)/qnode-replication-\(UniqueID.random())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        lanes.stop()
        // A leftover in the temporary directory harms nobody.
        try? FileManager.default.removeItem(atPath: path)
    }

    /// A directory as it is at this moment.
    func copy(_ name: String, to other: String) throws {
        try FileManager.default.copyItem(atPath: "\(path)/\(name)", toPath: "\(path)/\(other)")
    }

    /// The lock goes with the last reference to an earlier store of this directory; who keeps one for ever is found by
    /// the time limit.
    func open(_ name: String, node: NodeID) async throws -> Store {
        while true {
            do {
                return try await Store.open(
                    "\(path)/\(name)", node: node, incarnation: .random(), lanes: lanes, view: .off, log: .silent)
            } catch {
                guard case .inUse = error else { throw error }
                try Task.checkCancellation()
                await Task.yield()
            }
        }
    }
}

/// A real store with a replicator, reachable by others through the network of the test.
final class StoreNode: PeerScript {
    let store: Store
    let endpoint: Endpoint
    let replicator: Replicator
    let loop: EventLoop
    private let role: Role
    private let capabilities: Set<String>
    /// What was asked for and served, for tests that count.
    private let counts = Locked(Served())
    private let running: Task<Void, any Error>

    init(
        _ store: Store, at endpoint: Endpoint, on network: Network, loop: EventLoop, role: Role = .vehicle,
        follow: FollowPolicy = .everyone, pull: PullPolicy = .all, speed: Double = 1, log: Log = .silent,
        capabilities: Set<String> = ["tail"]
    ) {
        self.capabilities = capabilities
        self.store = store
        self.endpoint = endpoint
        self.loop = loop
        self.role = role
        let replicator = Replicator(
            store: store, dialing: network.dialer(for: store.node), follow: follow, pull: pull,
            venue: .quickened(loop, by: speed), log: log)
        self.replicator = replicator
        running = loop.spawn { await replicator.run() }
        network.plug(self, at: endpoint)
    }

    /// Ends everything this node does; its store can be opened again when the last reference to it is gone.
    func stop() async throws {
        running.cancel()
        _ = await running.result
        try await store.close()
    }

    func greeting() async throws -> PeerGreeting {
        PeerGreeting(
            id: store.node, name: endpoint.host, role: role, version: "test", epoch: store.incarnation,
            head: await store.head(), capabilities: capabilities)
    }

    func have(author: NodeID?) async throws -> HaveAnswer {
        let (holdings, head) = try await store.holdings()
        let asked = author.map { author in holdings.filtered { $0 == author } } ?? holdings
        return HaveAnswer(head: head, epoch: store.incarnation, holdings: asked)
    }

    func took(_ statement: HoldingsStatement, from node: NodeID) async throws {
        _ = await replicator.peerStated(node, statement)
    }

    func facts(in ranges: Holdings) async throws -> FactsAnswer {
        let (facts, more) = try await store.facts(in: ranges, byteLimit: 20_000)
        return FactsAnswer(facts: facts.map(\.bytes), hasMore: more)
    }

    func sendEvents(after seq: Int64?, author: NodeID?, to mailbox: Mailbox<PeerEvent>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await Heart.beat(mailbox) }
            group.addTask { try await self.sendFacts(after: seq, author: author, to: mailbox) }
            group.addTask { await self.sendBells(to: mailbox) }
            try await group.next()
        }
    }

    private func sendFacts(after seq: Int64?, author: NodeID?, to mailbox: Mailbox<PeerEvent>) async throws {
        let head = await store.head()
        mailbox.put([.hello(epoch: store.incarnation, head: head)])
        var cursor = seq ?? head
        for await _ in store.growth() {
            while true {
                let facts = try await store.facts(after: cursor, limit: 64)
                guard let last = facts.last else { break }
                cursor = last.seq
                mailbox.put(
                    facts.filter { author == nil || RecordedFact(parsing: $0.bytes)?.fact.name.author == author }
                        .map { .fact(seq: $0.seq, epoch: store.incarnation, kind: $0.kind, bytes: $0.bytes) })
            }
        }
    }

    private func sendBells(to mailbox: Mailbox<PeerEvent>) async {
        let (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        store.ringTails(bell)
        bell.yield()
        for await _ in rings {
            mailbox.put(
                store.openLengths(since: 0).chunks.map { slot, length in
                    .tail(
                        author: slot.author, session: slot.session, stream: slot.stream, index: slot.index,
                        length: length)
                })
        }
    }

    func sendTail(_ request: TailRequest, to mailbox: Mailbox<TailFrame>) async throws {
        let (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        store.ringTails(bell, of: request.authors)
        let reader = store.tail(request)
        counts.withLock { $0.tails.append(request) }
        mailbox.put([.heartbeat])
        bell.yield()
        var isTold = false
        for await _ in rings {
            while true {
                let frames = try await reader.next()
                if !frames.isEmpty { isTold = false }
                if reader.isCaughtUp, !isTold {
                    mailbox.put(frames + [.caughtUp])
                    isTold = true
                } else if frames.isEmpty {
                    break
                } else {
                    mailbox.put(frames)
                }
                counts.withLock { served in for frame in frames { served.add(frame) } }
            }
        }
        throw PeerLinkError.closed
    }

    /// What others got of this node's chunks.
    struct Served {
        var chunks: [(id: ChunkID, from: Int64)] = []
        var tails: [TailRequest] = []
        /// Bytes by tails, and how often each was sent.
        var pieces: [ChunkSlot: [Range<Int64>]] = [:]

        fileprivate mutating func add(_ frame: TailFrame) {
            guard case .commit(let piece, _) = frame else { return }
            pieces[piece.slot, default: []].append(piece.offset..<piece.offset + Int64(piece.bytes.count))
        }

        var tailBytes: Int64 { pieces.values.joined().reduce(0) { $0 + Int64($1.count) } }
    }
    var served: Served { counts.withLock { $0 } }

    func chunk(_ id: ChunkID, from offset: Int64) async throws -> ChunkScript {
        counts.withLock { $0.chunks.append((id, offset)) }
        do {
            let file = try await store.openChunk(id)
            return .honest(try file.read(count: Int(file.length), at: 0), from: offset)
        } catch StoreError.notFound { throw PeerLinkError.notFound }
    }
}

/// Signs of life on event streams, often enough for time that is quickened tenfold.
enum Heart {
    private static let loop = EventLoop(name: "heart")

    /// Until the link ends.
    static func beat(_ mailbox: Mailbox<PeerEvent>) async throws {
        while true {
            try await loop.sleep(for: .milliseconds(200))
            mailbox.put([.heartbeat])
        }
    }
}

extension StoreNode {
    /// A session with this many chunks, each of some rows that occur nowhere else.
    @discardableResult
    func record(chunks: Int, rowBytes: Int = 40) async throws -> SessionID {
        try await store.recordSession(chunks: chunks, rowBytes: rowBytes)
    }
}

extension Store {
    @discardableResult
    func recordSession(chunks: Int, rowBytes: Int = 40) async throws -> SessionID {
        let stream = StreamDescription(name: .data, format: .jsonl, columns: [])
        let session = try await startSession(SessionOpening(mission: "dive", streams: [stream]))
        try await addChunks(chunks, to: session, rowBytes: rowBytes)
        return session
    }

    func addChunks(_ count: Int, to session: SessionID, rowBytes: Int = 40) async throws {
        for _ in 0..<count {
            let row = Array("\(UniqueID.random())".utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: rowBytes)
            let at = ClockPair(SystemClock.reading())
            _ = try await commit([
                RowBatch(
                    session: session, stream: .data, bytes: row + [UInt8(ascii: "\n")], rows: 1, first: at, last: at)
            ])
            _ = try await seal(session)
        }
    }

    /// Returns as soon as it is so; the test's time limit is the deadline.
    func waitUntil(_ condition: (Holdings) async throws -> Bool) async throws {
        for await _ in growth() where try await condition(holdings().holdings) { return }
        throw CancellationError()
    }

    /// Facts of these names are held.
    func waitUntilHeld(_ wanted: Holdings) async throws { try await waitUntil { wanted.subtracting($0).isEmpty } }
}

extension Replicator {
    /// Returns as soon as it is so; the test's time limit is the deadline.
    func waitUntil(_ condition: ([PeerReport]) async throws -> Bool) async throws {
        for await _ in changes() where try await condition(reports()) { return }
        throw CancellationError()
    }
}

extension Venue {
    /// Time passes more quickly than it does: time-outs of seconds are not waited for in tests.
    static func quickened(_ loop: EventLoop, by factor: Double) -> Venue {
        let start = SystemClock.monotonic()
        return Venue(
            executor: loop,
            now: {
                let passed = Double(start.duration(to: SystemClock.monotonic()).nanoseconds)
                return MonotonicTime(nanoseconds: start.nanoseconds + Int64(passed * factor))
            }, realtime: { SystemClock.reading().realtime },
            sleep: { try await loop.sleep(for: .nanoseconds(Int64(Double($0.nanoseconds) / factor))) })
    }
}
