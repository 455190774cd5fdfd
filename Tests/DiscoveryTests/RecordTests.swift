import Model
import Testing

@testable import Discovery

func labels(_ texts: String...) -> DomainName {
    guard let name = DomainName(labels: texts.map { Array($0.utf8) }) else { preconditionFailure("a valid name") }
    return name
}

func wire(_ name: DomainName) -> [UInt8] { name.labels.flatMap { [UInt8($0.count)] + $0 } + [0] }

func textRecord(_ strings: String...) -> [UInt8] { strings.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } }

@Suite struct DomainNameTests {
    @Test("a name survives its wire form")
    func roundTrip() {
        let name = labels("My vehicle (2) – é.dot", "_qnode", "_tcp", "local")
        #expect(DomainName(wire: wire(name)[...])?.labels == name.labels)
    }

    @Test("a name that is cut, followed by more, or compressed is none")
    func malformed() {
        let whole = wire(labels("alpha", "_qnode", "_tcp", "local"))
        for length in 0..<whole.count { #expect(DomainName(wire: whole[..<length]) == nil) }
        #expect(DomainName(wire: (whole + [0])[...]) == nil)
        #expect(DomainName(wire: [0xc0, 0x0c]) == nil)
        #expect(DomainName(wire: [0]) == nil)
        #expect(DomainName(labels: [[UInt8](repeating: 97, count: 64)]) == nil)
        #expect(DomainName(labels: Array(repeating: [UInt8](repeating: 97, count: 63), count: 4)) == nil)
    }

    @Test("names are the same whatever their case, and not whatever their dots")
    func comparison() {
        #expect(labels("Alpha", "LOCAL") == labels("alpha", "local"))
        #expect(labels("Alpha", "LOCAL").hashValue == labels("alpha", "local").hashValue)
        #expect(labels("a.b", "local") != labels("a", "b", "local"))
    }

    @Test("what Avahi is handed is ASCII with everything odd escaped")
    func escaping() {
        #expect(labels("a.b\\c d", "local").description == "a\\.b\\\\c\\032d.local")
        #expect(DomainName(labels: [[0, 9, 200]])?.description == "\\000\\009\\200")
    }
}

@Suite struct ServiceTextTests {
    @Test("the claims of a node's own advertisement are read back")
    func own() throws {
        let boot = BootID.random()
        let advertisement = Advertisement(
            name: "alpha", idPrefix: "0123456789abcdef", role: .topside, bootID: boot, port: 9150)
        let rdata = advertisement.text.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let text = try #require(ServiceText(rdata: rdata))
        #expect(text.idPrefix == "0123456789abcdef" && text.role == .topside && text.boot == boot.description)
    }

    @Test(
        "a record without a valid id of this version is refused",
        arguments: [
            textRecord("v=1", "role=vehicle"), textRecord("id=0123456789ABCDEF", "v=1"),
            textRecord("id=0123456789abcde", "v=1"), textRecord("id=0123456789abcdef0", "v=1"),
            textRecord("id=0123456789abcdef"), textRecord("id=0123456789abcdef", "v=2"),
            textRecord("id=", "v=1"), textRecord("id", "v=1"), [200, 1, 2], [], [0],
        ])
    func refused(rdata: [UInt8]) { #expect(ServiceText(rdata: rdata) == nil) }

    @Test("the first of a key counts, keys have no case, and unknown or odd claims do no harm")
    func lenient() throws {
        let text = try #require(
            ServiceText(
                rdata: textRecord(
                    "ID=0123456789abcdef", "id=ffffffffffffffff", "V=1", "role=admiral", "boot=x", "=", "")))
        #expect(text.idPrefix == "0123456789abcdef" && text.role == nil && text.boot == nil)
    }
}

@Suite struct RecordContentTests {
    @Test("no bytes of any kind are more than refused")
    func hostile() {
        var generator = Seeded(state: 7)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 0...70, using: &generator)
            }
            for kind in [RecordKind.address4, .address6, .pointer, .service, .text] {
                _ = RecordContent(kind, rdata: bytes)
            }
        }
        #expect(RecordContent(.address4, rdata: [1, 2, 3]) == nil)
        #expect(RecordContent(.address6, rdata: [1, 2, 3, 4]) == nil)
        #expect(RecordContent(.service, rdata: [0, 0, 0, 0, 35]) == nil)
    }

    @Test("addresses are ordered as they are worth trying, and what cannot be dialled is known")
    func reach() {
        func address(_ bytes: UInt8...) -> IPAddress.Reach? { IPAddress(bytes)?.reach }
        #expect(address(10, 77, 0, 1) == .routed4)
        #expect(address(169, 254, 3, 4) == .linkLocal4)
        #expect(address(127, 0, 0, 1) == .loopback4)
        #expect(address(0, 0, 0, 0) == IPAddress.Reach.none)
        #expect(address(224, 0, 0, 251) == IPAddress.Reach.none)
        #expect(address(255, 255, 255, 255) == IPAddress.Reach.none)
        #expect(address(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) == .linkLocal6)
        #expect(address(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) == .routed6)
        #expect(address(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb) == IPAddress.Reach.none)
        #expect(address(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) == .loopback6)
        #expect(address(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1) == IPAddress.Reach.none)
        #expect(IPAddress([0xfd] + [UInt8](repeating: 0, count: 14) + [2])?.text == "fd00::2")
    }
}

/// A generator whose run can be repeated.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
