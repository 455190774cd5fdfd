/// Every limit of the node, each with its reason. What is not bounded here is not bounded at all, and that is a defect.
package enum Limits {
    // MARK: Statements of peers

    /// A statement of more ranges than this comes from no honest node: holes close as facts arrive.
    package static let rangesPerStatement = 100_000
    /// One incarnation a start: a node restarted every minute of a year makes 525,600; a statement is cut long before.
    package static let incarnationsPerStatement = 100_000
    /// The exact bytes of one fact. Metadata of a session is the only part without a natural size.
    package static let factBytes = 64 * 1024
    /// One answer of `POST /v1/facts`: large enough to fill a link, small enough to hold in memory on a Pi.
    package static let factsAnswerBytes = 1 << 20

    // MARK: Storage

    /// A commit's bytes of one stream up to this travel in the write-ahead log; beyond it, writing them twice costs more than a second sync.
    package static let inlineCommitBytes = 64 * 1024
    /// A write-ahead log segment is rolled at this size: replaying it takes well under the half second that a restart may take.
    package static let walSegmentBytes: Int64 = 16 << 20
    /// A segment of the log of facts: small enough to copy by hand, large enough that a million facts are a dozen files.
    package static let logSegmentBytes: Int64 = 64 << 20
    /// The index may lag the log by this many facts: that many replay in about 0.1 s.
    package static let indexLag = 4096
    /// Facts that are appended with one sync.
    package static let factsPerGroup = 512
    /// The largest chunk that is admitted from a peer; a recorder's own cap lies far below.
    package static let chunkBytes: Int64 = 1 << 30
    /// A row beyond this is no row but a stream without newlines; it is cut with a gap.
    package static let rowBytes = 1 << 20
    /// Kept free for the facts that tell of a full disk.
    package static let reserveBytes: Int64 = 8 << 20
    /// Streams of one session; a session fact lists them all.
    package static let streamsPerSession = 64

    // MARK: Recording

    /// Shortest and longest time a chunk may stay open.
    package static let chunkInterval = Duration.seconds(1)...Duration.seconds(3600)
    /// Longest commit interval: what a power cut may cost.
    package static let commitInterval = Duration.zero...Duration.seconds(10)
    /// Smallest size cap of a chunk: below it the facts outweigh the data.
    package static let chunkSizeFloor: Int64 = 1024
    /// Bytes of rows that wait for the disk before a gap is recorded: ten seconds at the recording budget of 100 MB/s is too much
    /// for a Pi; 64 MiB is ten seconds at 6 MB/s, a thousand times one sensor.
    package static let queuedRowBytes = 64 << 20
    /// One line from an instrument. The longest line a Q-Series sensor prints is a menu of 1.5 kB in many lines.
    package static let lineBytes = 4096

    // MARK: HTTP

    /// Connections in all: a Pi serves a handful of nodes and people; each idle one costs about 20 kB.
    package static let connections = 512
    /// Connections of one address: a browser opens 6, a node fewer than 16.
    package static let connectionsPerAddress = 64
    /// Request line and headers together; nginx and Node use 8 to 16 KiB.
    package static let headBytes = 16 * 1024
    /// Header lines of one message.
    package static let headerCount = 100
    /// From accept (or the end of the last response) to the end of a head: slower is an attack or a dead link.
    package static let headTime = Duration.seconds(10)
    /// A kept-alive connection without a request.
    package static let idleTime = Duration.seconds(75)
    /// From the end of a head to the end of its request's body: 4 MiB at 35 kB/s, slower than any cap that makes sense.
    package static let requestBodyTime = Duration.seconds(120)
    /// A peer that has ended its side may still listen; one that has died looks the same until something is sent to
    /// it. An answer that is not begun, or does not go on, for this long after such an end is given up.
    package static let halfClosedTime = Duration.seconds(1)
    /// After an error answer, how long and for how many bytes the rest of a request is still taken, so that the answer
    /// arrives.
    package static let lingerTime = Duration.seconds(2)
    package static let lingerBytes = 16 << 20
    /// Connections beyond the limits that are told so with a 503; more are closed without a word.
    package static let refusals = 32
    /// Sockets that wait for their accept: a burst of a browser and every peer at once.
    package static let listenBacklog = 256
    /// While the process is out of descriptors, no connection is accepted for this long.
    package static let acceptPause = Duration.milliseconds(100)
    /// A client's attempt to connect; a LAN answers within milliseconds, a first packet that is lost costs one second.
    package static let connectTime = Duration.seconds(5)
    /// Names that are resolved at once: each takes a thread for as long as the resolver likes.
    package static let lookups = 4
    /// The lines and extensions around a chunked body's bytes may take this much, and 16 bytes for each byte of the
    /// body.
    package static let chunkFramingBytes = 4096
    /// Interim responses (1xx) before the one that counts.
    package static let interimResponses = 8
    /// A request body: facts asked for, holdings stated.
    package static let requestBodyBytes = 4 << 20
    /// Request bodies of all connections together: what a flood of large requests may cost a Pi's memory.
    package static let requestBodiesBytes = 32 << 20
    /// A response that is held in memory by a client; chunks are streamed and not bound by it.
    package static let responseBodyBytes = 64 << 20
    /// Bytes queued towards one client before no more is read for it.
    package static let sendQueueBytes = 512 * 1024
    /// A client whose queue has not moved for this long is cut.
    package static let sendStallTime = Duration.seconds(30)
    /// A response's body up to this is sent in one piece with its head; copying more costs more than a second call.
    package static let inlineBodyBytes = 32 * 1024
    /// Event-stream clients at once.
    package static let eventStreams = 128
    /// One line of an event stream: a fact and its field name.
    package static let eventLineBytes = factBytes + 256
    /// Between comments on an event stream: well inside the 600 s of proxies, and short enough to notice a dead peer.
    package static let heartbeatInterval = Duration.seconds(5)

    // MARK: Identity

    /// A key file: a P-256 key in PEM has 241 bytes.
    package static let keyFileBytes = 8 * 1024

    // MARK: Peers

    /// Peers that are known, seen or configured: a LAN has a few; mDNS answers are anybody's.
    package static let peers = 256
    /// Known peers are dialled this often, for ever.
    package static let dialInterval = Duration.milliseconds(500)
    /// Chunks that are pulled from one peer at once.
    package static let chunksInFlight = 4
    /// The most that chunk facts heard of but not held may be before a peer's statement is cut: 1 M facts are about 300 MB of index.
    package static let heardFacts = 2_000_000

    // MARK: Logging

    /// One line of the log.
    package static let logLineBytes = 4096
}
