import Model
import Reactor
import Replication
import Storage

/// What a peer of the tests answers, truly or not.
protocol PeerScript: Sendable {
    func greeting() async throws -> PeerGreeting
    func have(author: NodeID?) async throws -> HaveAnswer
    func took(_ statement: HoldingsStatement, from node: NodeID) async throws
    func facts(in ranges: Holdings) async throws -> FactsAnswer
    /// Fills the mailbox until the link ends, which cancels it.
    func sendEvents(after seq: Int64?, author: NodeID?, to mailbox: Mailbox<PeerEvent>) async throws
    func chunk(_ id: ChunkID, from offset: Int64) async throws -> ChunkScript
    /// Fills the mailbox until the tail or the link ends, which cancels it.
    func sendTail(_ request: TailRequest, to mailbox: Mailbox<TailFrame>) async throws
    /// Before a chunk's request is sent.
    func turn(_ turn: PullTurn) async throws
    /// What comes behind the last chunk of a bundle.
    func afterBundle() throws -> BundleStep?
}

extension PeerScript {
    func sendTail(_ request: TailRequest, to mailbox: Mailbox<TailFrame>) async throws {
        throw PeerLinkError.refused(status: 404, reason: "an older release")
    }

    func turn(_ turn: PullTurn) async throws {}
    func afterBundle() throws -> BundleStep? { nil }
}

/// How a chunk is delivered.
struct ChunkScript: Sendable {
    var totalLength: Int64
    var pieces: [[UInt8]]
    var ending = Ending.whole
    /// What passes before each piece.
    var pace: (@Sendable () async throws -> Void)?

    enum Ending: Sendable {
        case whole
        case cutOff
        /// The whole link ends in the middle.
        case linkBreaks
        /// Nothing more comes.
        case silence
    }

    static func honest(_ bytes: [UInt8], from offset: Int64) -> Self {
        let rest = Array(bytes.dropFirst(Int(offset)))
        let pieces = stride(from: 0, to: rest.count, by: 100_000).map {
            Array(rest[$0..<min(rest.count, $0 + 100_000)])
        }
        return Self(totalLength: Int64(bytes.count), pieces: pieces)
    }
}

/// The outside world: peers at addresses, that can be unplugged.
final class Network: Sendable {
    private struct State {
        var peers: [Endpoint: any PeerScript] = [:]
        var links: [Endpoint: [Link]] = [:]
        var dials: [Endpoint: Int] = [:]
    }

    private let state = Locked(State())

    func plug(_ script: some PeerScript, at endpoint: Endpoint) { state.withLock { $0.peers[endpoint] = script } }

    func unplug(_ endpoint: Endpoint) async {
        state.withLock { $0.peers[endpoint] = nil }
        await cut(endpoint)
    }

    /// Ends the links to this address; it may be dialled again.
    func cut(_ endpoint: Endpoint) async {
        for link in state.withLock({ $0.links.removeValue(forKey: endpoint) ?? [] }) { await link.close() }
    }

    func dials(of endpoint: Endpoint) -> Int { state.withLock { $0.dials[endpoint] ?? 0 } }
    func openLinks(to endpoint: Endpoint) -> Int {
        state.withLock { $0.links[endpoint] ?? [] }.filter { !$0.isClosed }.count
    }

    func dialer(for node: NodeID) -> Dialer { Dialer(network: self, node: node) }

    struct Dialer: PeerDialing {
        let network: Network
        let node: NodeID

        func dial(_ endpoint: Endpoint) async throws -> any PeerLink {
            let script = network.state.withLock { state in
                state.dials[endpoint, default: 0] += 1
                return state.peers[endpoint]
            }
            guard let script else { throw PeerLinkError.unreachable(reason: "unplugged") }
            let link = Link(script: script, node: node)
            network.state.withLock { $0.links[endpoint, default: []].append(link) }
            return link
        }
    }
}

/// One link to a script: every call that is under way ends when it is closed.
final class Link: PeerLink {
    private struct State {
        var isClosed = false
        var enders: [@Sendable () -> Void] = []
    }

    fileprivate let script: any PeerScript
    private let node: NodeID
    private let state = Locked(State())

    init(script: any PeerScript, node: NodeID) {
        self.script = script
        self.node = node
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    func close() async {
        let enders = state.withLock { state in
            state.isClosed = true
            defer { state.enders = [] }
            return state.enders
        }
        for ender in enders { ender() }
    }

    /// Runs `body` as a network does: it ends with the link, whatever it is doing.
    private func call<Answer: Sendable>(_ body: @escaping @Sendable () async throws -> Answer) async throws -> Answer {
        let mailbox = Mailbox<Answer>()
        let task = Task {
            do { mailbox.put([try await body()]) } catch let error as PeerLinkError { mailbox.fail(error) } catch {
                mailbox.fail(.malformed(reason: "\(error)"))
            }
        }
        try atEnd {
            mailbox.fail(.closed)
            task.cancel()
        }
        guard let answer = try await mailbox.next(), !isClosed else { throw PeerLinkError.closed }
        return answer
    }

    private func atEnd(_ ender: @escaping @Sendable () -> Void) throws {
        let isClosed = state.withLock { state in
            if !state.isClosed { state.enders.append(ender) }
            return state.isClosed
        }
        if isClosed {
            ender()
            throw PeerLinkError.closed
        }
    }

    func greeting() async throws -> PeerGreeting { try await call { [script] in try await script.greeting() } }
    func have(author: NodeID?) async throws -> HaveAnswer {
        try await call { [script] in try await script.have(author: author) }
    }
    func postHave(_ statement: HoldingsStatement) async throws -> Bool {
        try await call { [script, node] in try await script.took(statement, from: node) }
        return false
    }
    func facts(in ranges: Holdings) async throws -> FactsAnswer {
        try await call { [script] in try await script.facts(in: ranges) }
    }

    func events(after seq: Int64?, author: NodeID?) async throws -> any PeerEvents {
        let mailbox = Mailbox<PeerEvent>()
        let task = Task { [script] in
            do {
                try await script.sendEvents(after: seq, author: author, to: mailbox)
                mailbox.finish()
            } catch let error as PeerLinkError { mailbox.fail(error) } catch { mailbox.fail(.closed) }
        }
        try atEnd {
            mailbox.fail(.closed)
            task.cancel()
        }
        return Events(mailbox: mailbox)
    }

    func chunk(_ id: ChunkID, from offset: Int64, rank: PullRank) async throws -> any ChunkTransfer {
        try await script.turn(rank.turn)
        let delivery = try await call { [script] in try await script.chunk(id, from: offset) }
        let mailbox = Mailbox<[UInt8]>()
        mailbox.put(delivery.pieces)
        try atEnd { mailbox.fail(.closed) }
        if case .whole = delivery.ending { mailbox.finish() }
        return Transfer(link: self, delivery: delivery, mailbox: mailbox, left: Locked(delivery.pieces.count))
    }

    func tail(_ request: TailRequest) async throws -> any PeerTail {
        let mailbox = Mailbox<TailFrame>()
        let task = Task { [script] in
            do {
                try await script.sendTail(request, to: mailbox)
                mailbox.finish()
            } catch let error as PeerLinkError { mailbox.fail(error) } catch is CorruptTail {
                mailbox.fail(CorruptTail())
            } catch { mailbox.fail(PeerLinkError.closed) }
        }
        try atEnd {
            mailbox.fail(PeerLinkError.closed)
            task.cancel()
        }
        return Tail(mailbox: mailbox, task: task)
    }

    private struct Tail: PeerTail {
        let mailbox: Mailbox<TailFrame>
        let task: Task<Void, Never>
        func next() async throws -> TailFrame? { try await mailbox.next() }
        func close() async {
            mailbox.fail(PeerLinkError.closed)
            task.cancel()
        }
    }

    func chunks(_ ids: [ChunkID], rank: PullRank) async throws -> any ChunkBundle {
        Bundle(link: self, state: Locked(Bundle.State(rest: ids[...])))
    }

    /// Each chunk as the script delivers it alone.
    private struct Bundle: ChunkBundle {
        struct State {
            var rest: ArraySlice<ChunkID>
            var current: (id: ChunkID, transfer: any ChunkTransfer, bytes: [UInt8])?
        }

        let link: Link
        let state: Locked<State>

        func next() async throws -> BundleStep? {
            if let (id, transfer, bytes) = state.withLock({ $0.current }) {
                if let piece = try await transfer.next() {
                    state.withLock { $0.current?.bytes += piece }
                    return .part(piece.count)
                }
                state.withLock { $0.current = nil }
                return .item(BundleItem(id: id, bytes: bytes))
            }
            guard let id = state.withLock({ $0.rest.popFirst() }) else { return try link.script.afterBundle() }
            do {
                let transfer = try await link.chunk(id, from: 0, rank: PullRank())
                state.withLock { $0.current = (id, transfer, []) }
                return .part(0)
            } catch PeerLinkError.notFound {
                return .item(BundleItem(id: id, bytes: nil))
            }
        }

        func close() async { state.withLock { $0 = State(rest: []) } }
    }

    private struct Events: PeerEvents {
        let mailbox: Mailbox<PeerEvent>
        func next() async throws -> PeerEvent? { try await mailbox.next() }
    }

    private struct Transfer: ChunkTransfer {
        let link: Link
        let delivery: ChunkScript
        let mailbox: Mailbox<[UInt8]>
        let left: Locked<Int>
        var totalLength: Int64 { delivery.totalLength }

        func next() async throws -> [UInt8]? {
            try await delivery.pace?()
            let isLast = left.withLock { left in
                left -= 1
                return left < 0
            }
            if isLast {
                switch delivery.ending {
                case .whole, .silence: break
                case .cutOff: mailbox.fail(.cutOff)
                case .linkBreaks: await link.close()
                }
            }
            return try await mailbox.next()
        }

        func close() async { mailbox.fail(.closed) }
    }
}
