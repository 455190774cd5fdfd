package import Model

/// Numbers as people read them: three digits and a unit.
package enum TerminalQuantity {
    /// `999 B`, `12.3 MB`; 1000 to the step, as disks and links are sold.
    package static func bytes(_ bytes: Int64) -> String {
        Magnitude.bytes(bytes)
    }

    /// `1.20 MB/s`, of bytes moved in a time.
    package static func rate(bytes: Int64, in time: Duration) -> String {
        let seconds = time.inSeconds
        guard seconds > 0, bytes >= 0 else { return "–" }
        return "\(self.bytes(Int64(min(Double(bytes) / seconds, 9e18))))/s"
    }

    /// `1,234,567`.
    package static func count(_ number: Int64) -> String {
        let digits = Array(String(number.magnitude))
        let grouped = digits.enumerated().map { index, digit in
            (index > 0 && (digits.count - index).isMultiple(of: 3) ? "," : "") + String(digit)
        }
        return (number < 0 ? "-" : "") + grouped.joined()
    }

    /// `830 ns`, `12.3 µs`, `200 ms`, `3.40 s`, `2 m 05 s`, `3 h 12 m`, `4 d 03 h`.
    package static func duration(_ duration: Duration) -> String {
        let nanoseconds = duration.nanoseconds
        let sign = nanoseconds < 0 ? "-" : ""
        let magnitude = Int64(clamping: nanoseconds.magnitude)
        // 59.95 s is where three digits round up to a minute.
        if magnitude < 59_950_000_000 { return sign + Magnitude.scaled(magnitude, steps: ["ns", "µs", "ms", "s"]) }
        let seconds = magnitude / 1_000_000_000 + (magnitude % 1_000_000_000 >= 500_000_000 ? 1 : 0)
        switch seconds {
        case ..<3600: return "\(sign)\(seconds / 60) m \(padded(seconds % 60)) s"
        case ..<86_400: return "\(sign)\(seconds / 3600) h \(padded(seconds / 60 % 60)) m"
        default: return "\(sign)\(seconds / 86_400) d \(padded(seconds / 3600 % 24)) h"
        }
    }

    /// With its sign, as an offset between clocks: `+1.23 ms`.
    package static func offset(_ duration: Duration) -> String {
        (duration > .zero ? "+" : "") + Self.duration(duration)
    }

    private static func padded(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// How far a long work is, as one line of text: a value of what is done and when.
package struct ProgressBar: Hashable, Sendable {
    package enum Unit: Hashable, Sendable { case bytes, items }

    private let label: String
    private let unit: Unit
    private let startedAt: MonotonicTime

    package init(_ label: String, unit: Unit, startedAt: MonotonicTime) {
        self.label = label
        self.unit = unit
        self.startedAt = startedAt
    }

    /// `label  [#####>    ]  45 %  12.3 MB of 27.1 MB  4.10 MB/s  3.60 s left`, at most `columns` wide. A total that is
    /// not known yet is nil.
    package func text(done: Int64, total: Int64?, now: MonotonicTime, columns: Int) -> String {
        let elapsed = startedAt.duration(to: now)
        var parts = [TerminalText.safe(label)]
        if let total {
            let fraction = total > 0 ? min(max(Double(done) / Double(total), 0), 1) : 1
            // 100 % is said only when it is so.
            let percent = done >= total ? 100 : min(Int(fraction * 100), 99)
            parts += [bar(fraction), TerminalText.padded("\(percent) %", to: 5, .right)]
            parts.append("\(amount(done)) of \(amount(total))")
        } else {
            parts.append(amount(done))
        }
        if elapsed >= .milliseconds(500), done > 0 {
            parts.append(speed(done, elapsed))
            if let total, total > done {
                let left = elapsed.inSeconds / Double(done) * Double(total - done)
                if left < 8_640_000 { parts.append("\(TerminalQuantity.duration(.seconds(left.rounded(.up)))) left") }
            }
        }
        return TerminalText.truncated(parts.joined(separator: "  "), to: columns)
    }

    private func bar(_ fraction: Double) -> String {
        let width = 20
        let full = Int(fraction * Double(width))
        let head = full < width && fraction > 0 ? ">" : ""
        let rest = String(repeating: " ", count: width - full - head.count)
        return "[\(String(repeating: "#", count: full))\(head)\(rest)]"
    }

    private func amount(_ number: Int64) -> String {
        unit == .bytes ? TerminalQuantity.bytes(number) : TerminalQuantity.count(number)
    }

    private func speed(_ done: Int64, _ elapsed: Duration) -> String {
        switch unit {
        case .bytes: TerminalQuantity.rate(bytes: done, in: elapsed)
        case .items: "\(TerminalQuantity.count(Int64(min(Double(done) / elapsed.inSeconds, 9e18))))/s"
        }
    }
}
