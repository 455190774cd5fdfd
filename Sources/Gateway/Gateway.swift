package import HTTP
internal import Model
package import Reactor
internal import Replication

/// A node's HTTP face: every call it answers.
package struct Gateway: Sendable {
    private let router: Router

    package init(_ parts: NodeParts, log: Log) {
        let replicator = parts.replicator
        let peers = PeerRoutes(
            loop: parts.loop, identity: parts.identity, store: parts.store, growth: parts.growth,
            news: { parts.peerWatch.news }, reader: parts.reader,
            stated: { form in
                let (name, role) = form.speaker
                return await replicator.peerStated(form.node, form.statement, name: name, role: role)
            })
        router = Router(
            routes: peers.routes + TailRoutes(loop: parts.loop, store: parts.store).routes
                + LocalRoutes(parts: parts).routes + Self.common(parts.identity),
            log: log.named("http"))
    }

    package func respond(_ request: HTTPRequest) async -> HTTPResponse { await router.respond(request) }

    /// Calls for anyone: that something answers here, and which release.
    private static func common(_ identity: NodeProfile) -> [Route] {
        [
            Route(.get, "/health", .peer) { _, _ in
                .json(
                    WireJSON.encode(["service": "qnode", "version": identity.version, "status": "ok"]))
            },
            Route(.get, "/version", .peer) { _, _ in
                .json(WireJSON.encode(["api": "v1", "git": identity.version, "status": "ok"]))
            },
        ]
    }
}
