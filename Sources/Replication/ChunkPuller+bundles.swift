internal import Model
internal import Storage

extension ChunkPuller {
    /// Small chunks with one request; each is on its way to the disk as soon as it has come.
    func pullBundle(_ chunks: [WantedChunk], through attachment: Attachment) async {
        let rank = PullRank(
            priority: chunks.map(\.fact.last.realtime).max() ?? 0, bytes: chunks.reduce(0) { $0 + $1.fact.bytes })
        let number = begin("\(chunks.count) small chunks", with: attachment, rank)
        var rest = chunks[...]
        do {
            let body = try await attachment.link.chunks(chunks.map(\.fact.sha256), rank: rank)
            transfers[number]?.end = { await body.close() }
            noteProgress(number, 0)
            var partly = 0
            while let chunk = rest.first {
                let item: BundleItem
                switch try await body.next() {
                case nil: throw PeerLinkError.cutOff
                case .part(let bytes):
                    noteProgress(number, bytes)
                    partly += bytes
                    continue
                case .item(let whole): item = whole
                }
                noteProgress(number, max(0, (item.bytes?.count ?? 0) - partly))
                partly = 0
                guard item.id == chunk.fact.sha256 else {
                    await body.close()
                    throw PeerLinkError.malformed(reason: "another chunk than was asked for")
                }
                rest.removeFirst()
                take(item, as: chunk, from: attachment.peer)
                wakeAll()
            }
            // The exchange is over when its end was read.
            guard try await body.next() == nil else {
                await body.close()
                throw PeerLinkError.malformed(reason: "more than was asked for")
            }
            if let transfer = transfers[number] {
                queue.measured(
                    attachment.peer, transfer.bytes, areSmall: true, in: transfer.started.duration(to: venue.now()))
            }
        } catch {
            await transfers[number]?.end?()
            let interruption = interruption(by: error, of: number)
            settleRest(rest, interruption, from: attachment.peer)
            // All came, and then something that nobody asked for, or nothing although it was promised.
            if rest.isEmpty, case .failed(let fault, _) = interruption.outcome {
                count(fault, of: attachment.peer, "after a bundle: \(interruption.reason)")
            }
        }
        transfers[number] = nil
        wakeAll()
    }

    private func take(_ item: BundleItem, as chunk: WantedChunk, from peer: NodeID) {
        guard let bytes = item.bytes else {
            settle(
                chunk, from: peer, .failed(.missingChunk), reason: PeerLinkError.notFound.description)
            return
        }
        guard Int64(bytes.count) == chunk.fact.bytes else {
            let reason = "\(bytes.count) bytes instead of \(chunk.fact.bytes)"
            settle(chunk, from: peer, .failed(.wrongLength), reason: reason)
            return
        }
        arrived(ChunkArrival(chunk: chunk, bytes: bytes), from: peer)
    }

    /// The one that was to come next is to blame where anyone is; those behind it never had their turn.
    private func settleRest(_ rest: ArraySlice<WantedChunk>, _ interruption: Interruption, from peer: NodeID) {
        for (place, chunk) in rest.enumerated() {
            let outcome = place == 0 ? interruption.outcome : .interrupted(keptSome: false)
            settle(chunk, from: peer, outcome, reason: interruption.reason)
        }
    }
}
