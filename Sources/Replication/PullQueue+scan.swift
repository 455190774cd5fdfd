package import Model
package import Storage

extension PullQueue {
    /// Whether the store has to be looked into before the next choice.
    enum Scan {
        case idle
        case due
        /// Under way; with the chunks that were settled meanwhile, and whether it has to be done again.
        case running(settled: Set<ChunkID>, again: Bool)
    }

    /// A search for one peer through all that is wanted, in pages, behind what it cannot give.
    struct Search {
        let peer: NodeID
        var passedOver: Set<ChunkClaim> = []
    }

    package struct ScanRequest: Hashable, Sendable {
        package let policy: PullPolicy
        package let limit: Int
        package let excluding: Set<ChunkClaim>
        /// A page of the search for this peer.
        let searchedFor: NodeID?
    }

    /// Something was heard of, or somebody wishes to look again.
    package mutating func scanSoon() {
        if case .running(let settled, _) = scan { scan = .running(settled: settled, again: true) } else { scan = .due }
    }

    mutating func beginScan(now: MonotonicTime) -> ScanRequest {
        scan = .running(settled: [], again: false)
        return ScanRequest(
            policy: policy, limit: Limits.wantedScan, excluding: unavailable(now: now), searchedFor: nil)
    }

    private func unavailable(now: MonotonicTime) -> Set<ChunkClaim> {
        retries.blocked(now: now, holders: holdersOf)
            .union(taken.map { ChunkClaim(id: $0.key, bytes: $0.value.bytes) }).union(live.chunks(now: now))
    }

    /// Nothing that is ready suits this peer: goes on where the last look ended, or searches behind what the peer
    /// cannot give.
    mutating func lookFurther(for peer: NodeID, now: MonotonicTime) -> Choice {
        guard isMoreWanted, case .idle = scan else { return .wait }
        if ready.isEmpty, search == nil, nextSearch[peer] == nil { return .scan(beginScan(now: now)) }
        if search == nil, (nextSearch[peer] ?? now) <= now { search = Search(peer: peer) }
        guard let search, search.peer == peer else { return .wait }
        scan = .running(settled: [], again: false)
        let excluding = unavailable(now: now).union(search.passedOver)
        return .scan(
            ScanRequest(policy: policy, limit: Limits.deepWantedScan, excluding: excluding, searchedFor: peer))
    }

    /// Takes what the store answered, the newest first; `isPartial` where it had more. `missing` is heard of and not
    /// held.
    package mutating func endScan(
        _ request: ScanRequest, found: [WantedChunk], isPartial: Bool, missing: Holdings, now: MonotonicTime
    ) {
        guard case .running(let settled, let again) = scan else { return }
        scan = again ? .due : .idle
        let found = found.filter { chunk in !live.holdsBack(chunk, now: now) }
        usefulPeers = Set(holders.filter { !$0.value.intersection(missing).isEmpty }.keys)
        if let peer = request.searchedFor {
            endSearchPage(for: peer, found: found, settled: settled, isPartial: isPartial, now: now)
            return
        }
        isMoreWanted = isPartial
        if !isPartial { nextSearch = [:] }
        ready = found.reversed().filter { isOpen($0, settled: settled) && !holdersOf($0.name).isEmpty }
        if ready.isEmpty, isPartial {
            for peer in holders.keys where nextSearch[peer] == nil { nextSearch[peer] = now }
        }
    }

    private mutating func endSearchPage(
        for peer: NodeID, found: [WantedChunk], settled: Set<ChunkID>, isPartial: Bool, now: MonotonicTime
    ) {
        guard search?.peer == peer, let holdings = holders[peer] else { return }
        let known = Set(ready.map(\.claim))
        let suitable = found.filter { chunk in
            isOpen(chunk, settled: settled) && holdings.contains(chunk.name) && !known.contains(chunk.claim)
                && retries.mayAsk(peer, for: chunk.claim, now: now)
        }
        // What was found lies behind what is ready, and is older.
        ready = suitable.prefix(Limits.wantedScan).reversed() + ready
        search?.passedOver.formUnion(found.map(\.claim))
        if !suitable.isEmpty {
            search = nil
            nextSearch[peer] = now
        } else if !isPartial {
            search = nil
            nextSearch[peer] = now.advanced(by: Limits.deepScanInterval)
        }
    }

    private func isOpen(_ chunk: WantedChunk, settled: Set<ChunkID>) -> Bool {
        let id = chunk.fact.sha256
        return policy.wants(chunk, for: node) && taken[id] == nil && !settled.contains(id)
    }

    /// The look into the store failed.
    package mutating func scanFailed(now: MonotonicTime) {
        scan = .due
        pause(now: now)
    }

    mutating func noteSettled(_ id: ChunkID) {
        if case .running(let settled, let again) = scan { scan = .running(settled: settled.union([id]), again: again) }
    }
}
