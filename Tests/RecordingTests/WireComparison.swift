@testable import Recording

/// What was recorded against what was truly sent.
struct WireComparison {
    /// Whole samples that are no rows, or not in their order.
    private(set) var missing: [String] = []
    /// Rows that are no line of samples, damaged or not, or that come twice.
    private(set) var strange: [String] = []

    /// What was sent after the line `last` may still be on its way.
    init(rows: [String], log: QSeriesWireLog, through last: String? = nil) {
        var position = 0
        let end = last.flatMap { last in log.entries.lastIndex { $0.line == last } } ?? log.entries.count
        for (index, entry) in log.entries.enumerated() {
            guard position < rows.count, rows[position] == entry.line else {
                if entry.kind == .sample, entry.isCertain, index <= end { missing.append(entry.line) }
                continue
            }
            if entry.kind == .text { strange.append(entry.line) }
            position += 1
        }
        strange += rows[position...]
    }
}
