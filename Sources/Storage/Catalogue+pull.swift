internal import Model
internal import Reactor

extension Catalogue {
    // MARK: Facts of a peer

    func receive(_ facts: [RecordedFact?]) throws(StoreError) -> ReceiptReport {
        var report = ReceiptReport()
        var toLog: [RecordedFact] = []
        var toHear: [RecordedFact] = []
        var names: Set<FactName> = []
        for recorded in facts {
            guard let recorded else {
                report.refused += 1
                continue
            }
            let name = recorded.fact.name
            if holdings.contains(name) || heard.contains(name) || !names.insert(name).inserted {
                // What this process wrote comes back from those who follow it, too.
                report.known += 1
            } else if isOurs(name) {
                report.refused += 1
            } else if case .chunk = recorded.fact.body, recorded.fact.session != nil {
                toHear.append(recorded)
            } else {
                toLog.append(recorded)
            }
        }
        // What was heard of has a limit, and what needs no bytes does not wait for it.
        let logged = try append(toLog)
        report.logged = logged.count
        // A session whose line was damaged has its chunks already.
        for case (.session(let opening), let id?) in logged.map({ ($0.fact.body, $0.fact.session) }) {
            openings[id] = nil
            if view.mode != .off, !(try chunks(of: id)).isEmpty { try showAll(id, opening) }
        }
        let room = heardRoom
        report.refused += max(0, toHear.count - room)
        toHear = Array(toHear.prefix(room))
        try hear(toHear)
        let adopted = try adoptHeld(toHear, sessions: toLog.compactMap(\.fact.session))
        report.adopted = adopted
        report.heard = max(0, toHear.count - adopted)
        return report
    }

    /// Only this process writes facts of this incarnation: one from outside that is not held is a forgery.
    func isOurs(_ name: FactName) -> Bool { name.author == node && name.incarnation == incarnation }

    /// Chunk facts just heard, or waiting for a session that is known now, whose bytes are here already.
    func adoptHeld(_ new: [RecordedFact], sessions: [SessionID]) throws(StoreError) -> Int {
        var candidates = new
        for session in Set(sessions) {
            candidates += try indexed { index throws(SQLite.Failure) in try index.heardFacts(of: session) }
                .compactMap { RecordedFact(parsing: $0) }
        }
        var adopted: [RecordedFact] = []
        var known: [SessionID: Bool] = [:]
        for recorded in candidates {
            guard case .chunk(let chunk) = recorded.fact.body, let session = recorded.fact.session,
                heard.contains(recorded.fact.name)
            else { continue }
            if known[session] == nil { known[session] = try isKnown(session) }
            guard known[session] == true, try holds(chunk) else { continue }
            adopted.append(recorded)
        }
        let logged = try append(adopted)
        for recorded in logged {
            if case .chunk(let chunk) = recorded.fact.body, let session = recorded.fact.session { show(session, chunk) }
        }
        return logged.count
    }

    private func isKnown(_ session: SessionID) throws(StoreError) -> Bool {
        try !indexed { index throws(SQLite.Failure) in try index.sessions(session) }.isEmpty
    }

    /// The bytes are in the store: by a fact of the log, or as a file without one, which is read before it is believed.
    private func holds(_ chunk: ChunkFact) throws(StoreError) -> Bool {
        if let length = try heldLength(of: chunk.sha256) { return length == chunk.bytes }
        do throws(SyscallError) {
            guard let folder = try directory.existingChunkFolder(chunk.sha256),
                try folder.length(of: chunk.sha256.description) == chunk.bytes
            else { return false }
            let file = try folder.openFile(chunk.sha256.description, .read)
            guard try ChunkDigester.digest(of: file) != chunk.sha256 else { return true }
            try folder.rename(
                chunk.sha256.description, to: directory.quarantine, as: "\(chunk.sha256).damaged")
            noteQuarantine()
            return false
        } catch {
            throw DataDirectory.explain(error, path: directory.path)
        }
    }

    // MARK: What to pull

    /// The exact bytes of a chunk fact that was heard of, and its session's mission.
    struct WantedRow: Sendable {
        let claim: ChunkClaim
        let fact: [UInt8]
        let mission: String
    }

    /// `isCut`: it was ended by the facts' bytes, not by `limit`, and there may be more.
    func wanted(
        mission: String?, limit: Int, excluding: Set<ChunkClaim>
    ) throws(StoreError) -> (rows: [WantedRow], isCut: Bool) {
        guard heardCount > 0 else { return ([], false) }
        var found: [WantedRow] = []
        var bytes = 0
        var seen = excluding
        try indexed { index throws(SQLite.Failure) in
            try index.forEachWanted(mission: mission) { claim, row in
                guard seen.insert(claim).inserted else { return true }
                found.append(row())
                bytes += found[found.count - 1].fact.count
                return found.count < limit && bytes < Limits.wantedScanBytes
            }
        }
        return (found, bytes >= Limits.wantedScanBytes)
    }

    // MARK: What has arrived

    private func quarantineIncoming(_ id: ChunkID, _ name: String) throws(StoreError) {
        try lifting { () throws(SyscallError) in
            try directory.incoming.rename(name, to: directory.quarantine, as: "\(id).corrupt")
            try directory.quarantine.synchronize()
        }
        noteQuarantine()
    }

    /// Every heard fact that names these bytes is satisfied by them.
    private func candidates(_ id: ChunkID, file: SharedFile) throws(StoreError) -> [Candidate] {
        let length = try lifting { () throws(SyscallError) in try file.descriptor.length() }
        return try indexed { index throws(SQLite.Failure) in try index.heardFacts(naming: id) }
            .compactMap { parsed.take($0) }
            .compactMap { Candidate($0, source: .incoming, file: file) }
            // A fact with the digest and another length is nobody's chunk.
            .filter { $0.chunk.bytes == length }
    }

    /// Seals what was written to `incoming/` on another lane and has its digest.
    func admit(_ arrivals: [Result<IncomingShelf.Arrival, StoreError>]) async -> [Result<HeldChunk, StoreError>] {
        var results: [Result<HeldChunk, StoreError>?] = Array(repeating: nil, count: arrivals.count)
        var candidates: [Candidate] = []
        var owners: [Int] = []
        for (position, arrival) in arrivals.enumerated() {
            do throws(StoreError) {
                let arrival = try arrival.get()
                let found = try verified(arrival)
                candidates += found
                owners += found.map { _ in position }
                if found.isEmpty { results[position] = .success(try heldMeanwhile(arrival.chunk.fact.sha256)) }
            } catch {
                results[position] = .failure(error)
            }
        }
        for (owner, result) in zip(owners, await admit(candidates)) {
            if case .success? = results[owner] { continue }
            results[owner] = result
        }
        return results.map { result in
            guard let result else { preconditionFailure("what was verified has candidates, and each has a result") }
            return result
        }
    }

    private func verified(_ arrival: IncomingShelf.Arrival) throws(StoreError) -> [Candidate] {
        let id = arrival.chunk.fact.sha256
        guard arrival.digest == id else {
            try quarantineIncoming(id, arrival.name)
            throw .corrupt(expected: id, actual: arrival.digest)
        }
        return try candidates(id, file: arrival.file)
    }

    /// No fact waits for these bytes any more: they came another way, from a live copy or a store that was put back.
    private func heldMeanwhile(_ id: ChunkID) throws(StoreError) -> HeldChunk {
        guard let seq = try indexed({ index throws(SQLite.Failure) in try index.heldSeq(of: id) }),
            let recorded = try recorded(seq: seq), case .chunk(let chunk) = recorded.fact.body,
            let session = recorded.fact.session
        else { throw .notFound(id) }
        try lifting { () throws(SyscallError) in try directory.incoming.remove(id.description) }
        return HeldChunk(session: session, fact: chunk, name: recorded.fact.name, seq: seq, at: recorded.fact.at)
    }

    /// Files of chunks that are held, which a process left that died before it could remove them. What is not held may
    /// be heard of again.
    func removeHeldArrivals() throws(StoreError) {
        let names = try lifting { () throws(SyscallError) in try directory.incoming.names() }
        for id in names.compactMap({ ChunkID($0) }) where try heldLength(of: id) != nil {
            try lifting { () throws(SyscallError) in try directory.incoming.remove(id.description) }
        }
    }

    func lifting<Result>(_ body: () throws(SyscallError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch { throw DataDirectory.explain(error, path: directory.path) }
    }
}
