import CTap
import Glibc

/// Why the tether cannot be.
struct TetherError: Error, CustomStringConvertible {
    let description: String
}

/// Two TAP devices in two network namespaces, and the frames between them.
struct TetherWire: ~Copyable {
    private let taps: (a: Int32, b: Int32)
    private var fromA: TetherDirection
    private var fromB: TetherDirection
    private var hasCarrier = (a: true, b: true)

    /// Frames that are taken of one host before it is the other's turn.
    private static let turn = 64

    init(spaceA: String, spaceB: String, name: String) throws {
        let now = Self.now()
        fromA = TetherDirection(seed: 1, now: now)
        fromB = TetherDirection(seed: 2, now: now)
        taps = (try Self.open(spaceA, name), try Self.open(spaceB, name))
    }

    private static func open(_ space: String, _ name: String) throws -> Int32 {
        let tap = tap_open(space, name)
        guard tap >= 0 else {
            throw TetherError(description: "a TAP device in \(space): \(String(cString: strerror(errno)))")
        }
        return tap
    }

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Carries frames until standard input ends; each line of it is a command, and has one line for an answer.
    mutating func run() throws {
        tap_be_prompt()
        var input = CommandInput()
        while true {
            let due = min(fromA.nextDue ?? .max, fromB.nextDue ?? .max)
            let ready = tap_wait([taps.a, taps.b, 0], 3, due == .max ? -1 : max(0, due - Self.now()))
            guard ready >= 0 else { throw TetherError(description: "poll: \(String(cString: strerror(errno)))") }
            let isCut = !(hasCarrier.a && hasCarrier.b)
            if ready & 1 != 0 { Self.drain(taps.a, &fromA, taps.b, isCut) }
            if ready & 2 != 0 { Self.drain(taps.b, &fromB, taps.a, isCut) }
            let now = Self.now()
            fromA.deliver(to: taps.b, now: now)
            fromB.deliver(to: taps.a, now: now)
            if ready & 4 != 0 {
                guard let lines = input.lines() else { return }
                for line in lines { print(answer(line)) }
                fflush(nil)
            }
        }
    }

    private static func drain(_ tap: Int32, _ direction: inout TetherDirection, _ other: Int32, _ isCut: Bool) {
        for _ in 0..<turn {
            let now = Self.now()
            guard direction.take(from: tap, isCut: isCut, now: now) else { return }
            direction.deliver(to: other, now: now)
        }
    }
}

// MARK: - Commands

extension TetherWire {
    /// `<number> <command> …` → `<number> ok …`, or `<number> error …`.
    private mutating func answer(_ line: Substring) -> String {
        let words = line.split(separator: " ")
        guard let number = words.first else { return "? error an empty line" }
        do {
            return "\(number) ok\(try perform(Array(words.dropFirst())))"
        } catch {
            return "\(number) error \(error)"
        }
    }

    private mutating func perform(_ words: [Substring]) throws -> String {
        switch (words.first, words.dropFirst().first) {
        case ("set", "ab"): try Self.set(&fromA, words.dropFirst(2))
        case ("set", "ba"): try Self.set(&fromB, words.dropFirst(2))
        case ("seed", let seed?):
            guard let seed = UInt64(seed) else { throw TetherError(description: "not a seed") }
            fromA.seed(seed)
            fromB.seed(~seed)
        case ("silent", "ab"): try Self.silence(&fromA, words)
        case ("silent", "ba"): try Self.silence(&fromB, words)
        case ("carrier", "a"):
            hasCarrier.a = try Self.carrier(taps.a, words)
            if !hasCarrier.a { cut() }
        case ("carrier", "b"):
            hasCarrier.b = try Self.carrier(taps.b, words)
            if !hasCarrier.b { cut() }
        case ("count", "ab"): return fromA.counts.text
        case ("count", "ba"): return fromB.counts.text
        case ("trace", "ab"): return try Self.trace(fromA.trace, words)
        case ("trace", "ba"): return try Self.trace(fromB.trace, words)
        default: throw TetherError(description: "no such command")
        }
        return ""
    }

    private static func set(_ direction: inout TetherDirection, _ settings: ArraySlice<Substring>) throws {
        var shape = direction.shape
        for setting in settings {
            let parts = setting.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, shape.set(parts[0], parts[1]) else {
                throw TetherError(description: "cannot set \(setting)")
            }
        }
        direction.shape = shape
    }

    private static func isOn(_ words: [Substring]) throws -> Bool {
        guard words.count == 3, words[2] == "on" || words[2] == "off" else {
            throw TetherError(description: "on or off")
        }
        return words[2] == "on"
    }

    private static func silence(_ direction: inout TetherDirection, _ words: [Substring]) throws {
        direction.isSilent = try isOn(words)
        if direction.isSilent { direction.cut() }
    }

    private static func carrier(_ tap: Int32, _ words: [Substring]) throws -> Bool {
        let isOn = try isOn(words)
        guard tap_carrier(tap, isOn ? 1 : 0) == 0 else {
            throw TetherError(description: "TUNSETCARRIER: \(String(cString: strerror(errno)))")
        }
        return isOn
    }

    /// A cable that is out at one end carries nothing either way.
    private mutating func cut() {
        fromA.cut()
        fromB.cut()
    }

    private static func trace(_ trace: DeliveryTrace, _ words: [Substring]) throws -> String {
        guard words.count == 4, let bin = Int64(words[2]), let count = Int(words[3]), (0...10_000).contains(count)
        else { throw TetherError(description: "trace ab|ba <first bin> <count up to 10000>") }
        return trace.bytes(from: bin, count: count).map { " \($0)" }.joined()
    }
}
