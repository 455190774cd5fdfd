internal import HTTP
internal import Model
internal import Storage

/// Which open chunks have grown since one event stream was told: `tail`, a bell without bytes.
struct TailBells: Sendable {
    private var version: Int64 = 0
    private var told: [ChunkSlot: Int64] = [:]
    private var toldAt: MonotonicTime?

    /// An event for each that has grown; nil where there is none, or it is too early for another.
    mutating func bells(_ store: Store, of author: NodeID?, now: MonotonicTime) -> [UInt8]? {
        if let toldAt, now < toldAt.advanced(by: Limits.tailBellInterval) { return nil }
        let (version, chunks) = store.openLengths(since: self.version)
        guard version > self.version else { return nil }
        self.version = version
        let grown = chunks.filter { told[$0.slot] != $0.length && (author == nil || $0.slot.author == author) }
        told = Dictionary(uniqueKeysWithValues: chunks.map { ($0.slot, $0.length) })
        guard !grown.isEmpty else { return nil }
        toldAt = now
        return grown.flatMap { slot, length in
            ServerSentEvent.bytes(
                name: "tail",
                data: WireJSON.encode(
                    TailForm(
                        author: slot.author, session: slot.session, stream: slot.stream, index: slot.index,
                        length: length)))
        }
    }
}
