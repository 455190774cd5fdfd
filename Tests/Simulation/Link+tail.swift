import Model
import Reactor
import Replication
import Storage

/// Open chunks as they grow, over a simulated way.
extension Link {
    func tail(_ request: TailRequest) async throws -> any PeerTail {
        let inbox = Inbox<TailFrame>()
        let serving = Serving()
        let number = try atEnd {
            inbox.fail($0)
            serving.task?.cancel()
        }
        sim.trace.note(sim.now, "link \(self.number): tail")
        let order = Order()
        toServer(300) { [self] in
            // Given up before it was asked for: nobody would end it.
            guard !serving.isOver else { return }
            serving.task = server.spawn { [self, server] in
                let isDamaged = server.node.network.path(server.node.number, client.node.number).weather.corruption
                do {
                    try await server.sendTail(request, to: client) { [self] frame in
                        let place = order.next()
                        let isBad = sim.chance(isDamaged)
                        toClient(frame.size, isEvent: true) {
                            order.arrived(place) { isBad ? inbox.fail(CorruptTail()) : inbox.put(frame) }
                        }
                    }
                } catch {
                    toClient(100, isEvent: true) { inbox.fail(PeerLinkError.closed) }
                }
            }
        }
        return Tail(inbox: inbox) { [self] in
            release(number)
            serving.isOver = true
            serving.task?.cancel()
            inbox.fail(PeerLinkError.closed)
        }
    }

    private final class Serving: @unchecked Sendable {
        var task: Task<Void, Never>?
        var isOver = false
    }

    private final class Tail: PeerTail, @unchecked Sendable {
        let inbox: Inbox<TailFrame>
        let end: () -> Void

        init(inbox: Inbox<TailFrame>, end: @escaping () -> Void) {
            self.inbox = inbox
            self.end = end
        }

        func next() async throws -> TailFrame? { try await inbox.next() }
        func close() async { end() }
    }
}

extension TailFrame {
    /// About as many bytes as on a wire. A message comes whole or not at all here, so that a large one would be a
    /// silence where really its bytes trickle.
    fileprivate var size: Int { min(4000, bytes) }

    private var bytes: Int {
        switch self {
        case .session(let fact), .sealed(_, let fact): 300 + fact.count
        case .commit(let piece, _): 400 + piece.bytes.count
        case .dropped, .beyond, .caughtUp, .heartbeat: 100
        }
    }
}

extension NodeProcess {
    /// Until its task is cancelled, or the store is closed.
    func sendTail(_ request: TailRequest, to client: NodeProcess, _ send: (TailFrame) -> Void) async throws {
        let (store, _) = try working()
        let (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        store.ringTails(bell, of: request.authors)
        let reader = store.tail(request)
        send(.heartbeat)
        bell.yield()
        var isTold = false
        for await _ in rings {
            while true {
                let frames = try await reader.next()
                if frames.isEmpty { break }
                isTold = false
                for frame in frames {
                    switch frame {
                    case .session(let fact), .sealed(_, let fact): node.oracle.gives(self, fact)
                    case .commit, .dropped, .beyond, .caughtUp, .heartbeat: break
                    }
                    send(frame)
                    // Little is queued for a slow way: what others send meanwhile is not behind all of it.
                    try await node.sim.sleep(node.network.queue(from: node.number, to: client.node.number))
                }
            }
            if reader.isCaughtUp, !isTold {
                send(.caughtUp)
                isTold = true
            }
        }
        throw PeerLinkError.closed
    }
}
