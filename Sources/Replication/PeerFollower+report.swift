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
        return report
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
    mutating func add(_ tail: TailReport?, now: MonotonicTime) {
        guard let tail else { return }
        growingChunks = tail.openChunks
        guard let behindFor, backlog.chunks > 0 else { return lag = tail.lag(now: now) }
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
