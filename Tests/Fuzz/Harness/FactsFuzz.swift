import Model

@testable import Storage

/// The log of facts: its lines, the facts in them, and the names and ranges that they are made of.
func fuzzFacts(_ input: inout FuzzBytes) {
    switch input.byte() & 7 {
    case 0:
        let line = input.rest()
        guard let fact = FactLog.fact(ofLine: line[...]) else { return }
        expect(FactLog.line(Array(fact)).dropLast() == line[...], "a line is read that would be written otherwise")
    case 1:
        let fact = input.rest()
        let line = FactLog.line(fact)
        let read = FactLog.fact(ofLine: line.dropLast())
        expect(fact.isEmpty ? read == nil : read == fact[...], "a line is not read as it was written")
        checkFact(fact)
    case 2: checkNames(String(decoding: input.rest(), as: UTF8.self))
    case 3: checkRanges(&input)
    case 4: checkHoldings(input.rest())
    default: checkFact(fact(from: &input))
    }
}

private let hex = String(repeating: "0123456789abcdef", count: 4)
private let clock = #"{"realtime":"-5","boottime":"7"}"#
/// What each kind needs, so that an input has to find the rest only.
private let kinds = [
    ("session", #""mission":"m","streams":[{"name":"data","format":"csv","columns":["a"]}],"instrument":{}"#),
    ("session", #""calibration":null,"metadata":{},"mission":"","streams":[],"instrument":{}"#),
    ("chunk", #""stream":"raw","index":0,"sha256":"\#(hex)","first":\#(clock),"last":\#(clock),"bytes":4096"#),
    ("end", #""reason":"stopped""#),
    ("gap", #""reason":"restart","from":\#(clock)"#),
    ("clock", #""before":\#(clock),"after":\#(clock)"#),
    ("marker", #""id":"a""#),
    ("config", #""dump":{}"#),
    ("lost", #""sha256":"\#(hex)""#),
    ("weather", #""sky":"blue""#),
]

/// A fact whose last fields are the input's.
private func fact(from input: inout FuzzBytes) -> [UInt8] {
    let (kind, fields) = kinds[Int(input.byte()) % kinds.count]
    let uuid = "550e8400-e29b-41d4-a716-446655440000"
    let head = #"{"author":"\#(hex)","incarnation":"00000000000000ff","n":3,"session":"\#(uuid)","#
    let at = #""at":{"realtime":"1","boottime":"5","boot_id":"\#(uuid)"},"kind":"\#(kind)",\#(fields),"#
    return Array(head.utf8) + Array(at.utf8) + input.rest() + [UInt8(ascii: "}")]
}

/// What a node takes, it keeps byte for byte; what it understands of it survives being written by itself.
private func checkFact(_ bytes: [UInt8]) {
    guard let recorded = RecordedFact(parsing: bytes) else { return }
    expect(recorded.bytes == bytes, "a fact is kept with other bytes")
    let written = RecordedFact(encoding: recorded.fact)
    guard let again = RecordedFact(parsing: written.bytes) else {
        // Escapes grow: what is near the limit may be beyond it in our own words.
        return expect(written.bytes.count > Limits.factBytes, "a fact in our own words is refused: \(written.fact)")
    }
    expect(again.fact == recorded.fact, "a fact in our own words reads otherwise: \(recorded.fact), \(again.fact)")
    expect(RecordedFact(encoding: again.fact).bytes == written.bytes, "one fact has two forms")
}

// MARK: - Names

private func checkNames(_ text: String) {
    checkName(NodeID.self, text)
    checkName(ChunkID.self, text)
    checkName(Incarnation.self, text)
    checkName(UniqueID.self, text)
    checkName(StreamName.self, text)
    checkName(FactName.self, text)
    checkName(FactName.self, "\(hex)/00000000000000ff/\(text)")
}

private func checkName<Name: TextualID>(_ type: Name.Type, _ text: String) {
    guard let name = Name(text) else { return }
    expect(name.description == text.lowercased(), "\(type) “\(text)” is printed “\(name)”")
    expect(Name(name.description) == name, "\(type) “\(text)” is another when it was printed")
}

// MARK: - Ranges

private func checkRanges(_ input: inout FuzzBytes) {
    let length = Int(input.byte())
    let parts = [input.take(length), input.rest()].map { RangeSet64(String(decoding: $0, as: UTF8.self)) }
    guard let first = parts[0] else { return }
    expect(RangeSet64(first.description) == first, "ranges are others when they were printed: \(first)")
    guard let second = parts[1] else { return }
    let (both, without) = (first.intersection(second), first.subtracting(second))
    var union = first
    union.formUnion(second)
    var rejoined = without
    rejoined.formUnion(both)
    expect(rejoined == first, "\(first) without and with what \(second) shares is \(rejoined)")
    expect(without.intersection(second).isEmpty, "\(first) without \(second) still has some of it: \(without)")
    expect(union.subtracting(second) == without, "\(first) with and without \(second) is not \(without)")
    expect(union.count == second.count + without.count, "\(first) and \(second) do not add up")
    for set in [both, without, union] {
        expect(
            zip(set.ranges, set.ranges.dropFirst()).allSatisfy { $0.upperBound + 1 < $1.lowerBound },
            "ranges touch or overlap: \(set)")
        for range in set.ranges {
            expect(set.contains(range.lowerBound) && set.contains(range.upperBound), "an end is not in \(set)")
            expect(!set.contains(range.lowerBound - 1) && !set.contains(range.upperBound + 1), "more is in \(set)")
        }
    }
}

private func checkHoldings(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    for json in [bytes, Array(#"{"\#(hex)":{"00000000000000ff":"\#(text)"}}"#.utf8)] {
        guard let holdings = try? JSONCoding.decode(Holdings.self, from: json) else { continue }
        let written = JSONCoding.encode(holdings)
        let again = try? JSONCoding.decode(Holdings.self, from: written)
        expect(again == holdings, "holdings are others when they were written: \(holdings)")
    }
}
