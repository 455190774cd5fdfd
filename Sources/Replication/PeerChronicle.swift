package import Model

/// Compares how the peers stand with how they stood: which changes are worth a line of the log, and whether anything
/// has changed that a person would want to see.
package struct PeerChronicle: Sendable {
    /// One line of the log.
    package struct Line: Hashable, Sendable {
        package let text: String
        package let fields: [Field]
        package let isTrouble: Bool

        package struct Field: Hashable, Sendable {
            package let name: String
            package let value: String
        }
    }

    private struct Standing {
        var state: PeerReport.State
        var isBehind: Bool?
        var pause: String?
        var isSafe: Bool?
        /// A line has said that this node is behind, and how many chunks it had from the peer then.
        var toldBehind: (at: MonotonicTime, chunks: Int64)?
        var unsafeSince: MonotonicTime?
        var toldUnsafe = false
    }

    private var standings: [NodeID: Standing] = [:]
    private var newsAt: MonotonicTime?

    package init() {}

    /// The lines for what changed since the last call, and whether there is news: what people see changed, or an amount
    /// that they watch did and `Limits.peerNewsInterval` is over.
    package mutating func take(_ reports: [PeerReport], now: MonotonicTime) -> (lines: [Line], isNews: Bool) {
        var lines: [Line] = []
        var isNews = false
        var seen: Set<NodeID> = []
        for report in reports {
            guard let id = report.id, seen.insert(id).inserted else { continue }
            let isNew = standings[id] == nil
            var standing = standings[id] ?? Standing(state: report.state)
            let changed =
                isNew || standing.state != report.state || standing.isBehind != report.isBehind
                || standing.pause != report.pullPause || standing.isSafe != report.unacknowledged.map { $0 == 0 }
            isNews = isNews || changed
            lines += Self.backlogLines(report, &standing, now: now)
            lines += Self.pauseLines(report, standing)
            lines += Self.safetyLines(report, &standing, now: now)
            standing.state = report.state
            standing.isBehind = report.isBehind
            standing.pause = report.pullPause
            standing.isSafe = report.unacknowledged.map { $0 == 0 }
            standings[id] = standing
        }
        let gone = standings.keys.filter { !seen.contains($0) }
        for id in gone { standings[id] = nil }
        isNews = isNews || !gone.isEmpty
        let isMoving = reports.contains { $0.isBehind == true }
        if isMoving, let newsAt, newsAt.duration(to: now) >= Limits.peerNewsInterval { isNews = true }
        if isNews { newsAt = now }
        return (lines, isNews)
    }

    private static func name(_ report: PeerReport) -> Line.Field {
        Line.Field(name: "peer", value: report.name ?? report.id?.short ?? "unknown")
    }

    private static func backlogLines(_ report: PeerReport, _ standing: inout Standing, now: MonotonicTime) -> [Line] {
        if let told = standing.toldBehind {
            guard report.isBehind == false else { return [] }
            standing.toldBehind = nil
            return [
                Line(
                    text: "everything that a peer has is here",
                    fields: [
                        name(report), .init(name: "chunks", value: "\(report.chunksDownloaded - told.chunks)"),
                        .init(name: "seconds", value: "\(told.at.duration(to: now).nanoseconds / 1_000_000_000)"),
                    ], isTrouble: false)
            ]
        }
        // A chunk that was just sealed is on its way as a rule: no change worth a line.
        guard report.isBehind == true, let backlog = report.backlog, let behind = report.behindFor,
            behind >= Limits.peerLineDelay
        else { return [] }
        standing.toldBehind = (now, report.chunksDownloaded)
        return [
            Line(
                text: "behind a peer",
                fields: [
                    name(report), .init(name: "chunks", value: "\(backlog.chunks)"),
                    .init(name: "bytes", value: "\(backlog.bytes)"),
                ], isTrouble: false)
        ]
    }

    private static func pauseLines(_ report: PeerReport, _ standing: Standing) -> [Line] {
        guard (standing.pause == nil) != (report.pullPause == nil) else { return [] }
        guard let reason = report.pullPause else {
            return [Line(text: "pulling goes on", fields: [name(report)], isTrouble: false)]
        }
        return [
            Line(
                text: "pulling is paused", fields: [name(report), .init(name: "reason", value: reason)], isTrouble: true
            )
        ]
    }

    /// What this node wrote and the peer did not state to hold.
    private static func safetyLines(_ report: PeerReport, _ standing: inout Standing, now: MonotonicTime) -> [Line] {
        guard let missing = report.unacknowledged else {
            standing.unsafeSince = nil
            return []
        }
        guard missing > 0 else {
            standing.unsafeSince = nil
            guard standing.toldUnsafe else { return [] }
            standing.toldUnsafe = false
            return [Line(text: "a peer has all that is sealed here", fields: [name(report)], isTrouble: false)]
        }
        let since = standing.unsafeSince ?? now
        standing.unsafeSince = since
        guard !standing.toldUnsafe, since.duration(to: now) >= Limits.peerLineDelay else { return [] }
        standing.toldUnsafe = true
        return [
            Line(
                text: "a peer lacks what is sealed here",
                fields: [name(report), .init(name: "facts", value: "\(missing)")], isTrouble: false)
        ]
    }
}
