import Model

/// A visit to a Q-Series sensor's menu, from ESC to `X`: what to send next, given what the sensor has printed and the
/// time. It synchronises on the prompt, bears a sensor that was left hanging in one, and always ends.
struct QSeriesDialogue: Sendable {
    /// One question and its answer.
    struct Step: Hashable, Sendable {
        /// For messages.
        let command: String
        let send: String
        /// All of these are in the answer, the last of them at its end; empty: the menu's prompt is the answer.
        let expected: [String]
        /// Each of these is a refusal.
        var refusals: [String] = []
    }

    enum Outcome: Sendable {
        case done(QSeriesConfiguration?)
        case failed(QSeriesError)
    }

    private enum Phase: Hashable, Sendable {
        case entering(attempt: Int)
        /// The prompt is there; nothing more may follow it.
        case settling
        case asking(Int)
        /// A command went wrong: the menu comes back by itself, or is asked for.
        case returning(attempt: Int)
        case leaving(attempt: Int)
        case over
    }

    static let prompt = "Select the letter of the menu entry:"
    private static let attempts = 3
    private static let heardLimit = 8192

    private let steps: [Step]
    private let timings: QSeriesTimings
    private var phase = Phase.entering(attempt: 0)
    private var next = 0
    /// What came since the last bytes were sent.
    private var heard: [UInt8] = []
    private var failure: QSeriesError?
    private var dump: QSeriesConfiguration?
    private let wantsDump: Bool
    private(set) var deadline: MonotonicTime

    /// `waking`: the sensor may hang in a prompt, which CR ends.
    static func begin(
        _ steps: [Step], waking: Bool, timings: QSeriesTimings, now: MonotonicTime
    ) -> (dialogue: Self, send: [UInt8]) {
        let dialogue = Self(steps: steps, timings: timings, now: now)
        return (dialogue, waking ? wake : [escape])
    }

    private static let escape: UInt8 = 0x1b
    private static let wake: [UInt8] = [0x0d, escape]

    private init(steps: [Step], timings: QSeriesTimings, now: MonotonicTime) {
        self.steps = steps
        self.timings = timings
        wantsDump = steps.contains { $0.send == "^" }
        deadline = now.advanced(by: timings.menuPrompt)
    }

    /// `X` was sent at the prompt and nothing came after it: quiet mode prints no banner.
    private(set) var leftQuietly = false

    /// Bytes came. The bytes to send, and the outcome where this ended it. `isSampling`: they are samples, as far as is
    /// known; a sensor that goes on sampling has not heard the call for its menu.
    mutating func received(
        _ bytes: [UInt8], isSampling: Bool, now: MonotonicTime
    ) -> (send: [UInt8], outcome: Outcome?) {
        heard += bytes
        if heard.count > Self.heardLimit { heard.removeFirst(heard.count - Self.heardLimit) }
        switch phase {
        case .entering:
            // A slow line prints the banner and the menu before the prompt: only silence is a failure.
            let isThere = isNew(Self.prompt, within: bytes.count)
            if isThere {
                settle(now)
            } else if !isSampling {
                deadline = now.advanced(by: timings.menuPrompt)
            }
        case .settling:
            deadline = now.advanced(by: hasPrompt ? timings.promptQuiet : timings.menuPrompt)
        case .asking(let index):
            return (answered(steps[index], newBytes: bytes.count, now: now), nil)
        case .returning:
            if hasPrompt { settle(now) }
        case .leaving:
            if isNew(QSeriesBanner.title, within: bytes.count) { return ([], end()) }
        case .over: break
        }
        return ([], nil)
    }

    /// The menu's prompt is the last thing that was printed.
    private var hasPrompt: Bool { ends(with: Self.prompt) }

    private func ends(with text: String) -> Bool {
        let end = heard.lastIndex { $0 > 0x20 } ?? -1
        let wanted = Array(text.trimmingSpaces.utf8)
        return end + 1 >= wanted.count && heard[(end + 1 - wanted.count)...end].elementsEqual(wanted)
    }

    /// Whether the last bytes completed this text: a menu arrives in many small pieces, and is looked through once.
    private func isNew(_ text: String, within count: Int) -> Bool {
        !heard.suffix(count + text.utf8.count - 1).ranges(of: Array(text.utf8)).isEmpty
    }

    private var text: String { String(decoding: heard, as: UTF8.self) }

    private mutating func settle(_ now: MonotonicTime) {
        phase = .settling
        deadline = now.advanced(by: timings.promptQuiet)
    }

    private mutating func answered(_ step: Step, newBytes: Int, now: MonotonicTime) -> [UInt8] {
        if let refusal = step.refusals.first(where: { isNew($0, within: newBytes) }) {
            let line = text.split(whereSeparator: \.isNewline).first { $0.contains(refusal) }.map(String.init)
            giveUp(.refused(command: step.command, answer: (line ?? refusal).trimmingSpaces), now: now)
            if hasPrompt { settle(now) }
            return []
        }
        guard step.expected.isEmpty else {
            let isThere = ends(with: step.expected.last ?? "") && step.expected.allSatisfy(text.contains)
            return isThere ? advance(now) : []
        }
        guard hasPrompt else { return [] }
        if step.send == "^" {
            dump =
                text.split(whereSeparator: \.isNewline).lazy
                .compactMap { QSeriesConfiguration(dump: String($0)) }.first
        }
        next += 1
        settle(now)
        return []
    }

    /// On to the next step without waiting for the prompt: this one was a question within a command.
    private mutating func advance(_ now: MonotonicTime) -> [UInt8] {
        next += 1
        guard next < steps.count else {
            phase = .returning(attempt: 0)
            deadline = now.advanced(by: timings.menuCommand)
            return []
        }
        return ask(now)
    }

    private mutating func ask(_ now: MonotonicTime) -> [UInt8] {
        phase = .asking(next)
        heard = []
        deadline = now.advanced(by: timings.menuCommand)
        return Array(steps[next].send.utf8)
    }

    private mutating func giveUp(_ error: QSeriesError, now: MonotonicTime) {
        failure = failure ?? error
        next = steps.count
        phase = .returning(attempt: 0)
        deadline = now.advanced(by: timings.menuCommand)
    }

    /// The deadline may have passed.
    mutating func tick(now: MonotonicTime) -> (send: [UInt8], outcome: Outcome?) {
        guard now >= deadline else { return ([], nil) }
        switch phase {
        case .entering(let attempt):
            return wakeAgain(attempt, failing: .noMenu, now: now) { .entering(attempt: $0) }
        case .settling:
            guard hasPrompt else {
                phase = .entering(attempt: 0)
                return wakeAgain(0, failing: .noMenu, now: now) { .entering(attempt: $0) }
            }
            return next < steps.count ? (ask(now), nil) : (leave(attempt: 0, now), nil)
        case .asking(let index):
            giveUp(.timedOut(command: steps[index].command), now: now)
            return wakeAgain(0, failing: .noMenu, now: now) { .returning(attempt: $0) }
        case .returning(let attempt):
            return wakeAgain(attempt, failing: .noMenu, now: now) { .returning(attempt: $0) }
        case .leaving(let attempt):
            // Without the prompt again, the sensor is believed to have gone.
            guard attempt + 1 < Self.attempts, hasPrompt else {
                leftQuietly = true
                return ([], end())
            }
            return (leave(attempt: attempt + 1, now), nil)
        case .over:
            return ([], nil)
        }
    }

    private mutating func wakeAgain(
        _ attempt: Int, failing error: QSeriesError, now: MonotonicTime, _ phase: (Int) -> Phase
    ) -> (send: [UInt8], outcome: Outcome?) {
        guard attempt + 1 < Self.attempts else {
            self.phase = .over
            return ([], .failed(failure ?? error))
        }
        self.phase = phase(attempt + 1)
        heard = []
        deadline = now.advanced(by: timings.menuPrompt)
        return (Self.wake, nil)
    }

    private mutating func leave(attempt: Int, _ now: MonotonicTime) -> [UInt8] {
        phase = .leaving(attempt: attempt)
        heard = []
        deadline = now.advanced(by: timings.afterReset)
        return [UInt8(ascii: "X")]
    }

    private mutating func end() -> Outcome {
        phase = .over
        if let failure { return .failed(failure) }
        return wantsDump && dump == nil ? .failed(.noDump) : .done(dump)
    }
}

extension QSeriesDialogue {
    /// The steps that set a sensor up and read its dump. A command that takes a line ends in CR; `M` and what belongs
    /// to it must not: a stray CR there is answered by `I am confused`.
    static func steps(for settings: QSeriesSettings) -> [Step] {
        let lost = ["I am confused", "Timed out waiting"]
        var steps: [Step] = []
        if let averaging = settings.averaging {
            steps.append(Step(command: "averaging", send: "A\r", expected: ["Enter #", ": "], refusals: lost))
            steps.append(
                Step(
                    command: "averaging \(averaging)", send: "\(averaging)\r", expected: [],
                    refusals: ["Invalid number"] + lost))
        }
        if let rate = settings.rate {
            steps.append(Step(command: "rate", send: "R\r", expected: ["Enter selection", ": "], refusals: lost))
            steps.append(
                Step(command: "rate \(rate)", send: "\(rate)\r", expected: [], refusals: ["Invalid rate"] + lost))
        }
        if let isPolled = settings.isPolled {
            steps.append(Step(command: "mode", send: "M", expected: ["mode number", ": "], refusals: lost))
            if isPolled {
                steps.append(Step(command: "mode 1", send: "1", expected: ["UPPER case", ": "], refusals: lost))
                let tag = settings.tag ?? "A"
                steps.append(
                    Step(command: "tag \(tag)", send: "\(tag)", expected: [], refusals: ["Bad TAG"] + lost))
            } else {
                steps.append(Step(command: "mode 0", send: "0", expected: [], refusals: lost))
            }
        }
        return steps + [Step(command: "dump", send: "^", expected: [])]
    }
}
