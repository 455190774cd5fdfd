package import Model
internal import Reactor
internal import Storage

/// Keeps the tails of one connected peer open: one of what it writes itself, and, where it has copies of somebody who
/// is away, one of these. A tail that breaks is opened again while the connection lasts, from where the copies end.
struct TailFollower: Sendable {
    let peer: NodeID
    let attachment: ChunkPuller.Attachment
    let surroundings: PeerFollower.Surroundings
    /// Trouble with the peer, counted.
    let note: @Sendable (PeerFault, String) async -> Void

    private var desk: TailDesk { surroundings.tails }
    private var venue: Venue { surroundings.venue }

    /// Until its task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await keepOpen { [peer] } }
            group.addTask { await keepOpen { desk.relayed(by: peer) } }
        }
        desk.left(peer, now: venue.now())
    }

    /// A tail of these authors for as long as they are these, and another when they change.
    private func keepOpen(_ authors: @escaping @Sendable () -> Set<NodeID>) async {
        var retry = TailRetry()
        while !Task.isCancelled {
            guard let request = desk.request(of: authors()) else {
                for await _ in desk.changes() where desk.request(of: authors()) != nil { break }
                continue
            }
            let began = venue.now()
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await follow(request) }
                group.addTask {
                    for await _ in desk.changes() where desk.request(of: authors()) != request { return }
                }
                await group.next()
                group.cancelAll()
            }
            do { try await venue.sleep(retry.ended(began: began, now: venue.now())) } catch { return }
        }
    }

    private func follow(_ request: TailRequest) async {
        do {
            try await copy(request)
        } catch {
            guard !Task.isCancelled else { return }
            await report(error)
        }
    }

    private func copy(_ asked: TailRequest) async throws {
        while !(await surroundings.puller.hasRoom()) { try Task.checkCancellation() }
        let authors = asked.authors ?? []
        var request = asked
        request.copies = await surroundings.store.copies().filter { authors.contains($0.slot.author) }
            .prefix(Limits.tailPositions).map {
                TailPosition(slot: $0.slot, length: $0.length, rows: $0.rows, checksum: $0.checksum)
            }
        let tail = try await attachment.link.tail(request)
        let isOwn = authors.contains(peer)
        if isOwn { desk.began(peer) }
        defer { if isOwn { desk.ended(peer, now: venue.now()) } }
        let copier = TailCopier(
            TailCopier.Errand(peer: peer, authors: authors, number: desk.number()), tail: tail,
            surroundings: surroundings, attachment: attachment)
        try await copier.run()
    }

    private func report(_ error: any Error) async {
        switch error {
        case is CorruptTail: await note(.corruptTail, "a tail's bytes do not have their checksum")
        case let error as PeerLinkError:
            switch error {
            case .malformed, .refused, .notFound: await note(PeerFault(error), "tail: \(error)")
            // The link says what is to be said of itself.
            case .closed, .timedOut, .unreachable, .cutOff: break
            }
        case let error as StoreError: await note(.storage, error.description)
        default: break
        }
        surroundings.log.info("a tail ended; it is opened again", ("peer", peer.short), ("reason", "\(error)"))
    }
}

/// When a tail that ended is opened again: at once where it had lasted, else later and later.
package struct TailRetry: Sendable {
    private var failures = 0

    package init() {}

    package mutating func ended(began: MonotonicTime, now: MonotonicTime) -> Duration {
        if began.duration(to: now) >= Limits.tailRetryDelay.lowerBound * 20 {
            failures = 0
            return .zero
        }
        let delay = Limits.tailRetryDelay.lowerBound * (1 << min(failures, 8))
        failures += 1
        return min(delay, Limits.tailRetryDelay.upperBound)
    }
}
