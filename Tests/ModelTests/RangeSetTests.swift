import Testing

@testable import Model

@Suite struct RangeSetTests {
    @Test("text and ranges are the same set, both ways")
    func text() throws {
        for text in ["", "1", "1-40", "1-40,43", "2,4,6-9"] {
            #expect(try #require(RangeSet64(text)).description == text)
        }
    }

    @Test(
        "hostile text is refused",
        arguments: [
            "0", "-1", "5-3", "1,1", "3,2", "1-", "a", "1,,2", "+1", "99999999999999999999", "1-9007199254740993",
        ])
    func hostile(_ text: String) { #expect(RangeSet64(text) == nil) }

    @Test("more ranges than the limit are refused")
    func limit() {
        #expect(RangeSet64("1,3,5", limit: 3) != nil)
        #expect(RangeSet64("1,3,5", limit: 2) == nil)
    }

    @Test("insert, remove, union, difference agree with a plain set", arguments: 0..<50)
    func agreesWithSet(seed: Int) {
        var random = SplitMix64(state: UInt64(seed))
        var (left, right) = (RangeSet64(), RangeSet64())
        var (plainLeft, plainRight) = (Set<Int64>(), Set<Int64>())
        for _ in 0..<200 {
            let n = Int64.random(in: 1...60, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                left.insert(n)
                plainLeft.insert(n)
            case 1:
                right.insert(n)
                plainRight.insert(n)
            default:
                left.remove(n)
                plainLeft.remove(n)
            }
            let members = { (set: RangeSet64) in Set((1...60).filter { set.contains(Int64($0)) }.map(Int64.init)) }
            #expect(members(left) == plainLeft)
            #expect(members(left.subtracting(right)) == plainLeft.subtracting(plainRight))
            #expect(members(left.intersection(right)) == plainLeft.intersection(plainRight))
            #expect(left.count == Int64(plainLeft.count))
            #expect(RangeSet64(left.description) == left)
        }
    }
}

struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
