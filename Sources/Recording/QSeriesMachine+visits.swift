internal import Model

extension QSeriesMachine {
    // MARK: Gaps

    mutating func beginGap(_ reason: String, from: ClockReading) -> [Action] {
        // Nothing is missing before the first row, and what happens within a gap makes no second one.
        guard gap == nil, lastRow != nil else { return [] }
        gap = OpenGap(reason: reason, from: from)
        return [.emit(.gapBegan(reason: reason, from: from))]
    }

    /// A waking is a gap of silence already.
    mutating func beginVisitGap() -> [Action] {
        guard visit?.kind == .request, let from = lastRow?.clock else { return [] }
        return beginGap(Gap.Reason.configuration, from: from)
    }

    mutating func endGap(to clock: ClockReading) -> [Action] {
        guard let ended = gap else { return [] }
        gap = nil
        return [.emit(.gapEnded(reason: ended.reason, from: ended.from, to: clock))]
    }

    // MARK: Visits to the menu

    var silenceDeadline: MonotonicTime {
        let periods = [counters.period, configuration.nominalPeriod].compactMap { $0 }.max() ?? .zero
        // A sensor that does not wake is tried for ever, less and less often.
        let patience = min(timings.silence * (1 << min(wakings, 8)), max(timings.longestSilence, timings.silence))
        return quietSince.advanced(by: max(patience, periods * 3))
    }

    mutating func wake(at clock: ClockReading, now: MonotonicTime) -> [Action] {
        wakings += 1
        counters.recoveries += 1
        let (dialogue, send) = QSeriesDialogue.begin([], waking: true, timings: timings, now: now)
        visit = (.recovery, dialogue, .unchanged)
        quietSince = now
        return beginGap(Gap.Reason.silent, from: lastClock ?? clock) + [.send(send)]
    }

    mutating func begin(_ kind: Visit, _ settings: QSeriesSettings, now: MonotonicTime) -> [Action] {
        let steps = QSeriesDialogue.steps(for: settings)
        let (dialogue, send) = QSeriesDialogue.begin(steps, waking: false, timings: timings, now: now)
        visit = (kind, dialogue, settings)
        polling = nil
        return [.send(send)]
    }

    mutating func spoke(
        _ send: [UInt8], _ outcome: QSeriesDialogue.Outcome?, now: MonotonicTime
    ) -> [Action] {
        var actions: [Action] = send.isEmpty ? [] : [.send(send)]
        guard let outcome, let ended = visit else { return actions }
        quietSince = now
        switch outcome {
        case .done(let dump):
            if let dump {
                let change = ConfigurationChange(
                    changed: ended.settings.members, dump: .object(dump.members))
                configuration = dump.merged(over: configuration)
                if let clock = lastClock { actions.append(.emit(.configuration(change, at: clock))) }
            }
            actions += endVisit(.success(configuration))
        case .failed(let error):
            if error == .noMenu, baudSearch.unanswered() { actions.append(.reopen(baud: baudSearch.baud)) }
            actions += endVisit(.failure(error))
        }
        // Only a sensor that was told to leave is believed to be sampling when no banner says so.
        if ended.dialogue.leftQuietly {
            classifier.assumeSampling()
            beginSampling(now)
        }
        return actions
    }

    mutating func endVisit(_ result: Result<QSeriesConfiguration, QSeriesError>) -> [Action] {
        guard let ended = visit else { return [] }
        visit = nil
        guard ended.kind == .request else { return [] }
        // Set up once: after that the sensor remembers. A failure leaves the sensor to be recorded as it is.
        if case .success = result { setup = nil }
        return [.finish(result)]
    }
}

extension QSeriesSettings {
    var members: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        if let averaging { members["averaging"] = .integer(Int64(averaging)) }
        if let rate { members["adc_rate_hz"] = .integer(Int64(rate)) }
        if let isPolled { members["mode"] = .string(isPolled ? "polled" : "freerun") }
        if let tag { members["tag"] = .string(String(tag)) }
        return members
    }
}

extension Gap.Reason {
    /// A visit to the instrument's menu that was asked for.
    static let configuration = "configuration"
    /// The instrument's menu came unasked.
    static let menu = "menu"
}
