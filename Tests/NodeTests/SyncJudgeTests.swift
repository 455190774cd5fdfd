import Gateway
import Model
import Replication
import Testing

@testable import Node

@Suite struct SyncJudgeTests {
    private func obstacle(_ change: (inout PeerReport) -> Void = { _ in }) -> String? {
        var report = PeerReport(state: .live)
        report.name = "dory"
        report.behindFor = .zero
        report.backlog = PeerReport.Backlog()
        report.tail = .open
        report.lag = .zero
        change(&report)
        return SyncJudge.obstacle(PeerForm(report))?.text
    }

    @Test(
        "everything is here where all of it is known: a peer that is live, compared, fetched, and followed by its tail")
    func synced() {
        #expect(obstacle() == nil)
        #expect(obstacle { $0.tail = nil } == nil, "it has none")
        #expect(obstacle { $0.lag = .milliseconds(900) } == nil, "some row is always on its way")
    }

    @Test("what is not known is not taken for nothing")
    func unknown() {
        #expect(obstacle { $0.backlog = nil }?.contains("nobody knows") == true)
        #expect(obstacle { $0.factsWaiting = 1 } == "1 fact of dory to be taken")
        #expect(obstacle { $0.tail = .awaited }?.contains("not followed") == true)
        #expect(obstacle { $0.behindFor = nil }?.contains("not connected") == true)
        #expect(obstacle { $0.state = .comparing }?.contains("not connected") == true)
        #expect(obstacle { $0.pullPause = "the disk is full" } == "dory: the disk is full")
        #expect(obstacle { $0.backlog = .init(chunks: 2, bytes: 9) }?.hasPrefix("2 chunks of dory to come") == true)
        #expect(obstacle { $0.lag = .seconds(3) }?.contains("late") == true)
    }
}
