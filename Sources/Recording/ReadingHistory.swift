package import Model

/// One row as those who look on see it.
package struct Reading: Hashable, Sendable {
    /// Counts from 1 in this process; a cursor.
    package let number: Int64
    package let sensorID: String
    package let line: ReceivedLine

    package var at: ClockReading { line.at }

    /// As a row of a JSON Lines chunk, without the newline.
    package var json: [UInt8] {
        var bytes: [UInt8] = []
        RowWriter(format: .jsonl, isText: line.content == .text)
            .appendRow(line, RowWriter.Stamp(line.at), sensorID: sensorID, to: &bytes)
        return bytes.dropLast()
    }
}

/// The last readings, in memory.
struct ReadingHistory: Sendable {
    private var readings: [Reading] = []
    private(set) var count: Int64 = 0
    private let limit = Limits.recentReadings

    var latest: Reading? { readings.last }

    mutating func append(_ line: ReceivedLine, sensorID: String) {
        count += 1
        readings.append(Reading(number: count, sensorID: sensorID, line: line))
        // Trimmed by the half, so that a row costs no move of the others.
        if readings.count >= 2 * limit { readings.removeFirst(limit) }
    }

    /// The oldest first; of a reader that is far behind, only what is still here.
    func after(_ number: Int64, limit: Int) -> [Reading] {
        let missed = max(0, count - number)
        let tail = readings.suffix(Int(min(missed, Int64(min(readings.count, self.limit)))))
        return Array(tail.prefix(limit))
    }

    func since(_ boottime: Int64) -> [Reading] {
        let start = readings.lastIndex { $0.at.boottime < boottime }.map { $0 + 1 } ?? 0
        return Array(readings[start...].suffix(limit))
    }
}
