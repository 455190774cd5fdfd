internal import Model
internal import Storage

/// Requests for chunks that are under way: each takes one place of its peer, for as long as one of its chunks has not
/// come.
struct PullRequests: Sendable {
    private struct Request {
        let peer: NodeID
        let newest: Int64
        var left: Int
    }

    private var requests: [Int: Request] = [:]
    private var counts: [NodeID: Int] = [:]
    private var last = 0

    func count(of peer: NodeID) -> Int { counts[peer] ?? 0 }

    /// When the last row of the newest chunk was written that is under way with this peer.
    func newest(of peer: NodeID) -> Int64 {
        requests.values.reduce(.min) { $1.peer == peer ? max($0, $1.newest) : $0 }
    }

    mutating func begin(with peer: NodeID, _ chunks: [WantedChunk]) -> Int {
        last += 1
        let newest = chunks.map(\.fact.last.realtime).max() ?? .min
        requests[last] = Request(peer: peer, newest: newest, left: chunks.count)
        counts[peer, default: 0] += 1
        return last
    }

    /// One chunk of it has come, or will not.
    mutating func release(_ number: Int) {
        guard var request = requests[number] else { return }
        request.left -= 1
        guard request.left == 0 else {
            requests[number] = request
            return
        }
        requests[number] = nil
        let count = counts[request.peer, default: 0] - 1
        counts[request.peer] = count > 0 ? count : nil
    }
}
