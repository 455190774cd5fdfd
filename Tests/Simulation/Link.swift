import Model
import Reactor
import Replication
import Storage

/// One link from a process to another: every call that is under way ends when it does.
final class Link: PeerLink, @unchecked Sendable {
    let number: Int
    let network: Network
    let client: NodeProcess
    let server: NodeProcess
    /// It carries nothing any more, and neither end knows.
    var isHole = false
    private(set) var isOver = false
    /// When a byte last came to the client, and one that was no event.
    private(set) var lastHeard: Int64?
    private(set) var lastMoved: Int64?
    private var enders: [Int: (PeerLinkError) -> Void] = [:]
    private var callCount = 0

    init(number: Int, network: Network, client: NodeProcess, server: NodeProcess) {
        self.number = number
        self.network = network
        self.client = client
        self.server = server
    }

    var sim: Simulator { network.sim }

    func joins(_ one: Int, _ other: Int) -> Bool {
        Set([client.node.number, server.node.number]) == Set([one, other])
    }

    // MARK: The end

    func close() async { end(with: .closed) }

    /// By the network or the other side.
    func breakOff() { end(with: .closed) }

    func end(with error: PeerLinkError) {
        guard !isOver else { return }
        isOver = true
        sim.trace.note(sim.now, "link \(number) ends")
        for (_, ender) in enders.sorted(by: { $0.key < $1.key }) { ender(error) }
        enders = [:]
        network.forget(self)
    }

    func atEnd(_ ender: @escaping (PeerLinkError) -> Void) throws -> Int {
        guard !isOver else { throw PeerLinkError.closed }
        callCount += 1
        enders[callCount] = ender
        return callCount
    }

    /// What was to end with the link is over before.
    func release(_ call: Int) { enders[call] = nil }

    // MARK: Calls

    func toServer(_ bytes: Int, _ arrive: @escaping () -> Void) {
        network.send(bytes, from: client.node.number, to: server.node.number, on: self) { [self] in
            guard !isOver else { return }
            // Whoever is there now does not know this connection.
            guard server.isServing else { return breakOff() }
            arrive()
        }
    }

    func toClient(_ bytes: Int, isEvent: Bool = false, _ arrive: @escaping () -> Void) {
        network.send(bytes, from: server.node.number, to: client.node.number, on: self) { [self] in
            guard !isOver else { return }
            lastHeard = sim.now
            if !isEvent { lastMoved = sim.now }
            arrive()
        }
    }

    /// A question and its answer.
    private func call<Answer: Sendable>(
        _ name: StaticString, size: Int = 300, answerSize: @escaping @Sendable (Answer) -> Int = { _ in 300 },
        _ body: @escaping @Sendable (NodeProcess) async throws -> Answer
    ) async throws -> Answer {
        let inbox = Inbox<Answer>()
        var task: Task<Void, Never>?
        let number = try atEnd {
            inbox.fail($0)
            task?.cancel()
        }
        sim.trace.note(sim.now, "link \(self.number): \(name)")
        toServer(size) { [self] in
            task = server.spawn { [self, server] in
                let result: Result<Answer, PeerLinkError>
                do { result = .success(try await body(server)) } catch { result = .failure(Self.answer(to: error)) }
                toClient((try? result.get()).map(answerSize) ?? 100) {
                    switch result {
                    case .success(let answer): inbox.put(answer)
                    case .failure(let error): inbox.fail(error)
                    }
                }
            }
        }
        defer { enders[number] = nil }
        guard let answer = try await inbox.next() else { throw PeerLinkError.closed }
        return answer
    }

    private static func answer(to error: any Error) -> PeerLinkError {
        switch error {
        case let error as PeerLinkError: error
        case let error as StoreError:
            // As the routes answer: no such chunk, or an error of its own.
            if case .notFound = error { .notFound } else { .refused(status: 503, reason: error.description) }
        default: .closed
        }
    }

    func greeting() async throws -> PeerGreeting { try await call("greeting") { await $0.greeting() } }

    func have(author: NodeID?) async throws -> HaveAnswer {
        try await call("have") { try await $0.have(author: author) }
    }

    func postHave(_ statement: HoldingsStatement) async throws -> Bool {
        network.oracle?.stated(statement, by: client, to: server)
        var holdings = statement.holdings
        if network.lies {
            holdings.insert(FactName(author: server.node.id, incarnation: server.incarnation, n: 1_000_000))
        }
        let heard = HoldingsStatement(
            epoch: statement.epoch, head: statement.head, isWhole: statement.isWhole, holdings: holdings)
        return try await call("statement") { [client] in try await $0.took(heard, from: client) }
    }

    func facts(in ranges: Holdings) async throws -> FactsAnswer {
        try await call("facts", answerSize: { $0.facts.reduce(100) { $0 + $1.count } }) {
            try await $0.facts(in: ranges)
        }
    }

    // MARK: Streams

    func events(after seq: Int64?, author: NodeID?) async throws -> any PeerEvents {
        let inbox = Inbox<PeerEvent>()
        var task: Task<Void, Never>?
        _ = try atEnd {
            inbox.fail($0)
            task?.cancel()
        }
        let order = Order()
        toServer(300) { [self] in
            task = server.spawn { [self, server] in
                await server.sendEvents(after: seq, author: author) { [self] event in
                    let place = order.next()
                    toClient(300, isEvent: true) { order.arrived(place) { inbox.put(event) } }
                }
            }
        }
        return Events(inbox: inbox)
    }

    private struct Events: PeerEvents {
        let inbox: Inbox<PeerEvent>
        func next() async throws -> PeerEvent? { try await inbox.next() }
    }

    func chunk(_ id: ChunkID, from offset: Int64, rank: PullRank) async throws -> any ChunkTransfer {
        let transfer = Transfer(id: id, offset: offset, of: self)
        var task: Task<Void, Never>?
        let head = Inbox<Int64>()
        let number = try atEnd {
            head.fail($0)
            transfer.over($0)
            task?.cancel()
        }
        transfer.atEnd = { [weak self] in
            self?.enders[number] = nil
            task?.cancel()
        }
        network.oracle?.requested(transfer)
        toServer(300) { [self] in
            task = server.spawn { [self, server] in
                do {
                    try await server.send(transfer, { length in toClient(200) { head.put(length) } })
                } catch {
                    let answer = Self.answer(to: error)
                    toClient(100) {
                        head.fail(answer)
                        transfer.over(answer)
                    }
                }
            }
        }
        do {
            guard let length = try await head.next() else { throw PeerLinkError.closed }
            transfer.totalLength = length
            return transfer
        } catch {
            transfer.over(error as? PeerLinkError ?? .closed)
            throw error
        }
    }

    /// For the server's side: a piece of a chunk, or its end.
    func deliver(_ piece: [UInt8]?, of transfer: Transfer) {
        let place = transfer.order.next()
        toClient(piece?.count ?? 10) { transfer.order.arrived(place) { transfer.arrived(piece) } }
    }
}

/// Bytes of one connection come in the order in which they were sent, whatever happened to their packets.
final class Order: @unchecked Sendable {
    private var sent = 0
    private var due = 0
    private var waiting: [Int: () -> Void] = [:]

    func next() -> Int {
        sent += 1
        return sent - 1
    }

    func arrived(_ place: Int, _ body: @escaping () -> Void) {
        waiting[place] = body
        while let next = waiting.removeValue(forKey: due) {
            due += 1
            next()
        }
    }
}

/// A chunk on its way, with what the judge has to know of it.
final class Transfer: ChunkTransfer, @unchecked Sendable {
    let id: ChunkID
    let offset: Int64
    let link: Link
    let order = Order()
    var totalLength: Int64 = 0
    var atEnd: (() -> Void)?
    private let inbox = Inbox<[UInt8]>()
    /// Bytes that the reader was given.
    private(set) var read: Int64 = 0
    private(set) var isWhole = false
    private(set) var isOver = false
    /// Calls that the reader's disk had failed by then.
    var failuresBefore = 0
    /// The weather changed a byte of it.
    var isCorrupt = false
    /// When the reader was last given something.
    private(set) var lastRead: Int64

    init(id: ChunkID, offset: Int64, of link: Link) {
        self.id = id
        self.offset = offset
        self.link = link
        lastRead = link.sim.now
    }

    func arrived(_ piece: [UInt8]?) {
        guard !isOver else { return }
        if let piece { inbox.put(piece) } else { inbox.finish() }
    }

    func over(_ error: PeerLinkError) {
        guard !isOver else { return }
        isOver = true
        inbox.fail(error)
        atEnd?()
        atEnd = nil
    }

    func next() async throws -> [UInt8]? {
        do {
            if let piece = try await inbox.next() {
                read += Int64(piece.count)
                lastRead = link.sim.now
                return piece
            }
        } catch {
            over(error as? PeerLinkError ?? .closed)
            throw error
        }
        let isShort = offset + read < totalLength
        isWhole = !isShort
        over(.closed)
        if isShort { throw PeerLinkError.cutOff }
        return nil
    }

    func close() async { over(.closed) }
}
