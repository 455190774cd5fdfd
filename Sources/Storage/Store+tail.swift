package import Model
internal import Reactor

/// Open chunks for those who copy them while they grow.
extension Store {
    /// Reads what is committed of open chunks, this node's and those it has copies of.
    package func tail(_ request: TailRequest) -> sending TailReader {
        TailReader(board: journal.board, catalogue: catalogue, shelf: shelf, request: request)
    }

    /// Rings this bell when a commit of these authors is durable, or one of their chunks ends; nil: of anybody.
    package func ringTails(_ bell: AsyncStream<Void>.Continuation, of authors: Set<NodeID>? = nil) {
        journal.board.ring(bell, of: authors)
    }

    /// Whether a live copy of this chunk's slot is here: a pull begins with what it has.
    package func hasCopy(of chunk: WantedChunk) -> Bool {
        journal.copySlots[chunk.session, chunk.fact.stream, chunk.fact.index] != nil
    }

    /// Committed bytes of an open chunk; nil where it is not open here.
    package func openLength(of slot: ChunkSlot) -> Int64? { journal.board.length(of: slot) }

    /// Every open chunk with its committed bytes, and a number that grows whenever that changes; none where it has not.
    package func openLengths(since version: Int64) -> (version: Int64, chunks: [(slot: ChunkSlot, length: Int64)]) {
        journal.board.lengths(since: version)
    }
}

extension Catalogue {
    /// A session's fact with its exact bytes; nil where the session is not known.
    func sessionFact(_ id: SessionID) throws(StoreError) -> RecordedFact? {
        guard let row = try indexed({ index throws(SQLite.Failure) in try index.sessions(id) }).first else {
            return nil
        }
        return try recorded(seq: row.seq)
    }
}

extension ChunkShelf {
    /// Committed bytes of an open chunk, all of which its file has.
    func read(_ file: SharedFile, _ range: Range<Int64>) throws(StoreError) -> [UInt8] {
        let bytes: [UInt8]
        do { bytes = try file.descriptor.read(count: range.count, at: range.lowerBound) } catch {
            throw DataDirectory.explain(error, path: path)
        }
        guard bytes.count == range.count else { throw DataDirectory.explain(.unreadable, path: path) }
        return bytes
    }
}
