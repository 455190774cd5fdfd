import Model

@testable import Storage

/// SplitMix64: a failing seed can be run again.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Made-up nouns, told apart by a number.
enum Sample {
    static func digest(_ number: Int) -> Digest256 {
        Digest256(
            bytes: (0..<32).map { $0 < 24 ? UInt8(truncatingIfNeeded: number >> ($0 % 4 * 8)) : UInt8($0) })!
    }
    static func node(_ number: Int) -> NodeID { NodeID(digest: digest(number)) }
    static func chunk(_ number: Int) -> ChunkID { ChunkID(digest: digest(number)) }
    static func process(_ number: UInt64) -> Incarnation { Incarnation(word: number) }
    static func name(_ n: Int64, author: Int = 1, process: UInt64 = 1) -> FactName {
        FactName(author: node(author), incarnation: Self.process(process), n: n)
    }
    static func holdings(_ text: String, author: Int = 1, process: UInt64 = 1) -> Holdings {
        var holdings = Holdings()
        holdings[node(author), Self.process(process)] = RangeSet64(text)!
        return holdings
    }
    static func wanted(_ n: Int, bytes: Int64 = 1000, author: Int = 1, mission: String = "m") -> WantedChunk {
        let fact = ChunkFact(
            stream: .data, index: Int64(n), sha256: chunk(n), bytes: bytes, rows: 1, firstRow: 0,
            first: ClockPair(realtime: 0, boottime: 0), last: ClockPair(realtime: 0, boottime: 0))
        return WantedChunk(
            name: name(Int64(n), author: author), session: SessionID(high: 1, low: 1), mission: mission, fact: fact)
    }
    static func time(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }
}
