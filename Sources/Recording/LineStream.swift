package import Model

/// What an instrument's bytes mean where its lines are not understood: each line that is not blank is a row. A value
/// that is told the time.
package struct LineStream: Sendable {
    package struct Timings: Hashable, Sendable {
        /// Silence that is a fault, where three periods are not longer.
        package var silence = Duration.seconds(10)
        /// A first line whose first byte came this long after opening was not joined midway.
        package var joinMargin = Duration.milliseconds(100)
        /// Between attempts to open.
        package var reopen = Duration.milliseconds(500)

        package init() {}
    }

    private enum Link: Hashable, Sendable {
        case closed
        /// `joinsMidway`: the other end may have been in the middle of a line.
        case open(since: MonotonicTime, joinsMidway: Bool)
        case reading(isFirstLine: Bool)
    }

    private let timings: Timings
    private let isDatagram: Bool
    private var link = Link.closed
    private var framer = LineFramer()
    private var gap: (reason: String, from: ClockReading)?
    private var lastRow: (clock: ClockReading, time: MonotonicTime)?
    private var quietSince = MonotonicTime(nanoseconds: 0)
    package private(set) var counters = InstrumentStatus(state: .disconnected)

    package init(isDatagram: Bool, timings: Timings = Timings()) {
        self.isDatagram = isDatagram
        self.timings = timings
    }

    package var state: InstrumentStatus.State {
        switch link {
        case .closed: .disconnected
        case .open where lastRow == nil: .connecting
        case .open, .reading: gap?.reason == Gap.Reason.silent ? .silent : .streaming
        }
    }

    package mutating func opened(
        port: String, joinsMidway: Bool, at clock: ClockReading, now: MonotonicTime
    ) -> [InstrumentEvent] {
        link = .open(since: now, joinsMidway: joinsMidway)
        framer = LineFramer()
        quietSince = now
        return [.connected(port: port, at: clock)]
    }

    package mutating func closed(reason: String, at clock: ClockReading) -> [InstrumentEvent] {
        guard link != .closed else { return [] }
        link = .closed
        var events: [InstrumentEvent] = []
        if let rest = framer.finish() { events.append(line(rest, .rejected(.partial), at: clock)) }
        events.append(.disconnected(reason: reason, at: clock))
        return events + beginGap(Gap.Reason.unplugged, at: clock)
    }

    package mutating func received(_ bytes: [UInt8], at clock: ClockReading, now: MonotonicTime) -> [InstrumentEvent] {
        if case .open(let since, let joinsMidway) = link {
            link = .reading(isFirstLine: joinsMidway && now < since.advanced(by: timings.joinMargin))
        }
        guard case .reading(var isFirstLine) = link else { return [] }
        quietSince = now
        var lines = framer.append(bytes)
        // A datagram ends its last line, with a newline or without.
        if isDatagram, let last = framer.finish() { lines.append(LineFramer.Line(bytes: last.bytes, isWhole: true)) }
        var events: [InstrumentEvent] = []
        for found in lines {
            let content: ReceivedLine.Content =
                switch (found.isWhole, isFirstLine, found.content.isEmpty) {
                case (false, _, _): .rejected(.overlong)
                case (_, true, _): .rejected(.partial)
                case (_, _, true): .rejected(.blank)
                default: .text
                }
            isFirstLine = false
            if content == .text {
                if gap == nil, let last = lastRow { counters.period = last.time.duration(to: now) }
                events += endGap(at: clock)
                lastRow = (clock, now)
            }
            events.append(line(found, content, at: clock))
        }
        link = .reading(isFirstLine: isFirstLine)
        return events
    }

    package mutating func tick(at clock: ClockReading, now: MonotonicTime) -> [InstrumentEvent] {
        guard let deadline, now >= deadline else { return [] }
        quietSince = now
        return beginGap(Gap.Reason.silent, at: clock)
    }

    /// When silence becomes a gap; nil where there is nothing to miss.
    package var deadline: MonotonicTime? {
        guard link != .closed, lastRow != nil, gap == nil else { return nil }
        return quietSince.advanced(by: max(timings.silence, (counters.period ?? .zero) * 3))
    }

    private mutating func line(
        _ line: LineFramer.Line, _ content: ReceivedLine.Content, at clock: ClockReading
    ) -> InstrumentEvent {
        counters.lines += 1
        if case .rejected(let reason) = content {
            counters.rejected[reason, default: 0] += 1
        } else {
            counters.rows += 1
        }
        return .line(ReceivedLine(bytes: line.bytes, at: clock, content: content))
    }

    private mutating func beginGap(_ reason: String, at clock: ClockReading) -> [InstrumentEvent] {
        guard gap == nil, let from = lastRow?.clock else { return [] }
        gap = (reason, from)
        return [.gapBegan(reason: reason, from: from)]
    }

    private mutating func endGap(at clock: ClockReading) -> [InstrumentEvent] {
        guard let ended = gap else { return [] }
        gap = nil
        return [.gapEnded(reason: ended.reason, from: ended.from, to: clock)]
    }
}
