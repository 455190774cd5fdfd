@testable import Recording

/// What was recorded against what was truly sent.
struct WireComparison {
    /// Whole samples that are no rows, or not in their order.
    private(set) var missing: [String] = []
    /// Rows that are no line of samples, damaged or not, or that come twice.
    private(set) var strange: [String] = []

    init(rows: [String], log: QSeriesWireLog) {
        var position = 0
        for entry in log.entries {
            guard position < rows.count, rows[position] == entry.line else {
                if entry.kind == .sample, entry.isCertain { missing.append(entry.line) }
                continue
            }
            if entry.kind == .text { strange.append(entry.line) }
            position += 1
        }
        strange += rows[position...]
    }
}
