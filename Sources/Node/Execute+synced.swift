internal import Gateway
internal import Model
internal import Reactor

extension StatusOptions {
    /// Returns when everything that the peers of all these nodes have is there; a sentence says what is missing where
    /// the time is over.
    func waitUntilSynced(on loop: EventLoop) async throws -> Int32 {
        let start = SystemClock.monotonic()
        while true {
            let nodes = try await look(on: loop)
            let obstacles = nodes.compactMap { SyncJudge.obstacle($0) }
            guard let obstacle = obstacles.first else { return printOnce(nodes) }
            if obstacle.isFinal { throw NodeError(obstacle.text) }
            if let timeout, start.duration(to: SystemClock.monotonic()) >= timeout {
                throw NodeError("not everything is here yet: \(obstacle.text)")
            }
            try await loop.sleep(for: .milliseconds(200))
        }
    }
}

/// Decides from a node's status whether everything that its peers have is here.
enum SyncJudge {
    struct Obstacle: Hashable {
        let text: String
        /// Waiting does not help.
        var isFinal = false
    }

    /// Why not; nil where it is.
    static func obstacle(_ node: NodeView) -> Obstacle? {
        let path = TerminalText.safe(node.data)
        switch node.state {
        case .absent: return Obstacle(text: "no node runs on \(path); start one", isFinal: true)
        case .mute(let reason): return Obstacle(text: "\(path): \(TerminalText.safe(reason))")
        case .running(let status, _): return obstacle(status)
        }
    }

    static func obstacle(_ status: NodeStatusForm) -> Obstacle? {
        let name = TerminalText.safe(status.node.name)
        let followed = status.peers.filter { $0.state != "unfollowed" }
        guard !followed.isEmpty else {
            return Obstacle(
                text: status.node.pull == "none"
                    ? "\(name) fetches nothing; ask the node that does" : "\(name) has found no peer")
        }
        if status.store.indexed != nil { return Obstacle(text: "\(name) is making its index") }
        return followed.lazy.compactMap { obstacle($0) }.first
    }

    static func obstacle(_ peer: PeerForm) -> Obstacle? {
        let words = StatusWords(style: .plain)
        let name = words.name(peer)
        guard peer.state == "live", peer.behindForS != nil else {
            let error = peer.lastError.map { " (\(TerminalText.safe($0)))" } ?? ""
            return Obstacle(text: "\(name) is not connected\(error)")
        }
        if let paused = peer.pullPaused { return Obstacle(text: "\(name): \(TerminalText.safe(paused))") }
        if let facts = peer.factsWaiting, facts > 0 {
            return Obstacle(text: "\(words.counted(facts, "fact")) of \(name) to be taken")
        }
        guard let chunks = peer.backlogCount, let bytes = peer.backlogBytes else {
            return Obstacle(text: "nobody knows what \(name) has that is not here")
        }
        guard chunks == 0 else {
            let size = TerminalQuantity.bytes(bytes)
            return Obstacle(text: "\(words.counted(chunks, "chunk")) of \(name) to come, \(size)")
        }
        if let tail = peer.tail, tail != "open" {
            return Obstacle(text: "the rows that \(name) has not sealed yet are not followed so far")
        }
        // While it records, some row is always on its way.
        if let lag = peer.lagS, lag >= 1 {
            return Obstacle(text: "the newest rows of \(name) come \(words.duration(lag)) late")
        }
        return nil
    }
}
