internal import Model
internal import Reactor
internal import Storage

/// Takes one open tail to the store: what gathers while one group is synced is the next group. Ends with the tail; what
/// came before that is durable then.
actor TailCopier {
    /// Whose chunks this tail is for, and of which peer.
    struct Errand: Sendable {
        let peer: NodeID
        let authors: Set<NodeID>
        let number: Int
    }

    private let errand: Errand
    private let tail: any PeerTail
    private let surroundings: PeerFollower.Surroundings
    private let attachment: ChunkPuller.Attachment
    private var inbox = TailInbox()
    /// Chunks that grow here.
    private var growing: Set<ChunkSlot> = []
    /// Chunks that the store does not take: not by this tail.
    private var refused: Set<ChunkSlot> = []
    /// Those of them that are still open at the peer's: their rows are missing here, whatever else came.
    private var lacking: Set<ChunkSlot> = []
    private var seals: [(slot: ChunkSlot, fact: [UInt8])] = []
    private var isWritten = false
    private var behindSince: MonotonicTime?
    /// Once in this tail all that the peer had to say was durable here.
    private var isJoined = false
    private var heardAt: MonotonicTime
    private let (frames, frameBell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let (drains, drainBell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let (sealings, sealBell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    private var store: Store { surroundings.store }
    private var puller: ChunkPuller { surroundings.puller }
    private var venue: Venue { surroundings.venue }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe surroundings.venue.executor.asUnownedSerialExecutor()
    }

    init(
        _ errand: Errand, tail: any PeerTail, surroundings: PeerFollower.Surroundings,
        attachment: ChunkPuller.Attachment
    ) {
        self.errand = errand
        self.tail = tail
        self.surroundings = surroundings
        self.attachment = attachment
        heardAt = surroundings.venue.now()
    }

    /// Until the tail ends; throws why.
    func run() async throws {
        // Until the first frame nobody knows whether anything is missing here.
        behindSince = surroundings.tails.reports[errand.peer]?.behindSince ?? venue.now()
        var failure: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { await self.read() }
                group.addTask { await self.seal() }
                try await self.write()
            }
        } catch {
            failure = error
        }
        await tail.close()
        growing = []
        await puller.setLive([], of: errand.number)
        throw failure ?? inbox.end ?? PeerLinkError.closed
    }

    // MARK: Reading

    /// The next frame is asked for only while little waits for the disk.
    private func read() async {
        do {
            while let frame = try await tail.next() {
                take(frame)
                while inbox.isFull, !Task.isCancelled { for await _ in drains { break } }
            }
            inbox.close(PeerLinkError.closed)
        } catch {
            inbox.close(error)
        }
        frameBell.yield()
    }

    private func take(_ frame: TailFrame) {
        heardAt = venue.now()
        guard frame != .heartbeat else { return tell() }
        if frame != .caughtUp { behindSince = behindSince ?? heardAt }
        inbox.put(frame)
        frameBell.yield()
    }

    // MARK: Writing

    private func write() async throws {
        defer {
            isWritten = true
            sealBell.yield()
        }
        do {
            while true {
                while !inbox.isEmpty {
                    let steps = inbox.take()
                    drainBell.yield()
                    for step in steps { try await perform(step) }
                    noteCaughtUp()
                    tell()
                }
                guard inbox.end == nil, !Task.isCancelled else { return }
                for await _ in frames { break }
            }
        } catch {
            // Whoever reads ends with it.
            await tail.close()
            throw error
        }
    }

    private func perform(_ step: TailInbox.Step) async throws {
        switch step {
        case .append(let pieces): try await append(pieces)
        case .other(.session(let fact)):
            guard let header = FactHeader(fact), errand.authors.contains(header.name.author) else {
                throw PeerLinkError.malformed(reason: "a session that was not asked for")
            }
            guard try await store.receive([fact]).refused == 0 else {
                throw PeerLinkError.malformed(reason: "a session's fact that is none")
            }
            await puller.add([header.name], to: attachment)
        case .other(.sealed(let slot, let fact)):
            try check(slot)
            lacking.remove(slot)
            seals.append((slot, fact))
            sealBell.yield()
        case .other(.dropped(let slot)):
            lacking.remove(slot)
            await release(slot)
        case .other(.beyond(let slot, _)):
            try check(slot)
            await release(slot)
            // The author itself has less: what is here beyond it is nobody's chunk, and is kept aside. Who only has a
            // copy of it is behind.
            guard slot.author == errand.peer else { return }
            try await store.dropCopy(slot)
            throw Misfit(reason: "the author has less of a chunk than its copy")
        case .other(.commit), .other(.caughtUp), .other(.heartbeat): break
        }
    }

    private func check(_ slot: ChunkSlot) throws(PeerLinkError) {
        guard errand.authors.contains(slot.author), slot.author != store.node else {
            throw .malformed(reason: "a chunk that was not asked for")
        }
    }

    private func append(_ pieces: [CopyPiece]) async throws {
        for piece in pieces { try check(piece.slot) }
        let wanted = pieces.filter { !refused.contains($0.slot) }
        guard !wanted.isEmpty else { return }
        let slots = Set(wanted.map(\.slot))
        // From here on they come this way; before their fact is heard of, which may be in a moment.
        if !slots.isSubset(of: growing) {
            growing.formUnion(slots)
            await puller.setLive(growing, of: errand.number)
        }
        let errors = try await store.appendCopies(wanted)
        var bytes = 0
        for piece in wanted where errors[piece.slot] == nil { bytes += piece.bytes.count }
        await puller.noteLive(slots.subtracting(errors.keys), bytes, from: errand.peer, by: errand.number)
        noteDurable(wanted.last { errors[$0.slot] == nil }?.last, bytes)
        for (slot, error) in errors { try await refuse(slot, error) }
    }

    private func refuse(_ slot: ChunkSlot, _ error: StoreError) async throws {
        if refused.count < Limits.tailPositions { refused.insert(slot) }
        await release(slot)
        switch error {
        // Somebody else's bytes came between: the tail is begun anew where the copy ends now.
        case .notJoined: throw Misfit(reason: error.description)
        // Its fact says the rest.
        case .sealedAlready: break
        default:
            if lacking.count < Limits.tailPositions { lacking.insert(slot) }
            surroundings.log.warning(
                "an open chunk is not copied while it grows", ("chunk", "\(slot.session)/\(slot.stream)/\(slot.index)"),
                ("peer", errand.peer.short), ("reason", error))
        }
    }

    /// The chunk does not come this way any more: it is pulled as any other.
    private func release(_ slot: ChunkSlot) async {
        guard growing.remove(slot) != nil else { return }
        await puller.setLive(growing, of: errand.number)
    }

    // MARK: Sealing

    /// Beside the writing: a seal takes some ten syncs, and rows do not wait for that.
    private func seal() async {
        while true {
            while !seals.isEmpty {
                let (slot, fact) = seals.removeFirst()
                await seal(slot, fact)
                inbox.isSealed()
                drainBell.yield()
            }
            if isWritten { return }
            for await _ in sealings { break }
            if Task.isCancelled, !isWritten { return }
        }
    }

    private func seal(_ slot: ChunkSlot, _ fact: [UInt8]) async {
        do throws(StoreError) {
            let outcome = try await store.sealCopy(slot, fact: fact)
            switch outcome {
            case .held: await puller.noteSealed(fact, from: errand.peer)
            case .mismatch: await puller.noteMismatch(slot, from: errand.peer)
            // What is missing is pulled, behind what is here.
            case .short, .none: break
            }
        } catch {
            surroundings.log.error(
                "a copied chunk cannot be sealed; it is pulled", ("peer", errand.peer.short), ("reason", error))
        }
        if let header = FactHeader(fact) { await puller.add([header.name], to: attachment) }
        await release(slot)
        await puller.wake()
    }

    // MARK: Reports

    /// The peer has said that all is said, and all of it is taken.
    private func noteCaughtUp() {
        guard inbox.isEmpty, inbox.isCaughtUp, lacking.isEmpty else { return }
        behindSince = nil
        if !isJoined { surroundings.bell.ring() }
        isJoined = true
    }

    private func noteDurable(_ newest: ClockPair?, _ bytes: Int) {
        surroundings.tails.report(errand.peer) { report in
            report.bytes += Int64(bytes)
            if let newest { report.newest = newest }
        }
    }

    private func tell() {
        guard errand.authors.contains(errand.peer) else { return }
        surroundings.tails.report(errand.peer) { report in
            report.isLive = true
            report.isJoined = isJoined
            report.heardAt = heardAt
            report.openChunks = growing.count
            report.behindSince = behindSince
        }
    }
}

/// The tail and the copies here do not join: it is opened again from where they end.
struct Misfit: Error {
    let reason: String
}
