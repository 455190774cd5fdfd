import Model
import Reactor

@testable import Replication
@testable import Storage

/// A peer without a store: facts and chunks made up, and answers that a test may bend.
final class InventedPeer: PeerScript {
    struct Bends: Sendable {
        var greeting: (@Sendable () async throws -> PeerGreeting)?
        var have: (@Sendable (HaveAnswer) async throws -> HaveAnswer)?
        var facts: (@Sendable (FactsAnswer) async throws -> FactsAnswer)?
        /// The honest delivery, and how often this chunk was asked for before.
        var chunk: (@Sendable (ChunkID, ChunkScript, Int) async throws -> ChunkScript)?
        var events: (@Sendable (Int64?, Mailbox<PeerEvent>) async throws -> Void)?
        var tail: (@Sendable (Mailbox<TailFrame>) async throws -> Void)?
        var statement: (@Sendable (HoldingsStatement) async throws -> Void)?
        var turn: (@Sendable (PullTurn) async throws -> Void)?
        var afterBundle: (@Sendable () throws -> BundleStep?)?
    }

    private struct State {
        var bends = Bends()
        var asked: [ChunkID: [Int64]] = [:]
        var haves = 0
    }

    let node: NodeID
    let epoch = Incarnation.random()
    let facts: [RecordedFact]
    let chunks: [ChunkID]
    private let bytes: [ChunkID: [UInt8]]
    private let state = Locked(State())

    /// `author` is the session's, which need not be this peer.
    init(_ number: Int, author: Int? = nil, chunks count: Int, bytes size: @Sendable (Int) -> Int = { _ in 100 }) {
        node = Sample.node(number)
        let author = Sample.node(author ?? number)
        let process = Sample.process(77)
        let session = SessionID(high: 1, low: UInt64(number))
        let at = ClockReading(realtime: 1_000, boottime: 1_000, bootID: BootID(high: 1, low: 1))
        func fact(_ n: Int, _ body: Fact.Body) -> RecordedFact {
            let name = FactName(author: author, incarnation: process, n: Int64(n))
            return RecordedFact(encoding: Fact(name: name, session: session, at: at, body: body))
        }
        let stream = StreamDescription(name: .data, format: .jsonl, columns: [])
        var facts = [fact(1, .session(SessionOpening(mission: "m", streams: [stream])))]
        var bytes: [ChunkID: [UInt8]] = [:]
        var chunks: [ChunkID] = []
        for index in 0..<count {
            let word = UInt64(index) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number)
            let content = (0..<size(index)).map {
                UInt8(truncatingIfNeeded: word >> UInt64($0 % 8 * 8) &+ UInt64($0 / 8))
            }
            let id = ChunkDigester.digest(of: content)
            bytes[id] = content
            chunks.append(id)
            let time = ClockPair(realtime: Int64(index), boottime: Int64(index))
            facts.append(
                fact(
                    index + 2,
                    .chunk(
                        ChunkFact(
                            stream: .data, index: Int64(index), sha256: id, bytes: Int64(content.count), rows: 1,
                            firstRow: Int64(index), first: time, last: time))))
        }
        self.facts = facts
        self.bytes = bytes
        self.chunks = chunks
    }

    func bend(_ change: @Sendable (inout Bends) -> Void) { state.withLock { change(&$0.bends) } }
    private var bends: Bends { state.withLock { $0.bends } }

    var holdings: Holdings { facts.reduce(into: Holdings()) { $0.insert($1.fact.name) } }
    /// From which offsets this chunk was asked for.
    func asked(for id: ChunkID) -> [Int64] { state.withLock { $0.asked[id] ?? [] } }
    /// Each that arrived, whether it was wanted or not.
    let statements = Mailbox<HoldingsStatement>()
    var haveCount: Int { state.withLock { $0.haves } }

    func greeting() async throws -> PeerGreeting {
        if let bend = bends.greeting { return try await bend() }
        return greeting([])
    }

    func greeting(_ capabilities: Set<String>) -> PeerGreeting {
        PeerGreeting(
            id: node, name: "invented", role: .vehicle, version: "0", epoch: epoch, head: Int64(facts.count),
            capabilities: capabilities)
    }

    func have(author: NodeID?) async throws -> HaveAnswer {
        state.withLock { $0.haves += 1 }
        let answer = HaveAnswer(head: Int64(facts.count), epoch: epoch, holdings: holdings)
        return try await bends.have?(answer) ?? answer
    }

    func took(_ statement: HoldingsStatement, from node: NodeID) async throws {
        // Decided first: who reads the statement may straighten the peer at once.
        let bend = bends.statement
        statements.put([statement])
        try await bend?(statement)
    }

    func facts(in ranges: Holdings) async throws -> FactsAnswer {
        let asked = facts.filter { ranges.contains($0.fact.name) }
        let answer = FactsAnswer(facts: asked.prefix(2_000).map(\.bytes), hasMore: asked.count > 2_000)
        return try await bends.facts?(answer) ?? answer
    }

    func sendEvents(after seq: Int64?, author: NodeID?, to mailbox: Mailbox<PeerEvent>) async throws {
        if let bend = bends.events { return try await bend(seq, mailbox) }
        mailbox.put([.hello(epoch: epoch, head: Int64(facts.count))])
        try await Heart.beat(mailbox)
    }

    func chunk(_ id: ChunkID, from offset: Int64) async throws -> ChunkScript {
        let before = state.withLock { state in
            state.asked[id, default: []].append(offset)
            return state.asked[id, default: []].count - 1
        }
        guard let content = bytes[id] else { throw PeerLinkError.notFound }
        let honest = ChunkScript.honest(content, from: offset)
        return try await bends.chunk?(id, honest, before) ?? honest
    }

    func turn(_ turn: PullTurn) async throws { try await bends.turn?(turn) }
    func afterBundle() throws -> BundleStep? { try bends.afterBundle?() }

    func content(of id: ChunkID) -> [UInt8]? { bytes[id] }

    func sendTail(_ request: TailRequest, to mailbox: Mailbox<TailFrame>) async throws {
        guard let tail = bends.tail else { throw PeerLinkError.refused(status: 404, reason: "no tails") }
        mailbox.put([.heartbeat])
        try await tail(mailbox)
    }

    /// Until the link ends.
    static func forever() async throws {
        let (never, keep) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        for await _ in never {}
        keep.finish()
        throw PeerLinkError.closed
    }
}
