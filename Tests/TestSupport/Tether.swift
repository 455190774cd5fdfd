package import Model
internal import Reactor

/// The process between two interfaces of a lab, `test-tether`, and what it can be told while frames run through it.
package final class Tether: Sendable {
    /// From host a to host b, and back.
    package enum Way: String, Sendable, CaseIterable { case ab, ba }

    private let process: Child
    private let commands = Locked(0)

    private init(process: Child) { self.process = process }

    /// Joins the lab's hosts by an interface of that name in each: `<net>.1` in a and `<net>.2` in b. A lab may have
    /// several.
    package static func open(_ lab: Lab, _ name: String, _ net: String, _ shape: TetherShape) async throws -> Tether {
        let process = try await lab.start(
            "test-tether", [Lab.built("test-tether"), lab.space("a"), lab.space("b"), name])
        _ = try await process.wait("its interfaces") { lines in lines.first { $0 == "ready" } }
        let tether = Tether(process: process)
        try await tether.set(shape)
        for (side, host) in [("a", 1), ("b", 2)] {
            try await lab.ip(side, "addr add \(net).\(host)/24 dev \(name)")
            // What waits while the process gets no time of a busy machine is not lost.
            try await lab.ip(side, "link set \(name) txqueuelen 10000 up")
        }
        return tether
    }

    /// From the next frame on; those on their way come out as they would have.
    package func set(_ shape: TetherShape, _ ways: [Way] = Way.allCases) async throws {
        for way in ways { try await ask("set \(way) \(shape.settings)") }
    }

    /// Draws losses, jitter and duplicates anew.
    package func seed(_ seed: UInt64) async throws { try await ask("seed \(seed)") }

    /// The cable is in, or out: the hosts on these sides are told by their interfaces. Nothing passes either way while
    /// one of its ends is out, and what is on its way is lost.
    package func carrier(_ isOn: Bool, sides: [String] = ["a", "b"]) async throws {
        for side in sides { try await ask("carrier \(side) \(isOn ? "on" : "off")") }
    }

    /// As a switch whose other side is gone: everything is lost and nobody is told.
    package func silence(_ isSilent: Bool, _ ways: [Way] = Way.allCases) async throws {
        for way in ways { try await ask("silent \(way) \(isSilent ? "on" : "off")") }
    }

    package func counts(_ way: Way) async throws -> TetherCounts {
        let words = try await ask("count \(way)")
        guard let counts = TetherCounts(words) else {
            throw ChildError(description: "test-tether counts \(words)")
        }
        return counts
    }

    /// What came out that way from `start` to `end`, in whole 10 ms of the monotonic clock.
    package func trace(_ way: Way, from start: MonotonicTime, to end: MonotonicTime) async throws -> TetherTrace {
        let step = TetherTrace.step.nanoseconds
        var bin = start.nanoseconds / step
        var bytes: [Int64] = []
        while bin < end.nanoseconds / step {
            let count = min(1000, end.nanoseconds / step - bin)
            let part = try await ask("trace \(way) \(bin) \(count)").compactMap { Int64($0) }
            guard part.count == count else { throw ChildError(description: "test-tether: a short trace") }
            bytes += part
            bin += count
        }
        return TetherTrace(bytes: bytes)
    }

    /// Ends it as the end of the test does, and gives its wait status.
    package func end() async throws -> Int32 { try await process.stop() }

    @discardableResult
    private func ask(_ command: String) async throws -> [Substring] {
        let number = commands.withLock { count in
            count += 1
            return count
        }
        try await process.tell("\(number) \(command)")
        let answer = try await process.wait("an answer to \(command)") { lines in
            lines.last { $0.hasPrefix("\(number) ") }
        }
        let words = answer.split(separator: " ")
        guard words.count > 1, words[1] == "ok" else { throw ChildError(description: "\(command): \(answer)") }
        return Array(words.dropFirst(2))
    }
}
