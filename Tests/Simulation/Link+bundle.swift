import Model
import Reactor
import Replication

/// What later releases ask of a link beside the rest.
extension Link {
    /// Each chunk as it would come alone: the judge sees every one.
    func chunks(_ ids: [ChunkID]) async throws -> any ChunkBundle { Bundle(link: self, ids: ids) }

    private final class Bundle: ChunkBundle, @unchecked Sendable {
        let link: Link
        var rest: ArraySlice<ChunkID>
        var transfer: (any ChunkTransfer)?

        init(link: Link, ids: [ChunkID]) {
            self.link = link
            rest = ids[...]
        }

        func next() async throws -> BundleItem? {
            guard let id = rest.popFirst() else { return nil }
            do {
                let transfer = try await link.chunk(id, from: 0)
                self.transfer = transfer
                var bytes: [UInt8] = []
                while let piece = try await transfer.next() { bytes += piece }
                return BundleItem(id: id, bytes: bytes)
            } catch PeerLinkError.notFound {
                return BundleItem(id: id, bytes: nil)
            }
        }

        func close() async {
            rest = []
            await transfer?.close()
        }
    }
}
