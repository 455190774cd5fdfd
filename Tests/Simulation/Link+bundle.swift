import Model
import Reactor
import Replication

/// What later releases ask of a link beside the rest.
extension Link {
    /// Each chunk as it would come alone: the judge sees every one.
    func chunks(_ ids: [ChunkID], rank: PullRank) async throws -> any ChunkBundle { Bundle(link: self, ids: ids) }

    private final class Bundle: ChunkBundle, @unchecked Sendable {
        let link: Link
        var rest: ArraySlice<ChunkID>
        var transfer: (any ChunkTransfer)?
        var current: (id: ChunkID, bytes: [UInt8])?

        init(link: Link, ids: [ChunkID]) {
            self.link = link
            rest = ids[...]
        }

        func next() async throws -> BundleStep? {
            if let (id, bytes) = current {
                if let piece = try await transfer?.next() {
                    current?.bytes += piece
                    return .part(piece.count)
                }
                current = nil
                return .item(BundleItem(id: id, bytes: bytes))
            }
            guard let id = rest.popFirst() else { return nil }
            do {
                transfer = try await link.chunk(id, from: 0, rank: PullRank())
                current = (id, [])
                return .part(0)
            } catch PeerLinkError.notFound {
                return .item(BundleItem(id: id, bytes: nil))
            }
        }

        func close() async {
            rest = []
            await transfer?.close()
        }
    }
}
