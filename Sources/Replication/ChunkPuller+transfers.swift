internal import Model
internal import Storage

extension ChunkPuller {
    /// Why a download ended before its end.
    private struct Interruption: Error {
        var outcome: PullQueue.Outcome
        let reason: String

        /// The same, where what had come is in the store now.
        func keeping(some: Bool) -> Self {
            var kept = self
            switch outcome {
            case .failed(let fault, _): kept.outcome = .failed(fault, keptSome: some)
            case .interrupted: kept.outcome = .interrupted(keptSome: some)
            case .admitted, .storageFailed: break
            }
            return kept
        }
    }

    func pull(_ chunk: WantedChunk, through attachment: Attachment) async {
        let id = chunk.fact.sha256
        transfers[id] = Transfer(link: attachment.link, lastProgress: venue.now())
        do {
            if chunk.fact.bytes <= Limits.collectedChunkBytes, !begun.contains(id) {
                let bytes = try await collect(chunk, through: attachment)
                transfers[id] = nil
                queue.arrived(id)
                arrivals.append(Arrival(chunk: chunk, peer: attachment.peer, bytes: bytes))
                wakeAll()
            } else {
                try await stream(chunk, through: attachment)
                transfers[id] = nil
                begun.remove(id)
                settle(chunk, from: attachment.peer, .admitted)
            }
        } catch {
            let interruption = interruption(by: error, of: id)
            transfers[id] = nil
            settle(chunk, from: attachment.peer, interruption.outcome, reason: interruption.reason)
        }
    }

    // MARK: Small chunks

    /// The whole chunk in memory. What came of it before a break is kept where it is worth a file.
    private func collect(_ chunk: WantedChunk, through attachment: Attachment) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(chunk.fact.bytes))
        do {
            let body = try await open(chunk, through: attachment, from: 0)
            while let piece = try await next(of: body, chunk, from: attachment.peer, soFar: Int64(bytes.count)) {
                bytes += piece
            }
            guard bytes.count == Int(chunk.fact.bytes) else { throw PeerLinkError.cutOff }
            return bytes
        } catch let error as PeerLinkError {
            guard error != .notFound, bytes.count >= Limits.keptPieceBytes else { throw error }
            let interruption = interruption(by: error, of: chunk.fact.sha256)
            try await keep(bytes, of: chunk)
            throw interruption.keeping(some: true)
        }
    }

    private func keep(_ bytes: [UInt8], of chunk: WantedChunk) async throws(StoreError) {
        let offset = try await store.beginPull(chunk)
        // Forgetting one costs no more than its bytes a second time.
        if begun.count >= Limits.chunksInTrouble { begun.removeAll() }
        begun.insert(chunk.fact.sha256)
        if offset < Int64(bytes.count) { try await store.appendPull(chunk, Array(bytes[Int(offset)...])) }
        await store.suspendPull(chunk)
    }

    // MARK: Large chunks

    /// The chunk goes to disk as it comes, from where an earlier attempt ended.
    private func stream(_ chunk: WantedChunk, through attachment: Attachment) async throws {
        let start = try await store.beginPull(chunk)
        var written = start
        var piece: [UInt8] = []
        do {
            if start < chunk.fact.bytes {
                let body = try await open(chunk, through: attachment, from: start)
                while let bytes = try await next(
                    of: body, chunk, from: attachment.peer, soFar: written + Int64(piece.count))
                {
                    piece += bytes
                    guard piece.count >= Limits.pullPieceBytes else { continue }
                    try await append(&piece, to: chunk, &written)
                }
                try await append(&piece, to: chunk, &written)
                guard written == chunk.fact.bytes else { throw PeerLinkError.cutOff }
            }
        } catch let error as PeerLinkError {
            let interruption = interruption(by: error, of: chunk.fact.sha256)
            if !piece.isEmpty { try await append(&piece, to: chunk, &written) }
            await store.suspendPull(chunk)
            throw interruption.keeping(some: written > start)
        } catch {
            // The disk refused: the connection is not left with a body that nobody reads.
            await transfers[chunk.fact.sha256]?.body?.close()
            await store.suspendPull(chunk)
            throw error
        }
        try await store.finishPull(chunk)
    }

    private func append(_ piece: inout [UInt8], to chunk: WantedChunk, _ written: inout Int64) async throws {
        guard !piece.isEmpty else { return }
        guard queue.hasRoom else { throw Interruption(outcome: .interrupted(keptSome: true), reason: "no room for it") }
        let bytes = piece
        piece = []
        try await store.appendPull(chunk, bytes)
        written += Int64(bytes.count)
    }

    // MARK: The transfer

    private func open(
        _ chunk: WantedChunk, through attachment: Attachment, from offset: Int64
    ) async throws -> any ChunkTransfer {
        let rank = PullRank(priority: chunk.fact.last.realtime, bytes: chunk.fact.bytes)
        let body = try await attachment.link.chunk(chunk.fact.sha256, from: offset, rank: rank)
        guard body.totalLength == chunk.fact.bytes else {
            await body.close()
            throw Interruption(
                outcome: .failed(.wrongLength), reason: "\(body.totalLength) bytes instead of \(chunk.fact.bytes)")
        }
        transfers[chunk.fact.sha256]?.body = body
        transfers[chunk.fact.sha256]?.lastProgress = venue.now()
        return body
    }

    private func next(
        of body: any ChunkTransfer, _ chunk: WantedChunk, from peer: NodeID, soFar: Int64
    ) async throws -> [UInt8]? {
        guard let piece = try await body.next() else { return nil }
        noteProgress(chunk, from: peer, piece.count)
        guard soFar + Int64(piece.count) <= chunk.fact.bytes else {
            await body.close()
            throw Interruption(outcome: .failed(.wrongLength), reason: "more than \(chunk.fact.bytes) bytes")
        }
        return piece
    }

    /// A chunk that stands still is given up; where not even the head of an answer came, the link is.
    func endStalledTransfers() async {
        let limit = venue.now().advanced(by: .zero - Limits.chunkStallTime)
        for (id, transfer) in transfers where transfer.lastProgress < limit && !transfer.wasStalled {
            // Others have their turn before it.
            if transfer.link.isHeldByCap { continue }
            transfers[id]?.wasStalled = true
            if let body = transfer.body { await body.close() } else { await transfer.link.close() }
        }
    }

    private func interruption(by error: any Error, of id: ChunkID) -> Interruption {
        switch error {
        case let interruption as Interruption: interruption
        case let error as StoreError: Self.interruption(by: error)
        case _ where transfers[id]?.wasStalled == true:
            Interruption(outcome: .failed(.stalledChunk), reason: "no byte for \(Limits.chunkStallTime)")
        case let error as PeerLinkError:
            switch error {
            case .closed, .timedOut, .unreachable:
                Interruption(outcome: .interrupted(keptSome: false), reason: error.description)
            case .refused, .malformed, .notFound, .cutOff:
                Interruption(outcome: .failed(PeerFault(error)), reason: error.description)
            }
        case is CancellationError: Interruption(outcome: .interrupted(keptSome: false), reason: "the node stops")
        default: Interruption(outcome: .failed(.malformed), reason: "\(error)")
        }
    }

    private static func interruption(by error: StoreError) -> Interruption {
        switch error {
        case .corrupt: Interruption(outcome: .failed(.corruptChunk), reason: error.description)
        case .wrongLength: Interruption(outcome: .failed(.wrongLength), reason: error.description)
        default: Interruption(outcome: .storageFailed, reason: error.description)
        }
    }

    // MARK: To disk

    /// Makes whole chunks durable in groups: while one is synced, the next gathers.
    func admitArrivals() async {
        while true {
            while arrivals.isEmpty {
                if isEnding { return }
                await change()
            }
            let group = nextGroup()
            let results = await store.admit(group.map { ($0.chunk, $0.bytes) })
            precondition(results.count == group.count, "the store answers for each chunk")
            for (arrival, result) in zip(group, results) {
                switch result {
                case .success: settle(arrival.chunk, from: arrival.peer, .admitted)
                case .failure(let error):
                    let interruption = Self.interruption(by: error)
                    settle(arrival.chunk, from: arrival.peer, interruption.outcome, reason: interruption.reason)
                }
            }
        }
    }

    private func nextGroup() -> [Arrival] {
        var bytes: Int64 = 0
        var count = 0
        for arrival in arrivals.prefix(Limits.admitGroupChunks) {
            bytes += arrival.chunk.fact.bytes
            guard count == 0 || bytes <= Limits.admitGroupBytes else { break }
            count += 1
        }
        let group = Array(arrivals.prefix(count))
        arrivals.removeFirst(count)
        return group
    }
}
