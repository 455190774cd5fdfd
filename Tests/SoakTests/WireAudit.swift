import Foundation
import Model
import Reactor

@testable import Recording

/// Compares what a simulated sensor truly sent with what a session holds of it.
struct WireAudit {
    let wire: [QSeriesWireLog.Entry]
    /// When the recording process was killed.
    let kills: [MonotonicTime]
    /// A line that came this long before a kill is durable: the commit interval, and what a busy machine takes for it.
    let durableAfter: Duration
    let unpluggings: Int

    struct Outcome {
        var findings: [String] = []
        var rows = 0
        /// Samples that a kill, an unplugging or a new listener cost.
        var excusedSamples = 0
        /// How old the oldest line was that a kill cost.
        var oldestLost = Duration.zero
    }

    private struct RawRow: Decodable {
        let row: Int64?
        let boottime: DecimalInt64
        let line: String?
        let lineBase64: String?

        enum CodingKeys: String, CodingKey {
            case row, boottime, line
            case lineBase64 = "line_base64"
        }

        /// The line as the wire log spells it, without its end.
        var text: String {
            var bytes = line.map { Array($0.utf8) } ?? Array(Data(base64Encoded: lineBase64 ?? "") ?? Data())
            while bytes.last == 0x0a || bytes.last == 0x0d { bytes.removeLast() }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    func check(_ store: StoredNode, _ session: SessionID, sensor: String) throws -> Outcome {
        var outcome = Outcome()
        let data = store.rows(of: session, .data)
        outcome.rows = data.count
        let lines = data.compactMap { row -> String? in
            let fields = row.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 6, fields[1] == sensor, fields[2] == "freerun", fields[0].hasSuffix("+00:00") else {
                outcome.findings.append("no row of this sensor: \(row.prefix(100))")
                return nil
            }
            return fields[3...].joined(separator: ", ")
        }
        checkOrder(lines, &outcome)
        checkMissing(Set(lines), &outcome)
        let decoder = JSONDecoder()
        let raw = try store.rows(of: session, .raw).map { try decoder.decode(RawRow.self, from: Data($0.utf8)) }
        checkNumbers(raw, lines, &outcome)
        checkRaw(raw.map(\.text), &outcome)
        checkHoles(raw, store.gaps(of: session), &outcome)
        return outcome
    }

    /// Time without rows is told of by a gap: what it leaves over is less than a busy machine may make of a pause.
    private func checkHoles(_ raw: [RawRow], _ gaps: [Gap], _ outcome: inout Outcome) {
        let times = raw.filter { $0.row != nil }.map(\.boottime.value)
        // A gap that was told when it began, by a process that died before it ended, lasts until the next row.
        let told = gaps.map { gap in
            let from = gap.from.boottime
            return (from, gap.to?.boottime ?? times.first { $0 > from } ?? .max)
        }.sorted { $0 < $1 }
        for (before, after) in zip(times, times.dropFirst()) {
            var (bare, reached) = (Int64(0), before)
            for (from, to) in told where to > reached && from < after {
                bare += max(0, from - reached)
                reached = min(to, after)
            }
            bare += after - reached
            if bare > 4_000_000_000 { outcome.findings.append("\(bare / 1_000_000) ms without rows and without a gap") }
        }
    }

    // MARK: Data

    /// Each row is a line that was sent whole, once, in the order of the wire.
    private func checkOrder(_ lines: [String], _ outcome: inout Outcome) {
        var positions: [String: Int] = [:]
        for (position, entry) in wire.enumerated() where entry.kind == .sample { positions[entry.line] = position }
        var last = -1
        for line in lines {
            guard let position = positions[line] else {
                let kind = wire.last { $0.line == line }?.kind
                outcome.findings.append("a row was never sent so: \(line) (\(kind.map { "\($0)" } ?? "unknown"))")
                continue
            }
            if position <= last { outcome.findings.append("a row out of order or twice: \(line)") }
            last = max(last, position)
        }
    }

    private func checkMissing(_ lines: Set<String>, _ outcome: inout Outcome) {
        for (position, entry) in wire.enumerated() where entry.kind == .sample && !lines.contains(entry.line) {
            if entry.isCertain,
                let kill = kills.first(where: { entry.sentAt <= $0 && $0 < entry.sentAt.advanced(by: durableAfter) })
            {
                outcome.oldestLost = max(outcome.oldestLost, entry.sentAt.duration(to: kill))
            }
            if isExcused(position) {
                outcome.excusedSamples += 1
            } else {
                outcome.findings.append("a sample is missing: \(describe(position))")
            }
        }
    }

    /// Nobody can have it for certain: sent beside an unplugging or a new listener, or close to a kill and until
    /// somebody listened again.
    private func isExcused(_ position: Int) -> Bool {
        let entry = wire[position]
        guard entry.isCertain else { return true }
        return kills.contains { kill in
            guard entry.sentAt >= kill.advanced(by: .zero - durableAfter) else { return false }
            let back = wire.firstIndex { $0.sentAt > kill && !$0.isCertain } ?? wire.endIndex
            return position < back
        }
    }

    private func describe(_ position: Int) -> String {
        let entry = wire[position]
        let kill = kills.map { String(format: "%+.3f", $0.duration(to: entry.sentAt).inSeconds) }
        let before = position > 0 ? wire[position - 1].line : ""
        return
            "\(position) of \(wire.count) \(entry.line), after \(before), \(kill.joined(separator: " ")) s from kills"
    }

    // MARK: Raw

    /// A raw line's row number is the place of its row, and each row has its raw line; but for what was never
    /// acknowledged.
    private func checkNumbers(_ raw: [RawRow], _ lines: [String], _ outcome: inout Outcome) {
        var next: Int64 = 0
        for line in raw {
            guard let row = line.row else { continue }
            for skipped in next..<max(next, row) where lines.indices.contains(Int(skipped)) {
                let position = wire.firstIndex { $0.kind == .sample && $0.line == lines[Int(skipped)] }
                if position.map(isExcused) != true { outcome.findings.append("row \(skipped) has no raw line") }
            }
            if row < next { outcome.findings.append("raw numbers row \(row) after row \(next - 1)") }
            guard lines.indices.contains(Int(row)), lines[Int(row)] == line.text else {
                outcome.findings.append("raw row \(row) is \(line.text), which the data have not there")
                continue
            }
            next = row + 1
        }
        if next != lines.count { outcome.findings.append("raw numbers \(next) rows, the data have \(lines.count)") }
    }

    /// The raw stream is the wire, but for what was lost around kills and unpluggings.
    private func checkRaw(_ lines: [String], _ outcome: inout Outcome) {
        var (lostText, pieces) = (0, 0)
        for change in lines.difference(from: wire.map(\.line)) {
            switch change {
            case .insert(let position, let line, _):
                // What had come of a line when the adapter was pulled out.
                pieces += 1
                if pieces > unpluggings { outcome.findings.append("raw line \(position) was never sent: \(line)") }
            case .remove(let position, _, _) where wire[position].kind == .text:
                // Banners repeat themselves: which of two equal lines is missing is not to be told.
                lostText += 1
            case .remove(let position, _, _):
                if !isExcused(position) { outcome.findings.append("raw lacks \(describe(position))") }
            }
        }
        let excused = wire.indices.count { wire[$0].kind == .text && isExcused($0) }
        if lostText > excused { outcome.findings.append("raw lacks \(lostText) lines of text, not \(excused) at most") }
    }
}
