internal import Model
internal import Reactor

extension Catalogue {
    // MARK: The log

    func facts(after seq: Int64, limit: Int) throws(StoreError) -> [LoggedFact] {
        var found: [LoggedFact] = []
        for row in try indexed({ index throws(SQLite.Failure) in try index.facts(after: seq, limit: limit) }) {
            if let fact = try read(row) { found.append(fact) }
        }
        return found
    }

    func facts(in ranges: Holdings, byteLimit: Int) throws(StoreError) -> (facts: [LoggedFact], more: Bool) {
        var rows: [Index.FactRow] = []
        var bytes: Int64 = 0
        var more = false
        for (author, incarnations) in ranges.authors.sorted(by: { $0.key < $1.key }) {
            for (incarnation, asked) in incarnations.sorted(by: { $0.key < $1.key }) where !more {
                let held = asked.intersection(holdings[author, incarnation])
                for range in held.ranges where !more {
                    try indexed { index throws(SQLite.Failure) in
                        try index.facts(author: author, incarnation: incarnation, range: range) { row in
                            guard rows.isEmpty || bytes + row.position.length + 1 <= byteLimit else {
                                more = true
                                return false
                            }
                            bytes += row.position.length + 1
                            rows.append(row)
                            return true
                        }
                    }
                }
            }
        }
        var found: [LoggedFact] = []
        for row in rows { if let fact = try read(row) { found.append(fact) } }
        return (found, more)
    }

    // MARK: Sessions

    func sessions(_ id: SessionID? = nil) throws(StoreError) -> [SessionSummary] {
        var found: [SessionSummary] = []
        for row in try indexed({ index throws(SQLite.Failure) in try index.sessions(id) }) {
            guard let recorded = try recorded(seq: row.seq), case .session(let opening) = recorded.fact.body else {
                continue
            }
            let end = try row.endSeq.flatMap { seq throws(StoreError) in try self.recorded(seq: seq) }
            var ending: SessionEnd?
            if case .end(let fields)? = end?.fact.body { ending = fields }
            found.append(
                SessionSummary(
                    id: row.id, author: row.author, opening: opening, startedAt: recorded.fact.at, end: ending,
                    endedAt: end?.fact.at,
                    held: try indexed { index throws(SQLite.Failure) in try index.totals(of: row.id) },
                    missingChunks: try indexed { index throws(SQLite.Failure) in try index.heardCount(row.id) }))
        }
        return found
    }

    func unended(of author: NodeID) throws(StoreError) -> [SessionSummary] {
        var found: [SessionSummary] = []
        for id in try indexed({ index throws(SQLite.Failure) in try index.unended(of: author) }) {
            // One that this process began may be on its way to the journal.
            guard let row = try indexed({ index throws(SQLite.Failure) in try index.sessions(id) }).first,
                let begun = try recorded(seq: row.seq), begun.fact.name.incarnation != incarnation
            else { continue }
            found += try sessions(id)
        }
        return found
    }

    func chunks(of session: SessionID) throws(StoreError) -> [HeldChunk] {
        var found: [HeldChunk] = []
        for seq in try indexed({ index throws(SQLite.Failure) in try index.chunkSeqs(of: session) }) {
            guard let recorded = try recorded(seq: seq), case .chunk(let chunk) = recorded.fact.body else { continue }
            found.append(
                HeldChunk(
                    session: session, fact: chunk, name: recorded.fact.name, seq: seq, at: recorded.fact.at))
        }
        return found
    }

    func summary() throws(StoreError) -> StoreSummary {
        let free = try lifting { () throws(SyscallError) in try directory.root.space().free }
        if let progress = replayProgress() {
            return StoreSummary(
                sessions: 0, chunks: 0, dataChunks: 0, chunkBytes: 0, rows: 0, facts: 0, wanted: 0,
                copies: Int64(journal.copySlots.all.count), quarantined: quarantined, freeBytes: free, oldestRead: nil,
                indexed: progress.total > 0 ? Double(progress.done) / Double(progress.total) : 0)
        }
        let counts = try indexed { index throws(SQLite.Failure) in try index.counts() }
        return StoreSummary(
            sessions: try indexed { index throws(SQLite.Failure) in try index.sessionCount() },
            chunks: counts.chunks, dataChunks: counts.dataChunks, chunkBytes: counts.chunkBytes, rows: counts.rows,
            facts: head, wanted: try indexed { index throws(SQLite.Failure) in try index.heardCount() },
            copies: Int64(journal.copySlots.all.count), quarantined: quarantined, freeBytes: free,
            oldestRead: try indexed { index throws(SQLite.Failure) in try index.oldestRead() }, indexed: nil)
    }

    // MARK: The folder for people

    /// Gives the slot's first chunk its name. The view is derived: what fails is only logged.
    func show(_ session: SessionID, _ chunk: ChunkFact) {
        guard isComplete else { return showLater(session, chunk.stream, chunk.index) }
        show(session, chunk.stream, chunk.index)
    }

    /// Slots whose first chunk is another now, or gone.
    func showAgain(_ slots: [Index.Slot]) {
        for slot in slots {
            guard let session = SessionID(bytes: slot.session), let stream = StreamName(slot.stream) else { continue }
            show(session, stream, slot.index)
            stale.insert(session)
        }
    }

    /// A process that died between a chunk's fact and its name for people left the name out: the newest are looked at.
    func showNewest() throws(StoreError) {
        // Two groups at most were on their way.
        let limit = 2 * Limits.admitGroupChunks
        let newest = try indexed { index throws(SQLite.Failure) in try index.newest(limit) }
        var isMissed: [[UInt8]: Bool] = [:]
        for session in Set(newest.map(\.slot.session)) {
            // A longer session without a folder is one whose folder somebody deleted.
            isMissed[session] =
                try indexed { index throws(SQLite.Failure) in try index.chunkCount(of: session) } <= limit
        }
        showAgain(
            newest.filter { isMisshown($0.slot, $0.id, isMissed: isMissed[$0.slot.session] ?? false) }.map(\.slot))
    }

    /// The slot's name in the folder for people does not lead to this chunk, which counts there. A folder that somebody
    /// deleted is not missed, unless `isMissed`.
    func isMisshown(_ slot: Index.Slot, _ id: ChunkID, isMissed: Bool = false) -> Bool {
        guard view.mode != .off, let session = SessionID(bytes: slot.session), let name = StreamName(slot.stream) else {
            return false
        }
        do {
            guard let summary = try opening(of: session),
                let stream = summary.streams.first(where: { $0.name == name }),
                try indexed({ index throws(SQLite.Failure) in try index.firstChunk(session, name, slot.index) }) == id
            else { return false }
            return try lifting { () throws(SyscallError) in
                guard try view.exists(mission: summary.mission, session: session) else { return isMissed }
                return try !view.shows(id, of: summary, session: session, stream: stream, index: slot.index)
            }
        } catch {
            log.warning("the folder for people cannot be checked", ("session", session), ("reason", error))
            return false
        }
    }

    func show(_ session: SessionID, _ name: StreamName, _ position: Int64) {
        guard view.mode != .off else { return }
        do {
            guard let summary = try opening(of: session),
                let stream = summary.streams.first(where: { $0.name == name })
            else { return }
            let found = try indexed { index throws(SQLite.Failure) in try index.firstChunk(session, name, position) }
            guard let first = found else {
                return try lifting { () throws(SyscallError) in
                    try view.hide(of: summary, session: session, stream: stream, index: position)
                }
            }
            let isNew = try lifting { () throws(SyscallError) in
                try !view.exists(mission: summary.mission, session: session)
            }
            try lifting { () throws(SyscallError) in
                try view.show(first, of: summary, session: session, stream: stream, index: position)
            }
            // The folder was not there: deleted by somebody, or never made. What belongs into it is shown again.
            if isNew { try showAll(session, summary) }
        } catch {
            log.warning("the folder for people is behind", ("session", session), ("reason", error))
            showLater(session, name, position)
        }
    }

    func showAll(_ session: SessionID, _ opening: SessionOpening) throws(StoreError) {
        var shown: Set<String> = []
        for held in try chunks(of: session) where shown.insert("\(held.fact.stream) \(held.fact.index)").inserted {
            guard view.mode != .off, let stream = opening.streams.first(where: { $0.name == held.fact.stream }) else {
                continue
            }
            try lifting { () throws(SyscallError) in
                try view.show(held.fact.sha256, of: opening, session: session, stream: stream, index: held.fact.index)
            }
        }
    }

    func opening(of session: SessionID) throws(StoreError) -> SessionOpening? {
        if let known = openings[session] { return known }
        guard let row = try indexed({ index throws(SQLite.Failure) in try index.sessions(session) }).first,
            let recorded = try recorded(seq: row.seq), case .session(let opening) = recorded.fact.body
        else { return nil }
        if openings.count >= Limits.sessionsShown { openings.removeAll() }
        openings[session] = opening
        return opening
    }

    /// Copies open chunks up to their last commit and writes the manifests that are behind: all of them where that is
    /// wanted, else as often as takes a hundredth of this lane, since a manifest lists all chunks of its session.
    func refreshView(_ open: [(slot: ChunkSlot, length: Int64, file: SharedFile)], _ extent: ViewRefresh) {
        // While the index is made nothing can be said of it; what is open then is shown soon after.
        guard view.mode != .off, isComplete else { return }
        do {
            let slots = Set(open.map(\.slot))
            if !hasSweptPartials {
                try sweepPartials(of: slots)
                hasSweptPartials = true
            }
            for slot in partials.keys where !slots.contains(slot) {
                if let opening = try opening(of: slot.session) {
                    try lifting { () throws(SyscallError) in try view.hidePartial(of: opening, slot: slot) }
                }
                partials[slot] = nil
            }
            for chunk in open {
                if let shown = partials[chunk.slot], extent == .newPartials || shown == chunk.length { continue }
                guard let opening = try opening(of: chunk.slot.session) else { continue }
                try lifting { () throws(SyscallError) in
                    try view.showPartial(chunk.file, length: chunk.length, of: opening, slot: chunk.slot)
                }
                partials[chunk.slot] = chunk.length
            }
            let start = SystemClock.monotonic()
            switch extent {
            case .newPartials: return
            case .due: guard start >= manifestsDue else { return }
            case .all: break
            }
            defer {
                let end = SystemClock.monotonic()
                manifestsDue = end.advanced(by: start.duration(to: end) * 100 - Limits.viewInterval)
            }
            for session in stale {
                guard let summary = try sessions(session).first else { continue }
                let manifest = Manifest(summary, try chunks(of: session))
                try lifting { () throws(SyscallError) in
                    try view.writeManifest(manifest, of: summary.opening, session: session)
                }
            }
            stale = []
        } catch {
            log.warning("the folder for people is behind", ("reason", error))
        }
    }
}

extension Catalogue {
    /// An earlier process may have left partial files of chunks that are not open any more.
    private func sweepPartials(of open: Set<ChunkSlot>) throws(StoreError) {
        var kept: [SessionID: Set<String>] = [:]
        for slot in open {
            guard let stream = try opening(of: slot.session)?.streams.first(where: { $0.name == slot.stream }) else {
                continue
            }
            kept[slot.session, default: []].insert(FolderView.partialName(stream, slot.index).file)
        }
        try lifting { () throws(SyscallError) in try view.removePartials(except: kept) }
    }
}

extension SessionSummary {
    /// The session has ended, and every chunk that its end counts is held.
    package var isComplete: Bool {
        guard let end, missingChunks == 0 else { return false }
        return end.streams.allSatisfy { name, totals in
            let held = StreamName(name).flatMap { self.held[$0] } ?? SessionEnd.Totals()
            return held.chunks >= totals.chunks && held.rows >= totals.rows
        }
    }
}

extension Manifest {
    fileprivate init(_ summary: SessionSummary, _ held: [HeldChunk]) {
        var chunks: [Chunk] = []
        for group in Dictionary(grouping: held, by: { "\($0.fact.stream) \($0.fact.index)" }).values {
            guard let first = group.first,
                let stream = summary.opening.streams.first(where: { $0.name == first.fact.stream })
            else { continue }
            let name = FolderView.chunkName(stream, first.fact.index)
            chunks.append(
                Chunk(
                    name: (name.folder.map { $0 + "/" } ?? "") + name.file, stream: first.fact.stream,
                    index: first.fact.index, sha256: first.fact.sha256, bytes: first.fact.bytes, rows: first.fact.rows,
                    firstRow: first.fact.firstRow, first: Timestamp.text(first.fact.first.realtime),
                    last: Timestamp.text(first.fact.last.realtime), variants: group.dropFirst().map(\.fact.sha256)))
        }
        self.init(
            session: summary.id, author: summary.author, mission: summary.opening.mission,
            startedAt: Timestamp.text(summary.startedAt.realtime),
            endedAt: summary.endedAt.map { Timestamp.text($0.realtime) }, endReason: summary.end?.reason,
            complete: summary.isComplete, chunks: chunks.sorted { ($0.stream, $0.index) < ($1.stream, $1.index) })
    }
}
