internal import HTTP
internal import Model
internal import Reactor
package import Replication
package import Storage

extension HTTPPeerLink {
    package func tail(_ request: TailRequest) async throws -> any PeerTail {
        // Of its own: nothing is queued behind a chunk.
        let connection = try await openLive()
        var call = json("/v1/tail", TailRequestForm(request))
        call.bodyTime = Limits.tailSilence
        call.traffic = .live
        let response: HTTPClientResponse
        do { response = try await connection.send(call) } catch {
            await discard(connection)
            throw PeerLinkError(error)
        }
        guard response.status.isSuccess else { throw try await refusal(response, on: connection) }
        tailConnections.insert(ObjectIdentifier(connection))
        return HTTPPeerTail(on: loop, link: self, connection: connection, body: response.body)
    }
}

/// A peer's tail, parsed.
private actor HTTPPeerTail: PeerTail {
    private let loop: EventLoop
    private let link: HTTPPeerLink
    private let connection: HTTPConnection
    private let body: HTTPClientBody
    private var parser = TailFrameParser()
    private var pending: ArraySlice<TailFrame> = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(on loop: EventLoop, link: HTTPPeerLink, connection: HTTPConnection, body: HTTPClientBody) {
        self.loop = loop
        self.link = link
        self.connection = connection
        self.body = body
    }

    func next() async throws -> TailFrame? {
        while pending.isEmpty {
            do {
                guard let piece = try await body.next() else {
                    await close()
                    return nil
                }
                pending = try parser.consume(piece)[...]
            } catch {
                await close()
                switch error {
                case let error as HTTPClientError: throw PeerLinkError(error)
                case TailFrameParser.Failure.corrupt: throw CorruptTail()
                default: throw PeerLinkError.malformed(reason: "a tail: \(error)")
                }
            }
        }
        return pending.removeFirst()
    }

    func close() async { await link.discard(connection) }
}
