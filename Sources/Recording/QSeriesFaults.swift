internal import Model

/// What goes wrong with sensors in the field, switched on by name. With a seed the same faults come at the same
/// samples.
package struct QSeriesFaults: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case garbage
        case cutLines = "cut-lines"
        case gluedLines = "glued-lines"
        case missingFields = "missing-fields"
        case extraFields = "extra-fields"
        /// Power sags in mid-line.
        case reset
        /// As a host that died in the menu leaves the sensor.
        case hang
        case silence
        /// The adapter is pulled out and put back.
        case unplug
        /// These hold from the start.
        case badAveraging = "bad-averaging"
        case confused
        case neverAnswers = "never-answers"
    }

    package var kinds: Set<Kind>
    /// How likely a sample is to meet with a fault.
    package var probability: Double
    package var seed: UInt64
    /// How long an adapter stays out, in the sensor's time.
    package var unplugged = Duration.seconds(5)

    package static let none = QSeriesFaults(kinds: [], probability: 0, seed: 0)

    package init(kinds: Set<Kind>, probability: Double = 0.05, seed: UInt64 = 1) {
        self.kinds = kinds
        self.probability = probability
        self.seed = seed
    }

    /// Those that come at random.
    var passing: [Kind] {
        Kind.allCases.filter { kinds.contains($0) && ![.badAveraging, .confused, .neverAnswers].contains($0) }
    }
}

/// What was done to one sample's line on its way.
struct DamagedLine: Sendable {
    let bytes: [UInt8]
    /// nil: the line is as it was.
    let fault: QSeriesFaults.Kind?
}

extension QSeriesFaults {
    /// Damage to a line's bytes; the faults of the sensor itself are not done here.
    static func damage(_ line: [UInt8], by kind: Kind, using random: inout SeededGenerator) -> DamagedLine {
        var bytes = line
        let content = line.count - 2
        switch kind {
        case .garbage:
            // Bytes that no sensor prints, and no line's end among them.
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<content, using: &random)] = UInt8.random(in: 0x80...0xff, using: &random)
            }
        case .cutLines:
            let at = Int.random(in: 1..<content, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes.removeFirst(at)
            case 1: bytes.removeSubrange(at..<content)
            default: bytes.removeLast(bytes.count - at)
            }
        case .gluedLines: bytes.removeLast(2)
        case .missingFields:
            if let comma = bytes.lastIndex(of: UInt8(ascii: ",")) { bytes.removeSubrange(comma..<content) }
        case .extraFields: bytes.insert(contentsOf: Array(", 7799.0".utf8), at: content)
        default: return DamagedLine(bytes: line, fault: nil)
        }
        return DamagedLine(bytes: bytes, fault: kind)
    }
}
