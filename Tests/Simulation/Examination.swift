import Model
import Reactor

@testable import Storage

/// Reads everything that is held at the end, and compares it with what was printed.
extension Oracle {
    func examine() async {
        var contents: [ChunkID: [UInt8]] = [:]
        for node in nodes {
            guard let process = node.process, let store = process.store else { continue }
            do {
                try await examine(store, of: node, &contents)
            } catch {
                sim.fail("node \(node.number) cannot be read: \(error)")
            }
            if sim.failure != nil { return }
        }
    }

    private func examine(_ store: Store, of node: SimulatedNode, _ contents: inout [ChunkID: [UInt8]]) async throws {
        let (held, head) = try await store.holdings()
        var names: Set<FactName> = []
        for logged in try await store.facts(after: 0, limit: 100_000) {
            guard let fact = register(logged.bytes)?.fact else {
                return sim.fail("node \(node.number) has a fact that is none, at \(logged.seq) of \(head)")
            }
            if !names.insert(fact.name).inserted { sim.fail("node \(node.number) has \(fact.name) twice in its log") }
        }
        for session in try await store.sessions() {
            try await examine(session, held, in: store, of: node, &contents)
        }
    }

    private func examine(
        _ session: SessionSummary, _ held: Holdings, in store: Store, of node: SimulatedNode,
        _ contents: inout [ChunkID: [UInt8]]
    ) async throws {
        var rows: [StreamName: [Int64]] = [:]
        for chunk in try await store.chunks(of: session.id) where held.contains(chunk.name) {
            let (id, fact) = (chunk.fact.sha256, chunk.fact)
            let file = try await store.openChunk(id)
            let bytes = try file.read(count: Int(file.length), at: 0)
            if let before = contents[id] {
                guard before == bytes else { return sim.fail("chunk \(id) of node \(node.number) has other bytes") }
            } else {
                guard ChunkDigester.digest(of: bytes) == id else {
                    return sim.fail("chunk \(id) of node \(node.number) does not have its digest")
                }
                contents[id] = bytes
            }
            guard Int64(bytes.count) == fact.bytes, let found = ledger.rows(of: bytes, session.id, fact.stream),
                Int64(found.count) == fact.rows, found == Array(fact.firstRow..<fact.firstRow + fact.rows)
            else { return sim.fail("chunk \(id) of node \(node.number) is not what was printed") }
            rows[fact.stream, default: []] += found
            if chunk.name.author != node.id { note { $0.needed += fact.bytes } }
        }
        guard session.author == node.id, let printed = ledger.sessions[session.id], !printed.isExcused else { return }
        for (stream, count) in printed.committed {
            let found = rows[stream] ?? []
            guard found == Array(0..<Int64(found.count)), Int64(found.count) >= count else {
                return sim.fail(
                    "\(count) rows of \(stream) of \(session.id) were acknowledged; its author has \(found.count)")
            }
        }
    }
}
