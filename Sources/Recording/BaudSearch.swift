/// Which baud rate a sensor speaks, found by listening: bytes that make no line, or no answer at all, are a reason to
/// try the next one.
struct BaudSearch: Sendable {
    /// The default first, then those that occur in the field, then the rest of the usual.
    static let candidates = [9600, 19200, 115_200, 38400, 57600, 4800, 230_400]
    /// Three samples' worth of bytes without one of them.
    private static let patienceBytes = 96

    private(set) var baud: Int
    private let isFixed: Bool
    private var isFound = false
    private var unreadable = 0

    /// nil searches.
    init(_ baud: Int?) {
        isFixed = baud != nil
        self.baud = baud ?? Self.candidates[0]
    }

    /// Something that only a sensor prints was read.
    mutating func found() { (isFound, unreadable) = (true, 0) }

    /// Bytes came that made no such line; whether another rate is to be tried.
    mutating func heard(unreadable count: Int) -> Bool {
        guard !isFixed, !isFound else { return false }
        unreadable += count
        return unreadable >= Self.patienceBytes ? advance() : false
    }

    /// The sensor did not answer; whether another rate is to be tried.
    mutating func unanswered() -> Bool { isFixed || isFound ? false : advance() }

    private mutating func advance() -> Bool {
        let position = Self.candidates.firstIndex(of: baud) ?? -1
        baud = Self.candidates[(position + 1) % Self.candidates.count]
        unreadable = 0
        return true
    }
}
