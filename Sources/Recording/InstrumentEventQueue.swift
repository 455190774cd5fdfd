internal import Model

/// Events between an instrument, which does not wait, and the recorder. Bounded: lines that do not fit are dropped,
/// counted, and told of as one overflow when there is room again. What happened to the instrument is never dropped for
/// lines.
struct InstrumentEventQueue: Sendable {
    private var events: [InstrumentEvent] = []
    private var lineCount = 0
    private var byteCount = 0
    private var lost: Loss?
    private let eventLimit: Int
    private let byteLimit: Int

    private struct Loss {
        var lines: Int64 = 0
        var rows: Int64 = 0
        let from: ClockReading
        var to: ClockReading
    }

    init(eventLimit: Int = Limits.instrumentEvents, byteLimit: Int = Limits.instrumentEventBytes) {
        self.eventLimit = eventLimit
        self.byteLimit = byteLimit
    }

    var isEmpty: Bool { events.isEmpty && lost == nil }

    mutating func append(_ event: InstrumentEvent) {
        guard case .line(let line) = event else {
            // Each needs a fault of the instrument: twice the limit of lines is never met by those.
            if events.count < 2 * eventLimit { events.append(event) }
            return
        }
        // Once lines are lost, later ones are too until the queue was taken: order stays, and the gap is one.
        guard lost == nil, lineCount < eventLimit, byteCount + line.bytes.count <= byteLimit else {
            var loss = lost ?? Loss(from: line.at, to: line.at)
            loss.lines += 1
            loss.rows += line.isRow ? 1 : 0
            loss.to = line.at
            lost = loss
            return
        }
        lineCount += 1
        byteCount += line.bytes.count
        events.append(event)
    }

    mutating func take() -> [InstrumentEvent] {
        var taken = events
        if let lost { taken.append(.overflow(lines: lost.lines, rows: lost.rows, from: lost.from, to: lost.to)) }
        events = []
        (lineCount, byteCount, lost) = (0, 0, nil)
        return taken
    }
}
