/// One reading of a Q-Series sensor, its numbers as the sensor printed them.
package struct QSeriesSample: Hashable, Sendable {
    /// What stands before the value, `$LITE` or `$ME, `; mostly nothing.
    package let preamble: String
    /// The tag that a polled answer begins with.
    package let tag: Character?
    package let value: String
    package let temperature: String?
    package let voltage: String?

    package init(
        preamble: String = "", tag: Character? = nil, value: String, temperature: String? = nil, voltage: String? = nil
    ) {
        self.preamble = preamble
        self.tag = tag
        self.value = value
        self.temperature = temperature
        self.voltage = voltage
    }

    package var mode: String { tag == nil ? "freerun" : "polled" }

    /// What does not change from line to line of one sensor.
    struct Shape: Hashable, Sendable {
        let preamble: String
        let tag: Character?
        let hasTemperature: Bool
        let hasVoltage: Bool

        /// As sensors leave the factory. A line of this shape needs no second one to be believed.
        var isCommon: Bool { preamble.isEmpty && hasTemperature && hasVoltage }
    }

    var shape: Shape {
        Shape(preamble: preamble, tag: tag, hasTemperature: temperature != nil, hasVoltage: voltage != nil)
    }
}

/// The 10-bit converter behind temperature and line voltage: n of 1024 over 5 V, printed truncated.
package enum QSeriesLattice {
    package static let steps = 0..<1024

    package static func temperature(_ n: Int) -> Double { (Double(n) * 5 / 1024 - 1.8639) / -0.01177 }
    package static func voltage(_ n: Int) -> Double { Double(n) * 5 / 1024 / 0.23 }

    private static let temperatures = Set(steps.map { Int(temperature($0) * 100) })
    private static let voltages = Set(steps.map { Int(voltage($0) * 1000) })

    /// Whether the converter can have given both numbers.
    package static func contains(_ sample: QSeriesSample) -> Bool {
        let temperature = sample.temperature.map { temperatures.contains(scaled($0)) } ?? true
        let voltage = sample.voltage.map { voltages.contains(scaled($0)) } ?? true
        return temperature && voltage
    }

    /// `-12.34` as −1234.
    private static func scaled(_ text: String) -> Int { Int(text.filter { $0 != "." }) ?? .min }
}

/// Learns what a sensor's samples look like, so that a damaged line that still reads like a sample is told from one.
struct SampleShapePolicy: Sendable {
    private(set) var known: QSeriesSample.Shape?
    private var candidate: QSeriesSample.Shape?
    private var agreeing = 0

    /// A second line of a shape confirms it where none is known; a third in a row replaces one that is.
    private static let confirmations = (first: 2, change: 3)

    mutating func admits(_ shape: QSeriesSample.Shape) -> Bool {
        if shape == known || (known == nil && shape.isCommon) {
            (known, candidate, agreeing) = (shape, nil, 0)
            return true
        }
        agreeing = shape == candidate ? agreeing + 1 : 1
        candidate = shape
        guard agreeing >= (known == nil ? Self.confirmations.first : Self.confirmations.change) else { return false }
        (known, candidate, agreeing) = (shape, nil, 0)
        return true
    }

    /// What is known holds for lines with another tag, or with none.
    mutating func expect(tag: Character?) {
        guard let shape = known, shape.tag != tag else { return }
        known = QSeriesSample.Shape(
            preamble: tag == nil ? shape.preamble : "", tag: tag, hasTemperature: shape.hasTemperature,
            hasVoltage: shape.hasVoltage)
    }

    /// A line that is no sample at all: what looked alike before it was not in a row.
    mutating func interrupted() { (candidate, agreeing) = (nil, 0) }
}
