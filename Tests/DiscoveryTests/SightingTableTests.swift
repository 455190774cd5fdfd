import Model
import Testing

@testable import Discovery

@Suite struct SightingTableTests {
    private static let type = labels("_qnode", "_tcp", "local")
    private static let eth0 = Link(interface: 2, overIPv6: false)
    private static let eth0v6 = Link(interface: 2, overIPv6: true)
    private static let wlan0 = Link(interface: 3, overIPv6: false)
    private static let interfaces: [Int32: SightingTable.Interface] = [
        1: .init(name: "lo", isLoopback: true), 2: .init(name: "eth0", isLoopback: false),
        3: .init(name: "wlan0", isLoopback: false),
    ]

    /// Says the records of one node on one link, in the order in which a table asks for them.
    private func announce(
        _ table: inout SightingTable, _ instance: String, id: String, host: String, port: UInt16 = 9150,
        addresses: [[UInt8]], on link: Link, appeared: Bool = true
    ) {
        let name = labels(instance, "_qnode", "_tcp", "local")
        let target = labels(host, "local")
        say(&table, Question(Self.type, .pointer), wire(name), link, appeared)
        say(&table, Question(name, .text), textRecord("id=\(id)", "role=vehicle", "v=1"), link, appeared)
        let service = [0, 0, 0, 0, UInt8(port >> 8), UInt8(port & 255)] + wire(target)
        say(&table, Question(name, .service), service, link, appeared)
        for address in addresses {
            say(&table, Question(target, address.count == 4 ? .address4 : .address6), address, link, appeared)
        }
    }

    private func say(
        _ table: inout SightingTable, _ question: Question, _ rdata: [UInt8], _ link: Link, _ appeared: Bool = true
    ) {
        table.apply(RecordChange(question: question, link: link, rdata: rdata, appeared: appeared))
        _ = table.nextQuestions()
    }

    private func opened() -> SightingTable {
        var table = SightingTable()
        _ = table.nextQuestions()
        return table
    }

    private static let linkLocal: [UInt8] = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [7]
    private static let global: [UInt8] = [0xfd, 0x77] + [UInt8](repeating: 0, count: 13) + [2]

    private func sightings(_ table: SightingTable) -> [PeerSighting] {
        table.sightings(except: "0000000000000000", interfaces: Self.interfaces)
    }

    @Test("one node on several links and protocols is one sighting, its endpoints in order")
    func merged() {
        var table = opened()
        announce(
            &table, "alpha", id: "00000000000000aa", host: "h",
            addresses: [Self.linkLocal, Self.global, [10, 0, 0, 2]],
            on: Self.eth0v6)
        announce(&table, "alpha", id: "00000000000000aa", host: "h", addresses: [[10, 0, 0, 2]], on: Self.eth0)
        announce(
            &table, "alpha", id: "00000000000000aa", host: "h", addresses: [[10, 1, 0, 2], [169, 254, 1, 1]],
            on: Self.wlan0)
        let seen = sightings(table)
        #expect(seen.count == 1)
        #expect(
            seen.first?.endpoints.map(\.description) == [
                "10.0.0.2:9150", "10.1.0.2:9150", "169.254.1.1:9150", "[fd77::2]:9150", "[fe80::7%eth0]:9150",
            ])
    }

    @Test("the questions follow what was heard, and are dropped with it")
    func questions() {
        var table = SightingTable()
        #expect(table.nextQuestions().ask == [Question(Self.type, .pointer)])
        #expect(table.nextQuestions().ask.isEmpty)
        let name = labels("alpha", "_qnode", "_tcp", "local")
        table.apply(
            RecordChange(question: Question(Self.type, .pointer), link: Self.eth0, rdata: wire(name), appeared: true))
        #expect(Set(table.nextQuestions().ask) == [Question(name, .service), Question(name, .text)])
        let service = [0, 0, 0, 0, 35, 190] + wire(labels("h", "local"))
        table.apply(
            RecordChange(question: Question(name, .service), link: Self.eth0, rdata: service, appeared: true))
        let host = labels("h", "local")
        #expect(Set(table.nextQuestions().ask) == [Question(host, .address4), Question(host, .address6)])
        table.apply(
            RecordChange(question: Question(Self.type, .pointer), link: Self.eth0, rdata: wire(name), appeared: false))
        let last = table.nextQuestions()
        #expect(last.ask.isEmpty && last.drop.count == 4)
        // A straggler to a question that was dropped changes nothing.
        table.apply(
            RecordChange(question: Question(name, .service), link: Self.eth0, rdata: service, appeared: true))
        #expect(table.nextQuestions().ask.isEmpty)
    }

    @Test("the node itself is not seen, by id, whatever its name")
    func itself() {
        var table = opened()
        announce(&table, "me #2", id: "00000000000000aa", host: "h", addresses: [[10, 0, 0, 2]], on: Self.eth0)
        #expect(table.sightings(except: "00000000000000aa", interfaces: Self.interfaces).isEmpty)
        #expect(sightings(table).count == 1)
    }

    @Test("two nodes of one name on two links stay two, each with its own addresses")
    func namesakes() {
        var table = opened()
        announce(&table, "rov", id: "00000000000000aa", host: "h", addresses: [[10, 0, 0, 2]], on: Self.eth0)
        announce(&table, "rov", id: "00000000000000bb", host: "h", addresses: [[10, 1, 0, 3]], on: Self.wlan0)
        #expect(sightings(table).map(\.idPrefix) == ["00000000000000aa", "00000000000000bb"])
        #expect(sightings(table).map { $0.endpoints.map(\.host) } == [["10.0.0.2"], ["10.1.0.3"]])
    }

    @Test("what went on one link stays on the other")
    func leaving() {
        var table = opened()
        for link in [Self.eth0, Self.wlan0] {
            announce(&table, "a", id: "00000000000000aa", host: "h", addresses: [[10, 0, 0, 2]], on: link)
        }
        announce(
            &table, "a", id: "00000000000000aa", host: "h", addresses: [[10, 0, 0, 2]], on: Self.eth0, appeared: false)
        #expect(sightings(table).count == 1)
        announce(
            &table, "a", id: "00000000000000aa", host: "h", addresses: [[10, 0, 0, 2]], on: Self.wlan0, appeared: false)
        #expect(sightings(table).isEmpty)
    }

    @Test("records that point out of the link, or at no port or no address, are counted and ignored")
    func astray() {
        var table = opened()
        let root = Question(Self.type, .pointer)
        say(&table, root, wire(labels("x", "_http", "_tcp", "local")), Self.eth0)
        say(&table, root, wire(labels("a", "b", "_qnode", "_tcp", "local")), Self.eth0)
        say(&table, root, [2, 0xff, 0xfe] + wire(Self.type), Self.eth0)
        say(&table, root, [1, 2, 3], Self.eth0)
        #expect(table.counters.invalid == 4)
        let name = labels("a", "_qnode", "_tcp", "local")
        say(&table, root, wire(name), Self.eth0)
        let service = Question(name, .service)
        say(&table, service, [0, 0, 0, 0, 35, 190] + wire(labels("www", "example", "com")), Self.eth0)
        say(&table, service, [0, 0, 0, 0, 0, 0] + wire(labels("h", "local")), Self.eth0)
        say(&table, Question(name, .text), textRecord("id=nonsense", "v=1"), Self.eth0)
        #expect(table.counters.invalid == 7)
        #expect(sightings(table).isEmpty)
    }

    @Test("a loopback address from a network is not handed on, one from the loopback is")
    func loopback() {
        var table = opened()
        announce(&table, "a", id: "00000000000000aa", host: "h", addresses: [[127, 0, 0, 1]], on: Self.eth0)
        #expect(sightings(table).isEmpty)
        announce(
            &table, "b", id: "00000000000000bb", host: "i", addresses: [[127, 0, 0, 1]],
            on: Link(interface: 1, overIPv6: false))
        #expect(sightings(table).map(\.idPrefix) == ["00000000000000bb"])
    }

    @Test("a flood of instances and addresses is bounded, and those who were there keep their place")
    func flood() {
        var table = opened()
        announce(&table, "first", id: "00000000000000aa", host: "h", addresses: [[10, 0, 0, 2]], on: Self.eth0)
        for number in 0..<400 {
            let name = labels("flood \(number)", "_qnode", "_tcp", "local")
            table.apply(
                RecordChange(
                    question: Question(Self.type, .pointer), link: Self.eth0, rdata: wire(name), appeared: true))
        }
        let asked = table.nextQuestions().ask.count
        #expect(asked + 5 <= 1024)
        #expect(table.counters.surplus > 0)
        for number in 0..<100 {
            say(&table, Question(labels("h", "local"), .address4), [10, 0, 1, UInt8(number)], Self.eth0)
        }
        #expect(sightings(table).first?.endpoints.count == Limits.endpointsPerPeer)
        #expect(sightings(table).map(\.instance) == ["first"])
    }
}
