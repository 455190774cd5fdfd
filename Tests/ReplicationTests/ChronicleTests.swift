import Model
import Testing

@testable import Replication

@Suite struct ChronicleTests {
    private let peer = Sample.node(7)

    private func report(
        _ state: PeerReport.State = .live, behind: Int64 = 0, for seconds: Int = 0, pause: String? = nil,
        unacknowledged: Int64? = nil, downloaded: Int64 = 0
    ) -> PeerReport {
        var report = PeerReport(state: state)
        report.id = peer
        report.name = "dory"
        report.behindFor = .seconds(seconds)
        report.backlog = PeerReport.Backlog(chunks: behind, bytes: behind * 1000)
        report.pullPause = pause
        report.unacknowledged = unacknowledged
        report.chunksDownloaded = downloaded
        return report
    }

    private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test("what lasts is told once, and again when it is over; a chunk that was just sealed is no line")
    func behind() {
        var chronicle = PeerChronicle()
        #expect(chronicle.take([report()], now: at(0)) == ([], true))
        #expect(chronicle.take([report(behind: 1, for: 1)], now: at(1)) == ([], true))
        #expect(chronicle.take([report()], now: at(2)) == ([], true))
        let (lines, _) = chronicle.take([report(behind: 40, for: 5)], now: at(10))
        #expect(lines.map(\.text) == ["behind a peer"])
        #expect(lines[0].fields.map(\.value) == ["dory", "40", "40000"])
        #expect(chronicle.take([report(behind: 30, for: 6)], now: at(11)).lines == [])
        let (after, _) = chronicle.take([report(downloaded: 40)], now: at(20))
        #expect(after.map(\.text) == ["everything that a peer has is here"])
        #expect(after[0].fields.map(\.value) == ["dory", "40", "10"])
    }

    @Test("a backlog that shrinks is news now and then, what stays as it is never")
    func news() {
        var chronicle = PeerChronicle()
        #expect(chronicle.take([report(behind: 40)], now: at(0)).isNews)
        #expect(!chronicle.take([report(behind: 39)], now: at(1)).isNews)
        #expect(chronicle.take([report(behind: 20)], now: at(5)).isNews)
        #expect(chronicle.take([report()], now: at(6)).isNews)
        #expect(!chronicle.take([report()], now: at(600)).isNews)
        #expect(chronicle.take([report(.dialling)], now: at(601)).isNews)
        #expect(chronicle.take([], now: at(602)).isNews)
        #expect(!chronicle.take([], now: at(603)).isNews)
    }

    @Test("a pause and its end are told, and that a peer lacks what is sealed here for long")
    func pauses() {
        var chronicle = PeerChronicle()
        _ = chronicle.take([report(unacknowledged: 0)], now: at(0))
        let paused = chronicle.take([report(pause: "the disk is full", unacknowledged: 3)], now: at(1))
        #expect(paused.lines.map(\.text) == ["pulling is paused"] && paused.lines[0].isTrouble)
        let lacks = chronicle.take([report(pause: "the disk is full", unacknowledged: 4)], now: at(6))
        #expect(lacks.lines.map(\.text) == ["a peer lacks what is sealed here"])
        let over = chronicle.take([report(unacknowledged: 0)], now: at(7))
        #expect(over.lines.map(\.text) == ["pulling goes on", "a peer has all that is sealed here"])
        #expect(chronicle.take([report(unacknowledged: 0)], now: at(8)) == ([], false))
    }

    @Test("the time that is left follows from backlog and rate, and is not told where nothing moves")
    func timeToDone() {
        var some = report(behind: 3)
        #expect(some.timeToDone == nil)
        some.bytesPerSecond = 1000
        #expect(some.timeToDone == .seconds(3))
        some.bytesPerSecond = 2999
        #expect(some.timeToDone == .seconds(2))
        some.backlog = .init(chunks: 1, bytes: .max)
        #expect(some.timeToDone != nil)
    }
}

private func == (left: (lines: [PeerChronicle.Line], isNews: Bool), right: ([PeerChronicle.Line], Bool)) -> Bool {
    left.lines == right.0 && left.isNews == right.1
}
