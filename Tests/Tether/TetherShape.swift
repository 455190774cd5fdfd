/// What one direction of the tether does to a frame.
struct TetherShape {
    var delayNanoseconds: Int64 = 0
    /// Added to the delay: drawn evenly from zero to this, for each frame.
    var jitterNanoseconds: Int64 = 0
    /// Where not, jitter lets a frame overtake another.
    var keepsOrder = true
    /// Each frame is drawn for itself.
    var lossFraction = 0.0
    var duplicationFraction = 0.0
    /// Zero: as fast as it goes. A lost frame takes its time too.
    var bitsPerSecond: Int64 = 0
    /// What waits for the rate at most; a frame that would be beyond it is dropped.
    var queueBytes: Int64 = 262_144

    /// Takes one `name=value`; false where it is none of these.
    mutating func set(_ name: Substring, _ value: Substring) -> Bool {
        switch name {
        case "delay_us": Self.microseconds(value, &delayNanoseconds)
        case "jitter_us": Self.microseconds(value, &jitterNanoseconds)
        case "order": Self.choice(value, ("keep", "free"), &keepsOrder)
        case "loss": Self.fraction(value, &lossFraction)
        case "duplicate": Self.fraction(value, &duplicationFraction)
        case "rate_bps": Self.count(value, 1_000_000_000_000, &bitsPerSecond)
        case "queue_bytes": Self.count(value, 1_000_000_000_000, &queueBytes)
        default: false
        }
    }

    private static func count(_ text: Substring, _ most: Int64, _ result: inout Int64) -> Bool {
        guard let number = Int64(text), (0...most).contains(number) else { return false }
        result = number
        return true
    }

    private static func microseconds(_ text: Substring, _ result: inout Int64) -> Bool {
        guard count(text, 3_600_000_000, &result) else { return false }
        result *= 1000
        return true
    }

    private static func fraction(_ text: Substring, _ result: inout Double) -> Bool {
        guard let number = Double(text), (0...1).contains(number) else { return false }
        result = number
        return true
    }

    private static func choice(_ text: Substring, _ words: (String, String), _ result: inout Bool) -> Bool {
        guard text == words.0 || text == words.1 else { return false }
        result = text == words.0
        return true
    }
}
