internal import Model

/// `session.json`: what recording needs to go on without the index or the log.
struct SessionState: Hashable, Codable {
    /// The session fact.
    let fact: Fact
    /// Per stream: chunks closed so far (the next index), their rows and bytes.
    var streams: [String: SessionEnd.Totals]
    var lastActivity: ClockReading
    /// The node was told to end; it did not die.
    var stopped: Bool
    /// Why it ends, from before its `end` is written: nothing is added to it any more.
    var ending: String?
    /// Per stream: rows that were acknowledged and are lost. They keep their numbers.
    var lost: [String: Int64]?

    enum CodingKeys: String, CodingKey {
        case fact, streams, stopped, ending, lost
        case lastActivity = "last_activity"
    }

    init(fact: Fact) {
        self.fact = fact
        streams = [:]
        lastActivity = fact.at
        stopped = false
    }

    var opening: SessionOpening? {
        if case .session(let opening) = fact.body { opening } else { nil }
    }

    func totals(_ stream: StreamName) -> SessionEnd.Totals { streams[stream.description] ?? SessionEnd.Totals() }

    func description(of stream: StreamName) -> StreamDescription? {
        opening?.streams.first { $0.name == stream }
    }

    /// Counts a closed chunk, once: a chunk below the next index was counted before.
    mutating func count(_ slot: ChunkSlot, rows: Int64, bytes: Int64) {
        var totals = totals(slot.stream)
        guard slot.index >= totals.chunks else { return }
        totals.chunks = slot.index + 1
        totals.rows += rows
        totals.bytes += bytes
        streams[slot.stream.description] = totals
    }

    var lostRows: [StreamName: Int64] {
        Dictionary(uniqueKeysWithValues: (lost ?? [:]).compactMap { name, rows in StreamName(name).map { ($0, rows) } })
    }

    /// Number of the stream's next row.
    func nextRow(_ stream: StreamName) -> Int64 { totals(stream).rows + (lost?[stream.description] ?? 0) }

    /// The stream's rows were counted up to this number.
    mutating func noteRows(_ stream: StreamName, upTo next: Int64) {
        guard next > nextRow(stream) else { return }
        var known = lost ?? [:]
        known[stream.description] = next - totals(stream).rows
        lost = known
    }

    /// A row that came later than what the file knows of. A session lies within one boot.
    mutating func noteActivity(_ pair: ClockPair) {
        guard pair.boottime > lastActivity.boottime else { return }
        lastActivity = ClockReading(realtime: pair.realtime, boottime: pair.boottime, bootID: lastActivity.bootID)
    }
}
