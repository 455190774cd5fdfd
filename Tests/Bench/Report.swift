import FoundationEssentials
import Glibc
import Model
import Reactor

/// What the bench prints: one figure a line, what stands beside it, and the budget.
enum Report {
    static func machine(_ place: Place) {
        print("\(Timestamp.text(SystemClock.reading().realtime))  \(cores) cores, load \(load)")
        print("disk: \(place.path)")
    }

    static func title(_ name: String, _ place: Place) {
        print("\n\(name)  (load \(load))")
    }

    static func line(_ what: String, _ figure: String, beside: String = "", budget: String = "") {
        var text = "  " + padded(what, 46) + padded(figure, 26)
        if !beside.isEmpty || !budget.isEmpty { text += padded(beside, 44) }
        if !budget.isEmpty { text += "budget \(budget)" }
        while text.last == " " { text.removeLast() }
        print(text)
        fflush(nil)
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static var cores: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    /// The load averages, with which a figure of a busy machine is told from one of a quiet one.
    private static var load: String {
        var averages = [0.0, 0.0, 0.0]
        return getloadavg(&averages, 3) == 3 ? averages.map { fixed($0, 2) }.joined(separator: " ") : "unknown"
    }

    // MARK: Forms

    static func fixed(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let rounded = Int64((abs(value) * scale).rounded())
        let sign = value < 0 && rounded > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(rounded)" }
        let whole = String(rounded / Int64(scale))
        let fraction = String(rounded % Int64(scale))
        return "\(sign)\(whole).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }

    static func milliseconds(_ seconds: Double) -> String { "\(fixed(seconds * 1000, 2)) ms" }
    static func rate(_ bytesPerSecond: Double) -> String { "\(fixed(bytesPerSecond / 1e6, 0)) MB/s" }
    static func ratio(_ value: Double) -> String { fixed(value, 2) }
}

/// A series of figures of the same thing.
struct Samples {
    private(set) var values: [Double] = []

    mutating func add(_ value: Double) { values.append(value) }

    func quantile(_ fraction: Double) -> Double {
        guard !values.isEmpty else { return .nan }
        let sorted = values.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))]
    }

    var median: Double { quantile(0.5) }
    var largest: Double { values.max() ?? .nan }

    /// `p50 1.00 ms, p99 2.00 ms`
    var quantiles: String {
        "p50 \(Report.milliseconds(quantile(0.5))), p99 \(Report.milliseconds(quantile(0.99)))"
    }
}

/// A stopwatch on the monotonic clock.
struct Stopwatch {
    private let start = SystemClock.monotonic()
    var seconds: Double { start.duration(to: SystemClock.monotonic()).inSeconds }
}
