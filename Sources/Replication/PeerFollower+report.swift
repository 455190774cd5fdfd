internal import Model

extension PeerFollower {
    /// What this follower knows of its peer; counters of chunks are the puller's.
    func report() -> PeerReport {
        var report = PeerReport(state: reportedState)
        report.version = greeting?.version
        report.endpoint = state.connection?.endpoint ?? lastEndpoint
        report.silence = lastContact?.duration(to: venue.now())
        report.faults = faults
        report.lastFault = lastFault
        report.factsWaiting = Int64(inbox.count + absorbing) + unheard
        report.tail = followsTail ? .awaited : nil
        return report
    }

    /// Whether its open chunks are to be copied as they grow.
    private var followsTail: Bool {
        guard scope == .everything, let greeting, greeting.capabilities.contains("tail") else { return false }
        return surroundings.tails.request(of: [greeting.id]) != nil
    }

    private var reportedState: PeerReport.State {
        switch state {
        case .idle, .retired: .lost
        case .dialling where schedule.isRefused(now: venue.now()): .refused
        case .dialling: greetingCount > 0 ? .greeting : schedule.isIdle ? .lost : .dialling
        case .greeting: .greeting
        case .comparing: .comparing
        case .live: .live
        }
    }
}

extension PeerReport {
    /// Where none is to be followed, what an earlier one said is of no use.
    mutating func add(_ report: TailReport?, now: MonotonicTime) {
        guard tail != nil, let tail = report else { return }
        if tail.isLive, tail.isJoined { self.tail = .open }
        growingChunks = tail.openChunks
        guard let behindFor, backlog?.chunks ?? 0 > 0 else { return lag = tail.lag(now: now) }
        lag = max(behindFor, tail.lag(now: now))
    }

    mutating func add(_ tally: PullTally?, now: MonotonicTime) {
        guard let tally else { return }
        bytesPerSecond = tally.bytesPerSecond(now: now)
        bytesMirrored = tally.bytesMirrored
        chunksDownloaded = tally.chunksDownloaded
        lastSync = tally.lastSync
        faults.add(tally.faults)
        if let fault = tally.lastFault, lastFault == nil { lastFault = fault }
        if tally.isCompared { behindFor = tally.behindSince?.duration(to: now) ?? .zero }
    }
}
