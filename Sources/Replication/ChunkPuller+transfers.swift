internal import Model
internal import Reactor
internal import Storage

extension ChunkPuller {
    /// Why a download ended before its end.
    struct Interruption: Error {
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

    /// A request that is under way.
    struct Transfer {
        let peer: NodeID
        let started: MonotonicTime
        /// When bytes last came, or what keeps them from coming was no longer our own disk.
        var lastProgress: MonotonicTime
        /// Ends the one exchange; nil where no answer has begun.
        var end: (@Sendable () async -> Void)?
        var wasStalled = false
        /// Our own disk is waited for.
        var isOurs = false
        var bytes: Int64 = 0
        /// For people: what is waited for.
        let what: String
        /// Under a cap.
        let turn: PullTurn
    }

    func begin(_ what: String, with attachment: Attachment, _ rank: PullRank) -> Int {
        transferCount += 1
        let now = venue.now()
        transfers[transferCount] = Transfer(
            peer: attachment.peer, started: now, lastProgress: now, what: what, turn: rank.turn)
        return transferCount
    }

    func pull(_ chunk: WantedChunk, through attachment: Attachment) async {
        let rank = PullRank(priority: chunk.fact.last.realtime, bytes: chunk.fact.bytes)
        let number = begin("chunk \(chunk.fact.sha256)", with: attachment, rank)
        // What a live copy has of it is not fetched again.
        let isSmall = chunk.fact.bytes <= Limits.collectedChunkBytes && !store.hasCopy(of: chunk)
        do {
            let bytes: [UInt8]?
            if isSmall {
                bytes = try await collect(chunk, rank, through: attachment, number)
            } else {
                try await stream(chunk, rank, through: attachment, number)
                bytes = nil
            }
            if let transfer = transfers.removeValue(forKey: number) {
                queue.measured(
                    attachment.peer, transfer.bytes, areSmall: isSmall,
                    in: transfer.started.duration(to: venue.now()))
            }
            arrived(ChunkArrival(chunk: chunk, bytes: bytes), from: attachment.peer)
        } catch {
            let interruption = interruption(by: error, of: number)
            transfers[number] = nil
            settle(chunk, from: attachment.peer, interruption.outcome, reason: interruption.reason)
        }
        wakeAll()
    }

    func arrived(_ content: ChunkArrival, from peer: NodeID) {
        queue.arrived(content.chunk.fact.sha256)
        arrivals.append(Arrival(peer: peer, content: content))
    }

    /// A small chunk, whole in memory.
    private func collect(
        _ chunk: WantedChunk, _ rank: PullRank, through attachment: Attachment, _ number: Int
    ) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(chunk.fact.bytes))
        let body = try await open(chunk, rank, through: attachment, from: 0, number)
        while let piece = try await next(of: body, chunk, number, soFar: Int64(bytes.count)) { bytes += piece }
        guard bytes.count == Int(chunk.fact.bytes) else { throw PeerLinkError.cutOff }
        return bytes
    }

    /// A large one goes to disk as it comes, from where an earlier attempt ended.
    private func stream(
        _ chunk: WantedChunk, _ rank: PullRank, through attachment: Attachment, _ number: Int
    ) async throws {
        transfers[number]?.isOurs = true
        let start = try await store.beginPull(chunk)
        noteDiskDone(number)
        var written = start
        do {
            guard start < chunk.fact.bytes else { return }
            let body = try await open(chunk, rank, through: attachment, from: start, number)
            while let piece = try await next(of: body, chunk, number, soFar: written) {
                guard queue.hasRoom else {
                    throw Interruption(outcome: .interrupted(keptSome: written > start), reason: "no room for it")
                }
                transfers[number]?.isOurs = true
                try await store.appendPull(chunk, piece, at: written)
                noteDiskDone(number)
                written += Int64(piece.count)
                isStreaming = true
                if arePiecesAwaited { wakeAll() }
            }
            guard written == chunk.fact.bytes else { throw PeerLinkError.cutOff }
        } catch {
            // The connection is not left with a body that nobody reads.
            await transfers[number]?.end?()
            let interruption = interruption(by: error, of: number)
            do { try await store.suspendPull(chunk) } catch {
                log.warning("of a chunk that broke off less is known than has come", ("reason", error))
            }
            throw interruption.keeping(some: written > start)
        }
    }

    // MARK: The transfer

    private func open(
        _ chunk: WantedChunk, _ rank: PullRank, through attachment: Attachment, from offset: Int64, _ number: Int
    ) async throws -> any ChunkTransfer {
        let body = try await attachment.link.chunk(chunk.fact.sha256, from: offset, rank: rank)
        guard body.totalLength == chunk.fact.bytes else {
            await body.close()
            throw Interruption(
                outcome: .failed(.wrongLength), reason: "\(body.totalLength) bytes instead of \(chunk.fact.bytes)")
        }
        transfers[number]?.end = { await body.close() }
        noteProgress(number, 0)
        return body
    }

    private func next(
        of body: any ChunkTransfer, _ chunk: WantedChunk, _ number: Int, soFar: Int64
    ) async throws -> [UInt8]? {
        guard let piece = try await body.next() else { return nil }
        noteProgress(number, piece.count)
        guard soFar + Int64(piece.count) <= chunk.fact.bytes else {
            await body.close()
            throw Interruption(outcome: .failed(.wrongLength), reason: "more than \(chunk.fact.bytes) bytes")
        }
        return piece
    }

    /// However long the disk took: that is not the peer's time.
    private func noteDiskDone(_ number: Int) {
        transfers[number]?.isOurs = false
        transfers[number]?.lastProgress = venue.now()
    }

    func noteProgress(_ number: Int, _ bytes: Int) {
        guard let peer = transfers[number]?.peer else { return }
        let now = venue.now()
        transfers[number]?.lastProgress = now
        transfers[number]?.bytes += Int64(bytes)
        stalls[peer]?.moved(now)
        noteReceived(bytes, from: peer)
    }

    func interruption(by error: any Error, of number: Int) -> Interruption {
        switch error {
        case let interruption as Interruption: interruption
        case let error as StoreError: Self.interruption(by: error)
        case _ where transfers[number]?.wasStalled == true:
            Interruption(outcome: .failed(.stalledChunk), reason: "no byte for too long")
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

    static func interruption(by error: StoreError) -> Interruption {
        switch error {
        case .corrupt: Interruption(outcome: .failed(.corruptChunk), reason: error.description)
        case .wrongLength: Interruption(outcome: .failed(.wrongLength), reason: error.description)
        // Something else had to do with it: it is begun again, and no disk is to blame.
        case .notFound, .pullMoved: Interruption(outcome: .interrupted(keptSome: false), reason: error.description)
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
            let results = await store.admit(group.map(\.content))
            precondition(results.count == group.count, "the store answers for each chunk")
            for (arrival, result) in zip(group, results) {
                switch result {
                case .success: settle(arrival.chunk, from: arrival.peer, .admitted)
                case .failure(let error):
                    let interruption = Self.interruption(by: error)
                    settle(arrival.chunk, from: arrival.peer, interruption.outcome, reason: interruption.reason)
                }
            }
            wakeAll()
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

    /// Syncs what has come of large chunks, now and then and beside the transfers.
    func synchronizePieces() async {
        while !isEnding {
            guard isStreaming else {
                arePiecesAwaited = true
                await change()
                arePiecesAwaited = false
                continue
            }
            isStreaming = false
            let began = venue.now()
            do {
                try await store.synchronizePulls()
                // A slow disk is not kept busy with this alone.
                let taken = began.duration(to: venue.now())
                try await venue.sleep(max(Limits.pullSyncInterval, taken))
            } catch let error as StoreError {
                log.warning("what has come of a chunk could not be synced", ("reason", error))
            } catch { return }
        }
    }
}
