import Model

/// What is wrong with stores that should be sound and equal; each finding is a sentence.
enum StoreComparison {
    /// `other` holds every fact and every chunk of `one`, byte for byte.
    static func lacks(_ other: StoredNode, of one: StoredNode) -> [String] {
        var findings: [String] = []
        for (name, bytes) in one.chunks where other.chunks[name] != bytes {
            findings.append("\(other.path) \(other.chunks[name] == nil ? "lacks" : "alters") chunk \(name)")
        }
        for (name, stored) in one.facts where other.facts[name]?.bytes != stored.bytes {
            findings.append("\(other.path) lacks \(stored.fact.body.kind) \(name.n) of \(name.author.short)")
        }
        return findings
    }

    static func differences(_ one: StoredNode, _ other: StoredNode) -> [String] {
        lacks(other, of: one) + lacks(one, of: other)
    }

    /// Each session of the store by itself: its chunks without holes, its totals as its end says, no chunk that no fact
    /// names.
    static func flaws(of store: StoredNode) -> [String] {
        var findings = store.damagedLines > 0 ? ["\(store.damagedLines) damaged lines in the log"] : []
        if store.repeatedNames > 0 { findings.append("\(store.repeatedNames) facts stand in the log twice") }
        let named = Set(
            store.facts.values.compactMap { stored in
                if case .chunk(let chunk) = stored.fact.body { chunk.sha256.description } else { nil }
            })
        findings += store.chunks.keys.filter { !named.contains($0) }.map { "no fact names chunk \($0)" }
        findings += named.subtracting(store.chunks.keys).map { "chunk \($0) has a fact and no file" }
        for session in store.sessions { findings += flaws(of: store, session) }
        return findings
    }

    /// What an orderly end leaves behind of work that was under way.
    static func leftovers(of store: StoredNode) -> [String] {
        // The ledger of what comes in pieces stays, whatever it says.
        var findings = StoredNode.names("\(store.path)/incoming").filter { $0 != "pieces" }
            .map { "\(store.path): incoming/\($0) is left" }
        for author in StoredNode.names("\(store.path)/open") {
            for session in StoredNode.names("\(store.path)/open/\(author)") {
                findings += StoredNode.names("\(store.path)/open/\(author)/\(session)").filter { $0 != "session.json" }
                    .map { "\(store.path): open/\(author)/\(session)/\($0) is left" }
            }
        }
        return findings
    }

    private static func flaws(of store: StoredNode, _ session: SessionID) -> [String] {
        var findings: [String] = []
        let ends = store.facts(of: session).compactMap { if case .end(let end) = $0.body { end } else { nil } }
        if ends.isEmpty { findings.append("session \(session) has no end") }
        // A log that was torn may have cost the end and got another one, that tells of less, before it came back.
        let end = ends.max { $0.chunkCount < $1.chunkCount }
        for stream in [StreamName.data, .raw] {
            let chunks = store.chunkFacts(of: session, stream)
            var totals = SessionEnd.Totals()
            for (position, chunk) in chunks.enumerated() {
                let bytes = store.chunks[chunk.sha256.description] ?? []
                let lines = Int64(bytes.count { $0 == UInt8(ascii: "\n") }) - (stream == .data ? 1 : 0)
                if chunk.index != Int64(position) { findings.append("\(stream) \(position) is \(chunk.index)") }
                if chunk.firstRow != totals.rows {
                    findings.append("\(stream) \(position) begins with row \(chunk.firstRow), not \(totals.rows)")
                }
                if chunk.rows != lines { findings.append("\(stream) \(position): \(lines) rows, not \(chunk.rows)") }
                if chunk.bytes != bytes.count { findings.append("\(stream) \(position): \(bytes.count) bytes") }
                totals.chunks += 1
                totals.rows += lines
                totals.bytes += Int64(bytes.count)
            }
            if let end, end.streams[stream.description] ?? SessionEnd.Totals() != totals {
                findings.append(
                    "\(stream): \(totals) held, its end says \(String(describing: end.streams[stream.description]))")
            }
        }
        return findings
    }
}

extension SessionEnd {
    fileprivate var chunkCount: Int64 { streams.values.reduce(0) { $0 + $1.chunks } }
}
