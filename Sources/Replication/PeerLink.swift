package import Model
internal import Reactor
package import Storage

/// How a peer is reached: the network, as this module needs it. Supplied by Gateway over HTTP, by tests in memory.
package protocol PeerDialing: Sendable {
    /// Opens a link on a fresh socket. Throws `PeerLinkError` soon after its task is cancelled; whoever dials sets the
    /// deadline.
    func dial(_ endpoint: Endpoint) async throws -> any PeerLink
}

/// One connected peer. Calls may be made at the same time, and none of them delays another; how many sockets that takes
/// is the link's concern. Every call throws `PeerLinkError`. `close` makes every call that is under way, and every
/// later one, throw soon.
package protocol PeerLink: Sendable {
    /// Who the peer says it is, or, where links are authenticated, is proven to be: `GET /v1/node`.
    func greeting() async throws -> PeerGreeting

    /// What the peer holds, of one author or of all: `GET /v1/have?author=`.
    func have(author: NodeID?) async throws -> HaveAnswer

    /// States what this node holds: `POST /v1/have`.
    /// Whether the peer wants everything once more.
    func postHave(_ statement: HoldingsStatement) async throws -> Bool

    /// The exact bytes of facts in these ranges, as many as one answer takes: `POST /v1/facts`.
    func facts(in ranges: Holdings) async throws -> FactsAnswer

    /// The peer's log from behind `seq` on; from its head where that is nil: `GET /v1/events?after=&author=`. A peer
    /// whose greeting names the capability `heartbeat` is asked for one every `Limits.linkHeartbeat`.
    func events(after seq: Int64?, author: NodeID?) async throws -> any PeerEvents

    /// A chunk's bytes from `offset` on: `GET /v1/chunks/{sha256}`. `PeerLinkError.notFound` where the peer has it not.
    func chunk(_ id: ChunkID, from offset: Int64, rank: PullRank) async throws -> any ChunkTransfer

    /// What is committed of the peer's open chunks, from where the copies end, and on as it grows: `POST /v1/tail`.
    func tail(_ request: TailRequest) async throws -> any PeerTail

    /// Small chunks, whole, in the order asked for: `POST /v1/chunks`, where the peer's capabilities name `bundle`.
    func chunks(_ ids: [ChunkID], rank: PullRank) async throws -> any ChunkBundle

    /// Signs of life.
    func pulse() async -> LinkPulse

    /// Where this host's end of it is; nil where that is not known, or nothing is connected.
    func localEnd() async -> LocalEnd?

    func close() async
}

/// A bundle comes in steps, each of them a sign of life.
package enum BundleStep: Hashable, Sendable {
    /// So many more bytes of a chunk that is not whole yet; none where it is the line before it.
    case part(Int)
    case item(BundleItem)
}

/// One chunk of a bundle; no bytes where the peer has it not.
package struct BundleItem: Hashable, Sendable {
    package let id: ChunkID
    package let bytes: [UInt8]?

    package init(id: ChunkID, bytes: [UInt8]?) {
        self.id = id
        self.bytes = bytes
    }
}

extension PeerLink {
    /// Of a link that cannot tell: its answers are all that is heard.
    package func pulse() async -> LinkPulse { LinkPulse() }
    package func localEnd() async -> LocalEnd? { nil }
}

/// What decides the turn of a pull among others under a cap, and tells whether it waits for it.
package struct PullRank: Sendable {
    /// The greater first: the wall clock of a chunk's last row, so that the newest comes first.
    package let priority: Int64
    /// Of the whole chunk; nil where nobody knows.
    package let bytes: Int64?
    package let turn = PullTurn()

    package init(priority: Int64 = 0, bytes: Int64? = nil) {
        self.priority = priority
        self.bytes = bytes
    }
}

/// Whether a request, sent or not, waits for its turn under a cap of ours: then nothing that the peer does or leaves
/// undone counts. The link tells.
package final class PullTurn: Sendable {
    private let state = Locked<(isAwaited: Bool, until: MonotonicTime?)>((false, nil))

    package init() {}

    package func awaits(_ isAwaited: Bool, now: MonotonicTime) { state.withLock { $0 = (isAwaited, now) } }

    package var isAwaited: Bool { state.withLock { $0.isAwaited } }

    /// Until when it waited; nil where it never had to.
    package func waited(now: MonotonicTime) -> MonotonicTime? { state.withLock { $0.isAwaited ? now : $0.until } }
}

/// Several chunks on their way, read by one reader.
package protocol ChunkBundle: Sendable {
    /// What has come next; nil at the end. Throws `cutOff` where the peer ended early.
    func next() async throws -> BundleStep?

    /// Gives up, or is done with it; a `next` that is under way throws soon. Harmless after the end.
    func close() async
}

/// A peer's event stream, read by one reader. Ends with its link.
package protocol PeerEvents: Sendable {
    /// The next event, a heartbeat among them; nil where the peer ended the stream. What is not asked for is not read
    /// from the socket beyond a bounded buffer.
    func next() async throws -> PeerEvent?
}

/// A chunk on its way, read by one reader.
package protocol ChunkTransfer: Sendable {
    /// Length of the whole chunk, whatever offset was asked for.
    var totalLength: Int64 { get }

    /// The next bytes, never empty; nil at the end. Throws `cutOff` where the peer ended early. What is not asked for
    /// is not read.
    func next() async throws -> [UInt8]?

    /// Gives up; a `next` that is under way throws soon. Harmless after the end.
    func close() async
}
