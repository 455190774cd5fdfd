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

    /// A commit's bytes of one stream up to this travel in the write-ahead log; beyond it, writing them twice costs
    /// more than a second sync.
    package static let inlineCommitBytes = 64 * 1024
    /// A write-ahead log segment is rolled at this size: replaying it takes well under the half second that a restart
    /// may take.
    package static let walSegmentBytes: Int64 = 16 << 20
    /// A segment of the log of facts: small enough to copy by hand, large enough that a million facts are a dozen
    /// files.
    package static let logSegmentBytes: Int64 = 64 << 20
    /// Recovery reads an open chunk's file in pieces of this size: its memory does not grow with the chunk.
    package static let recoveryReadBytes: Int64 = 1 << 20
    /// Damaged records of one segment whose bytes are looked for: a bad sector spoils a dozen.
    package static let damagedRecords = 1024
    /// The index may lag the log by this many facts: that many replay in about 0.1 s.
    package static let indexLag = 4096
    /// An index that failed is tried again so often: its disk may be full, and queries wait for it.
    package static let indexRetryInterval = Duration.seconds(5)
    /// Facts that are appended with one sync.
    package static let factsPerGroup = 512
    /// The largest chunk that is admitted from a peer; a recorder's own cap lies far below.
    package static let chunkBytes: Int64 = 1 << 30
    /// Of the disk, held by a file for the facts that tell of a full disk: some ten thousand gaps.
    package static let reserveBytes: Int64 = 8_000_000
    /// What is to be kept free of the disk: below, a full disk leaves no room for the reserve; above, no disk would do.
    package static let minFree: ClosedRange<Int64> = 10_000_000...1_000_000_000_000
    /// So much more than a bound has to be free before a state that came from too little ends; for large bounds a tenth
    /// of them.
    package static let freeSpaceSlack: Int64 = 1_000_000
    /// A disk that was full is so until it has this much: a second of rows at 200 KB/s, so that nothing flickers.
    package static let fullDiskSlack: Int64 = 250_000
    /// Between two looks at how much is free.
    package static let freeSpaceInterval = Duration.seconds(1)
    /// Incidents of the store that are kept with their words: what a person reads of them at once.
    package static let incidentsKept = 32
    /// Committed bytes that a chunk's file may lack, since it refuses them: they stay in memory. As many as a segment
    /// of the write-ahead log has of them.
    package static let laggingChunkBytes = 16 << 20
    /// Sessions whose facts are kept parsed while their chunks are shown to people: a mirror follows a handful at a
    /// time.
    package static let sessionsShown = 16
    /// Live copies of other nodes' open chunks: 64 vehicles with 64 streams each. Each has a descriptor, and a roll of
    /// the write-ahead log names each in 200 bytes.
    package static let copies = 4096
    /// All of them together: sixteen of the largest chunks. What goes beyond it is fetched when it is sealed.
    package static let copiesBytes: Int64 = 16 << 30
    /// One piece of a copy: what a follower holds in memory of a stream, and no more than a segment of the write-ahead
    /// log.
    package static let copyPieceBytes = 1 << 20
    /// Streams of one session; a session fact lists them all.
    package static let streamsPerSession = 64

    // MARK: Recording

    /// Shortest and longest time a chunk may stay open.
    package static let chunkInterval = Duration.seconds(1)...Duration.seconds(3600)
    /// Longest commit interval: what a power cut may cost.
    package static let commitInterval = Duration.zero...Duration.seconds(10)
    /// Largest size cap of a chunk: what one commit may add beyond it must still make a chunk that peers take.
    package static let chunkSizeCeiling: Int64 = 512 << 20
    /// Smallest size cap of a chunk: below it the facts outweigh the data.
    package static let chunkSizeFloor: Int64 = 1024
    /// Bytes of rows that wait for the disk before a gap is recorded: ten seconds at the recording budget of 100 MB/s
    /// is too much for a Pi; 64 MiB is ten seconds at 6 MB/s, a thousand times one sensor.
    package static let queuedRowBytes = 64 << 20
    /// A commit that takes longer than this is told of: an SD card takes half a second now and then.
    package static let stallNotice = Duration.seconds(2)
    /// One line from an instrument. The longest line a Q-Series sensor prints is a menu of 1.5 kB in many lines.
    package static let lineBytes = 4096

    /// Bytes that wait for a serial device to take them: a driver sends a few at a time, and no device needs more at
    /// once.
    package static let serialSendBytes = 4096
    /// Events of an instrument that wait for the recorder: a minute of the fastest sensor, or a second of the recording
    /// budget.
    package static let instrumentEvents = 200_000
    /// The same in bytes of lines.
    package static let instrumentEventBytes = 16 << 20
    /// Lines before a recording's first row that go into its raw stream: a banner and a menu.
    package static let prefaceLines = 128
    /// Readings that stay in memory for those who look on: 300 s at 20 Hz.
    package static let recentReadings = 6000
    /// Facts that wait for the disk: markers and gaps are made by people and by faults, some a second at worst.
    package static let queuedFacts = 4096

    // MARK: HTTP

    /// Connections in all: a Pi serves a handful of nodes and people; each idle one costs about 20 kB.
    package static let connections = 512
    /// Beside them, for the socket in the data directory.
    package static let localConnections = 64
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
    /// The same of an event stream or a tail: at 500 kB/s a thirtieth of a second.
    package static let liveUnsentBytes = 16 * 1024
    /// A client whose queue has not moved for this long is cut, and so is one whose host acknowledges nothing.
    package static let sendStallTime = Duration.seconds(30)
    /// An accepted connection without traffic is tried after this long and then at these intervals, until
    /// `sendStallTime` has passed without an answer: one whose peer is gone must not keep its place for long, and a
    /// tether's outage of seconds ends nothing.
    package static let keepAliveIdle = Duration.seconds(10)
    package static let keepAliveInterval = Duration.seconds(5)
    /// A response's body up to this is sent in one piece with its head; copying more costs more than a second call.
    package static let inlineBodyBytes = 32 * 1024
    /// Event-stream clients at once.
    package static let eventStreams = 128
    /// Of one other host: a node has one, a person's pages some, and nobody all.
    package static let eventStreamsPerAddress = 16
    /// One line of an event stream: a fact and its field name.
    package static let eventLineBytes = factBytes + 256
    /// Between two `status` events of one stream.
    package static let statusEventInterval = Duration.seconds(1)
    /// Between two of them that tell how a backlog shrinks.
    package static let peerNewsInterval = Duration.seconds(5)
    /// What lasts shorter is no change worth a line of the log: chunks are sealed and fetched all the time.
    package static let peerLineDelay = Duration.seconds(5)
    /// Between comments on an event stream: well inside the 600 s of proxies, and short enough to notice a dead peer.
    package static let heartbeatInterval = Duration.seconds(5)

    // MARK: Identity

    /// A key file: a P-256 key in PEM has 241 bytes.
    package static let keyFileBytes = 8 * 1024

    // MARK: Peers

    /// Peers that are known, seen or configured: a LAN has a few; mDNS answers are anybody's.
    package static let peers = 256
    /// Service instances that are looked into: each takes four questions, and an avahi-daemon allows one client 1,024
    /// objects.
    package static let serviceInstances = 240
    /// Answers to one question on one interface: addresses of one host, claims about one name.
    package static let recordsPerQuestion = 16
    /// Addresses of one peer that are handed on; each is dialled.
    package static let endpointsPerPeer = 16
    /// A peer's name as it is kept: an instance name of DNS-SD is 63 bytes.
    package static let peerNameBytes = 255
    /// The file of last good addresses: 256 peers of at most 2 kB each, every byte of a name escaped to six.
    package static let peerBookBytes = 512 * 1024
    /// Known peers are dialled this often, for ever.
    package static let dialInterval = Duration.milliseconds(500)
    /// Requests for chunks that are under way with one peer at once.
    package static let chunksInFlight = 4
    /// Beside them, for what is newer than all of these: it is not to wait for a backlog of large chunks.
    package static let newsInFlight = 1
    /// The most that chunk facts heard of but not held may be before a peer's statement is cut: 1 M facts are about 300
    /// MB of index.
    package static let heardFacts = 2_000_000

    /// A peer's name and version, as shown to people.
    package static let nameCharacters = 80
    /// Capabilities that a peer lists.
    package static let capabilities = 64
    /// An answer that names a node or an error.
    package static let smallAnswerBytes = 64 * 1024
    /// Facts read from the log for one piece of an event stream: large enough to fill a link, small enough to be fair
    /// to other streams.
    package static let factsPerEventPiece = 256
    /// One read of a chunk for a client: few enough hops for a full link, little enough memory for many clients.
    package static let readPieceBytes: Int64 = 128 * 1024

    /// An answer of `GET /v1/clock` that takes longer says nothing about clocks.
    package static let clockAnswerTime = Duration.seconds(2)
    // MARK: Settings

    /// A file of settings: thirty lines and their comments are 4 kB.
    package static let configurationBytes = 64 * 1024
    /// A node's name is its mDNS instance name, one label of DNS (RFC 6763).
    package static let nodeNameBytes = 63
    /// A mission's name: the longest name of a folder is 255 bytes, and escaping may treble what is not plain.
    package static let missionBytes = 80
    /// A sensor's id stands in every row.
    package static let sensorIDBytes = 128

    /// A marker's type is one of a few words.
    package static let markerTypeBytes = 32
    /// A marker's text: a sentence or a few; the fact that carries it has room for sixteen times as much.
    package static let markerTextBytes = 4096
    /// Dials of one peer that wait for an answer at once: four by their pace and their time, so that a lost packet
    /// costs one of them its life, and two more for when something has changed.
    package static let dialsOutstanding = 6
    /// Dials of all peers that wait for an answer at once: descriptors for sixteen silent peers at full pace beside the
    /// 512 connections that are served; of more, those go first that were met before and have the fewest under way.
    package static let dialsInAll = 64
    /// Between two dials of one peer however much there is to hurry: links that flap, announcements that change.
    package static let hurriedDialInterval = Duration.milliseconds(100)
    /// From dial to connected: six round trips of the slowest tether that is planned for.
    package static let dialTime = Duration.seconds(2)
    /// How often a followed peer is asked to say that it is there: two may be lost before a link of short round trips
    /// is suspect. Costs both sides a packet and 0.02 % of a core.
    package static let linkHeartbeat = Duration.milliseconds(400)
    /// What a client may ask for: more often would cost more than it tells, less often than everybody gets is no wish.
    package static let heartbeatRange = Duration.milliseconds(100)...heartbeatInterval
    /// A link from which nothing was heard for this long is suspect, and a second one is tried: shorter would take a
    /// lost packet and its repetition for an outage.
    package static let suspicionFloor = Duration.seconds(1)
    /// Beside four smoothed round trips, on slow links: one heartbeat.
    package static let suspicionMargin = linkHeartbeat
    /// A link with something outstanding, on which nothing has moved for this long, is ended: a stall is a bug, and a
    /// new connection its cure.
    package static let stallTime = Duration.seconds(5)
    /// A peer that answers and refuses is asked again less and less often, down to this.
    package static let refusalCeiling = Duration.seconds(30)
    /// An address where another node answered than was announced there is left alone for this long: announcements are
    /// hearsay.
    package static let distrustTime = Duration.seconds(60)
    /// A peer's answer to a small question, while other answers keep the link busy; where nothing moves, `stallTime`.
    package static let answerTime = Duration.seconds(15)
    /// A peer's answer of facts: 1 MiB at 20 kB/s.
    package static let factsAnswerTime = Duration.seconds(60)
    /// Ranges that one request for facts names: about 100 kB of text.
    package static let rangesPerRequest = 2_000
    /// Between two comparisons on one link: a peer whose event stream always has holes must not make us compare all
    /// day.
    package static let comparisonInterval = Duration.seconds(1)
    /// Between two statements of what is held.
    package static let statementInterval = Duration.seconds(1)
    /// After a statement that a peer did not want.
    package static let refusedStatementInterval = Duration.seconds(10)
    /// Processes of a peer whose late statements are known to be old: a process lives for longer than a statement is
    /// under way.
    package static let retiredEpochs = 16

    // MARK: Chunks on their way

    /// Chunks up to this come in memory, many with one answer; larger ones go to disk as they come. A break costs no
    /// more than this of one.
    package static let collectedChunkBytes: Int64 = 64 * 1024
    /// Memory for all chunks on their way, from the request to the sync: one group on its way to the disk, one on its
    /// way here.
    package static let pullMemoryBytes: Int64 = 32 << 20
    /// And in number: a group being synced, one that waits, and those that come. More would only lengthen each look for
    /// the next.
    package static let pullChunks = 3 * admitGroupChunks
    /// What a chunk that goes to disk as it comes takes of it, at most: its bytes are the kernel's to write, and so far
    /// the link may run ahead of the disk.
    package static let streamedChunkReserve: Int64 = 4 << 20
    /// Of a piece that is not whole yet, so much more is worth a line of the ledger: a process that dies leaves less
    /// than this untold.
    package static let notedPieceBytes = 8 * 1024
    /// The ledger of pieces is written anew beyond this: 5 GB of chunks, or what is known of five of the largest.
    package static let pieceLedgerBytes: Int64 = 4 << 20
    /// Facts of wanted chunks that stay parsed until their bytes are here: some thousand of those that qnode writes. By
    /// bytes, as a peer may write longer ones.
    package static let parsedFactsBytes = 1 << 20
    /// Facts that one look into the index for wanted chunks reads before it lets others have their turn: all that
    /// `deepWantedScan` names, where none is longer than usual.
    package static let wantedScanBytes = 4 << 20
    /// Chunks that broke off and stay open for the next attempt; others are read again.
    package static let suspendedPulls = 16
    /// Between two syncs of what has come of chunks on their way: what a power cut costs of them.
    package static let pullSyncInterval = Duration.milliseconds(60)
    /// From so many on, one sync of the whole file system costs less than those of single files and folders.
    package static let wholeSyncChunks = 16
    /// Chunks that become durable with one sync of their directories, in bytes and in number.
    package static let admitGroupBytes: Int64 = 16 << 20
    package static let admitGroupChunks = 256
    /// Chunks in one answer, and their bytes: enough for a link of 20 MB/s and 50 ms, few enough that a cap of 500 KB/s
    /// brings the last of them within half a second.
    package static let bundleChunks = 64
    package static let bundleBytes: Int64 = 256 * 1024
    /// One line of such an answer, beside its chunk's bytes.
    package static let bundleLineBytes = 512
    /// One chunk without a byte for this long is asked for anew, be it that others of the same peer come.
    package static let chunkStallTime = Duration.seconds(20)
    /// A peer is quicker than another where it brings this many times as much; below it, measurements scatter.
    package static let quickerBy = 1.5
    /// Ready chunks that are looked through for one that no quicker peer should be asked for.
    package static let quickerLook = 64
    /// Wanted chunks looked at in one go: enough for a second of small ones, 0.3 MB.
    package static let wantedScan = 512
    /// The same where the newest are held by nobody who is there, so that older ones are looked for behind them.
    package static let deepWantedScan = 4096
    /// Between two searches through all that is wanted, for a peer that seems to have something of it.
    package static let deepScanInterval = Duration.seconds(5)
    /// Between two requests for a chunk that a peer gave wrongly.
    package static let chunkRetryDelay = Duration.seconds(1)...Duration.seconds(60)
    /// A chunk whose last trouble is longer ago than this starts anew.
    package static let chunkRetryMemory = Duration.seconds(300)
    /// Chunks in trouble that are remembered one by one: 6 MB. Beyond it the trouble longest ago is forgotten, and so
    /// asked for early.
    package static let chunksInTrouble = 16_384
    /// After a failure of our own disk nothing is pulled for this long, growing to the other.
    package static let storagePause = Duration.seconds(1)...Duration.seconds(30)

    // MARK: Live tail

    /// Bytes of one piece of an open chunk on its way: as many as a copy's commit takes into its write-ahead log, and
    /// little enough that no stream waits long for another.
    package static let tailPieceBytes = inlineCommitBytes
    /// The most that one frame of a tail may carry.
    package static let tailFrameBytes = 256 * 1024
    /// Newest bytes of each open chunk that stay in memory for those who copy it: a second of a sensor, some commits of
    /// a fast one; who is further behind reads the file.
    package static let tailRecentBytes = 32 * 1024
    /// The same of all open chunks together, as copies may be of thousands of streams: beyond it those that grew
    /// longest ago are read from their files.
    package static let tailRecentTotalBytes = 8 << 20
    /// Commits of an open chunk that are told apart before older ones are merged to pieces: one a row for ten seconds.
    package static let tailMarks = 256
    /// Ends of open chunks that are remembered for those who have not been told: some hours of one recording.
    package static let tailEndsKept = 256
    /// Tails that are served at once: a few topsides, each with one for what the node writes and one for its copies.
    package static let tails = 64
    /// To one other host: a few nodes behind one address, and nobody has them all.
    package static let tailsPerAddress = 8
    /// The line of a frame: names, numbers and clocks take about 500 bytes.
    package static let tailLineBytes = 2048
    /// Copies that an asker says it has: 64 streams of 64 sessions.
    package static let tailPositions = 4096
    /// Authors that an asker names.
    package static let tailAuthors = peers
    /// Frames that wait for the disk: while one group is synced, the next gathers. Beyond it nothing more is read.
    package static let tailInboxBytes = 4 << 20
    /// Seals that wait for the disk, each of some ten syncs: a second's worth on a good disk.
    package static let tailSealsWaiting = 256
    /// Before a tail that broke soon after it began is opened again; one that lasted is opened again at once.
    package static let tailRetryDelay = Duration.milliseconds(250)...Duration.seconds(30)
    /// Without a word for this long a tail has ended: three of its heartbeats.
    package static let tailSilence = heartbeatInterval * 3
    /// A heartbeat that has not come by then is late: what is written there meanwhile is not known here.
    package static let tailOverdue = heartbeatInterval * 3 / 2
    /// Between two bells of open chunks on one event stream.
    package static let tailBellInterval = Duration.seconds(1)
    /// An open chunk that is followed and has not grown for this long, though it is sealed at its author's, is pulled
    /// as any other: its tail promises and does not deliver.
    package static let tailPatience = Duration.seconds(10)
    /// Since the fact of such a chunk was heard, however it grows meanwhile: who trickles holds nothing back for ever.
    package static let tailSealPatience = Duration.seconds(30)

    // MARK: Clock exchanges

    /// Exchanges on connect: enough that one of them meets no queue.
    package static let clockBurst = 12
    package static let clockBurstInterval = Duration.milliseconds(50)
    package static let clockInterval = Duration.seconds(10)
    /// An exchange that takes longer says nothing that a bound could use.
    package static let clockExchangeTime = Duration.seconds(2)
    /// After an exchange that failed, growing to `clockInterval`.
    package static let clockRetryDelay = Duration.milliseconds(500)
    /// Exchanges that an estimate is chosen from: ten minutes at the steady rate.
    package static let clockExchangesKept = 64
    /// Steps of a peer's or the own clock that a report names.
    package static let clockStepsKept = 16

    /// Between two notes of how the peers' clocks stand, for verbs that run while the node does not.
    package static let clockNoteInterval = Duration.seconds(300)
    /// Between two refreshes of partial copies and manifests in the folder for people.
    package static let viewInterval = Duration.seconds(10)
    /// A new open chunk shows in the folder for people this soon: somebody who presses a button looks for the file.
    package static let newPartialInterval = Duration.seconds(1)

    /// For saying goodbye by mDNS at the end; a daemon that hangs must not keep a node from ending within its two
    /// seconds.
    package static let goodbyeTime = Duration.seconds(1)

    /// A name's addresses serve this long: a tether's resolver may take longer than a dial waits, and addresses change.
    package static let lookupKept = Duration.seconds(10)

    // MARK: Scrub

    /// Read back in the background: a card of 64 GB in five hours, and no diver's transfer notices.
    package static let scrubBytesPerSecond: Int64 = 4_000_000
    /// Share of one core: what SHA-256 costs without the processor's instructions counts more than the bytes.
    package static let scrubCoreShare = 0.01
    /// A byte that was read is not read again before: reading wears nothing, but it takes power.
    package static let scrubInterval = Duration.seconds(86_400)
    /// Read between two pauses, so that pauses are long and wakeups few.
    package static let scrubStretchBytes: Int64 = 1 << 20
    package static let scrubStretchChunks = 64
    package static let scrubPieceBytes = 256 * 1024
    /// Where there is nothing to read, it is looked for again so often.
    package static let scrubLookInterval = Duration.seconds(10)
    /// Lost chunks whose files are looked for between two pauses: somebody may have put them back.
    package static let lostLook = 16
    /// Chunks that somebody found missing and that are looked at first.
    package static let suspects = 1024

    // MARK: Doctor

    /// 2025-01-01: a clock before the program's own time was never set.
    package static let earliestPlausibleTime: Int64 = 1_735_689_600_000_000_000

    // MARK: Caps

    /// The least cap is what a peer's statements and clocks take anyway; the largest is beyond any link.
    package static let cap: ClosedRange<Int64> = 1000...100_000_000_000
    /// What is aimed at of a cap: the rest is for what the kernel lets come early, and for what is reckoned too low.
    package static let capAim = 0.975
    /// Below it a single segment is more than a hundredth of a second's worth: such a cap is held over ten seconds.
    package static let slowCap: Int64 = 100_000
    /// Between two looks at what has arrived under a cap: small slices, and a hundred wake-ups a second.
    package static let paceTick = Duration.milliseconds(10)
    /// Payload of a full Ethernet segment with time stamps.
    package static let segmentBytes = 1448
    /// TCP_MAXSEG under a cap: of a loopback's 64 KB segments none would fit a window that holds a cap.
    package static let pacedSegmentBytes = 1460
    /// Ethernet, IPv4 and TCP headers with time stamps, without the frame's check sum, as interfaces count.
    package static let segmentOverheadBytes: Int64 = 14 + 20 + 20
    package static let timestampBytes: Int64 = 12
    package static let longAddressBytes: Int64 = 20
    /// Bytes on the wire for one of payload, in full segments, until they are measured.
    package static let wireShare = 1.0456
    /// A capped connection's first receive buffer: two segments that can be on their way at once; at most what the
    /// first segment of a connection may announce.
    package static let pacedWindow: ClosedRange<Int64> = 2920...65_536
    /// The receive buffer of a connection whose cap was taken off: the most that Linux grows one to by itself.
    package static let openWindow: Int64 = 6 << 20
    /// What it may grow to, in the time that the cap takes for it: a round trip, of which 300 ms is the longest
    /// planned for.
    package static let pacedWindowTime = Duration.milliseconds(500)
    /// How far rows as they are written may exceed a cap before they wait too.
    package static let liveDebt = Duration.milliseconds(100)
    /// The head of a chunk's answer, about.
    package static let answerHeadBytes: Int64 = 420
    /// A transfer that has waited for its turn this long has one: a peer cuts a client that takes nothing for 30 s.
    package static let starvation = Duration.seconds(5)
    /// What chunks have of a cap when rows and questions have kept all of it from them for that long.
    package static let dataShare = 0.05
    /// Facts asked for at once under a cap: their answer comes as fast as it may, so it is as short as rows' debt.
    package static let cappedFactsTime = liveDebt
    /// The least that is asked for: one fact comes in any case.
    package static let factsAnswerFloor: Int64 = 4 * 1024

    // MARK: Logging

    /// One line of the log.
    package static let logLineBytes = 4096
}
