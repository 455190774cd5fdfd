internal import Model
internal import Reactor

/// Reads facts beside the admit lane, which has enough to do: a chunk fact takes longer to read than to write.
actor FactParser {
    private let lane: DiskLane
    private let parsed: ParsedFacts
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    init(lane: DiskLane, parsed: ParsedFacts) {
        self.lane = lane
        self.parsed = parsed
    }

    func parse(_ facts: [[UInt8]]) -> [RecordedFact?] { facts.map { RecordedFact(parsing: $0) } }

    /// What is wanted is soon here, and is needed once more then.
    func chunks(_ rows: [Catalogue.WantedRow]) -> [WantedChunk] {
        rows.compactMap { row in
            guard let recorded = RecordedFact(parsing: row.fact), case .chunk(let chunk) = recorded.fact.body,
                let session = recorded.fact.session
            else { return nil }
            parsed.keep(recorded)
            return WantedChunk(name: recorded.fact.name, session: session, mission: row.mission, fact: chunk)
        }
    }
}

/// Facts that were read once and are needed again soon, by their bytes.
final class ParsedFacts: Sendable {
    private struct Kept {
        var facts: [[UInt8]: RecordedFact] = [:]
        var bytes = 0
    }

    private let kept = Locked(Kept())

    func keep(_ recorded: RecordedFact) {
        kept.withLock { kept in
            if kept.bytes + recorded.bytes.count > Limits.parsedFactsBytes { kept = Kept() }
            if kept.facts.updateValue(recorded, forKey: recorded.bytes) == nil { kept.bytes += recorded.bytes.count }
        }
    }

    /// How many bytes are kept.
    var byteCount: Int { kept.withLock { $0.bytes } }

    /// The fact of these bytes; it is not kept any longer.
    func take(_ bytes: [UInt8]) -> RecordedFact? {
        let known = kept.withLock { kept in
            let known = kept.facts.removeValue(forKey: bytes)
            if known != nil { kept.bytes -= bytes.count }
            return known
        }
        return known ?? RecordedFact(parsing: bytes)
    }
}
