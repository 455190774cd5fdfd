package import Model

/// The driver of a Q-Series sensor as a value: told what came and what time it is, it says what to do. Passive unless
/// asked: it writes nothing to a sensor that prints samples, and wakes one that has fallen silent.
package struct QSeriesMachine: Sendable {
    package enum Action: Hashable, Sendable {
        case send([UInt8])
        case emit(InstrumentEvent)
        /// The request that was made is over.
        case finish(Result<QSeriesConfiguration, QSeriesError>)
        /// Close the line and open it at this rate.
        case reopen(baud: Int)
    }

    enum Link: Hashable, Sendable {
        case closed
        case open(since: MonotonicTime, heard: Bool)
    }

    enum Visit: Hashable, Sendable {
        /// Wakes a silent sensor.
        case recovery
        /// Was asked for by a person, or by `--sensor setup`.
        case request
    }

    struct OpenGap: Sendable {
        let reason: String
        let from: ClockReading
    }

    let timings: QSeriesTimings
    let pollInterval: Duration?
    var setup: QSeriesSettings?
    var link = Link.closed
    var framer = LineFramer()
    var classifier: QSeriesLineClassifier
    var baudSearch: BaudSearch
    var visit: (kind: Visit, dialogue: QSeriesDialogue, settings: QSeriesSettings)?
    var polling: QSeriesPolling?
    var setupDue: MonotonicTime?
    var gap: OpenGap?
    var lastRow: (clock: ClockReading, time: MonotonicTime)?
    var lastClock: ClockReading?
    /// Since when the sensor is silent: the last line, or what was last done about it.
    var quietSince = MonotonicTime(nanoseconds: 0)
    var wakings = 0
    package internal(set) var configuration = QSeriesConfiguration()
    package internal(set) var counters = InstrumentStatus(state: .disconnected)

    package init(
        timings: QSeriesTimings = QSeriesTimings(), baud: Int? = nil, setup: QSeriesSettings? = nil,
        pollInterval: Duration? = nil
    ) {
        self.timings = timings
        self.setup = setup
        self.pollInterval = pollInterval
        baudSearch = BaudSearch(baud)
        classifier = QSeriesLineClassifier(timings: timings)
    }

    package var baud: Int { baudSearch.baud }

    package var state: InstrumentStatus.State {
        guard case .open = link else { return .disconnected }
        switch classifier.context {
        case .menu: return .menu
        case .banner: return .banner
        case .sampling: break
        }
        if gap?.reason == Gap.Reason.silent { return .silent }
        guard lastRow != nil || polling != nil else { return .connecting }
        return polling == nil ? .freerun : .polled
    }

    // MARK: Inputs

    package mutating func opened(port: String, at clock: ClockReading, now: MonotonicTime) -> [Action] {
        link = .open(since: now, heard: false)
        framer = LineFramer()
        polling = nil
        quietSince = now
        wakings = 0
        if setup != nil { setupDue = now.advanced(by: timings.afterOpen) }
        // A sensor that was polled goes on waiting for its queries; one that was reset meanwhile says so or falls
        // silent.
        if classifier.context == .sampling, setup == nil { beginSampling(now) }
        return [.emit(.connected(port: port, at: clock))]
    }

    package mutating func closed(reason: String, at clock: ClockReading) -> [Action] {
        guard case .open = link else { return [] }
        var actions: [Action] = []
        if let rest = framer.finish() {
            let line = ReceivedLine(bytes: rest.bytes, at: clock, content: .rejected(.partial))
            count(line)
            actions.append(.emit(.line(line)))
        }
        link = .closed
        (polling, setupDue) = (nil, nil)
        actions += endVisit(.failure(.disconnected))
        actions.append(.emit(.disconnected(reason: reason, at: clock)))
        return actions + beginGap(Gap.Reason.unplugged, from: lastClock ?? clock)
    }

    /// Visits the menu. The answer is `finish`, now or later.
    package mutating func request(_ settings: QSeriesSettings, now: MonotonicTime) -> [Action] {
        guard case .open = link else { return [.finish(.failure(.notConnected))] }
        guard visit?.kind != .request else { return [.finish(.failure(.busy))] }
        return begin(.request, settings, now: now)
    }

    package mutating func received(_ bytes: [UInt8], at clock: ClockReading, now: MonotonicTime) -> [Action] {
        guard case .open(let since, let heard) = link else { return [] }
        if !heard {
            link = .open(since: since, heard: true)
            classifier.joined(midway: now < since.advanced(by: timings.joinMargin))
        }
        quietSince = now
        var actions: [Action] = []
        for line in framer.append(bytes) { actions += take(line, at: clock, now: now) }
        lastClock = clock
        if baudSearch.heard(unreadable: bytes.count) { actions.append(.reopen(baud: baudSearch.baud)) }
        if var current = visit {
            let (send, outcome) = current.dialogue.received(
                bytes, isSampling: classifier.context == .sampling, now: now)
            visit = current
            actions += spoke(send, outcome, now: now)
        }
        return actions
    }

    package mutating func tick(at clock: ClockReading, now: MonotonicTime) -> [Action] {
        guard case .open = link else { return [] }
        if let due = setupDue, now >= due, let settings = setup, visit == nil {
            setupDue = nil
            return begin(.request, settings, now: now)
        }
        if var current = visit {
            let (send, outcome) = current.dialogue.tick(now: now)
            visit = current
            return spoke(send, outcome, now: now)
        }
        var actions: [Action] = []
        if var polling, classifier.context == .sampling {
            let query = polling.tick(now: now)
            self.polling = polling
            if !query.isEmpty { actions.append(.send(query)) }
        }
        if now >= silenceDeadline { actions += wake(at: clock, now: now) }
        return actions
    }

    /// When `tick` is due; nil while the line is closed.
    package var deadline: MonotonicTime? {
        guard case .open = link else { return nil }
        if let visit { return visit.dialogue.deadline }
        let polled = classifier.context == .sampling ? polling?.deadline : nil
        return [setupDue, polled, silenceDeadline].compactMap { $0 }.min()
    }

    // MARK: Lines

    private mutating func take(_ line: LineFramer.Line, at clock: ClockReading, now: MonotonicTime) -> [Action] {
        let verdict = classifier.classify(line, now: now)
        var actions: [Action] = []
        if let transition = verdict.transition { actions += changed(transition, at: clock, now: now) }
        let received = ReceivedLine(bytes: line.bytes, at: clock, content: verdict.content)
        count(received)
        switch verdict.content {
        case .sample, .text:
            if verdict.isOffLattice { counters.offLattice += 1 }
            // Two rows around a gap say nothing of the period.
            if gap == nil, let last = lastRow { counters.period = last.time.duration(to: now) }
            actions += endGap(to: clock)
            polling?.answered(now: now)
            lastRow = (clock, now)
            wakings = 0
            baudSearch.found()
        case .rejected(.banner), .rejected(.menu): baudSearch.found()
        case .rejected: break
        }
        actions.append(.emit(.line(received)))
        return actions
    }

    private mutating func count(_ line: ReceivedLine) {
        counters.lines += 1
        if case .rejected(let reason) = line.content {
            counters.rejected[reason, default: 0] += 1
        } else {
            counters.rows += 1
        }
    }

    private mutating func changed(
        _ transition: QSeriesLineClassifier.Transition, at clock: ClockReading, now: MonotonicTime
    ) -> [Action] {
        switch transition {
        case .bannerBegan:
            polling = nil
            // In a visit the banner was asked for.
            guard visit == nil else { return beginVisitGap() }
            counters.resets += 1
            return [.emit(.sensorReset(at: clock))] + beginGap(Gap.Reason.sensorReset, from: lastRow?.clock ?? clock)
        case .menuBegan:
            polling = nil
            return visit == nil ? beginGap(Gap.Reason.menu, from: lastRow?.clock ?? clock) : beginVisitGap()
        case .samplingBegan(let told):
            var actions: [Action] = []
            if let told {
                configuration = told.merged(over: configuration)
                let change = ConfigurationChange(changed: [:], dump: .object(configuration.members))
                actions.append(.emit(.configuration(change, at: clock)))
            }
            beginSampling(now)
            return actions
        }
    }

    /// As the sensor was last known to be set up.
    mutating func beginSampling(_ now: MonotonicTime) {
        guard let isPolled = configuration.isPolled else { return }
        classifier.expect(tag: isPolled ? configuration.tag ?? "A" : nil)
        if isPolled { startPolling(now) }
    }

    private mutating func startPolling(_ now: MonotonicTime) {
        let interval = max(pollInterval ?? .zero, configuration.nominalPeriod ?? timings.period)
        polling = QSeriesPolling(tag: configuration.tag ?? "A", interval: interval, timings: timings, now: now)
    }
}
