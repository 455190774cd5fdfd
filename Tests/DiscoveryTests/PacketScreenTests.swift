import Testing

@testable import Discovery

@Suite struct PacketScreenTests {
    private func record(_ name: [UInt8], _ kind: UInt8, _ rdata: [UInt8]) -> [UInt8] {
        name + [0, kind, 0, 1, 0, 0, 0, 120, 0, UInt8(rdata.count)] + rdata
    }

    private func message(questions: UInt8, answers: UInt8, _ body: [UInt8]...) -> [UInt8] {
        [0, 0, 0x84, 0, 0, questions, 0, answers, 0, 0, 0, 0] + body.joined()
    }

    private let name = wire(labels("alpha", "_qnode", "_tcp", "local"))

    @Test("a whole message passes, and no part of it does")
    func whole() {
        let packet = message(
            questions: 1, answers: 2, name, [0, 12, 0, 1], record([0xc0, 12], 33, [1, 2, 3]), record(name, 16, []))
        #expect(PacketScreen.isBearable(packet))
        for length in 0..<packet.count { #expect(!PacketScreen.isBearable(packet[..<length])) }
    }

    @Test("a message with an alias in any place does not pass")
    func aliases() {
        for kind in [5, 39] as [UInt8] {
            #expect(!PacketScreen.isBearable(message(questions: 0, answers: 1, record(name, kind, name))))
            #expect(
                !PacketScreen.isBearable(
                    message(questions: 0, answers: 2, record(name, 1, [10, 0, 0, 1]), record([0xc0, 12], kind, name))))
        }
        #expect(PacketScreen.isBearable(message(questions: 0, answers: 1, record(name, 1, [10, 0, 0, 1]))))
    }

    @Test("no bytes are more than refused")
    func hostile() {
        var generator = Seeded(state: 3)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...60, using: &generator)).map { _ in
                UInt8.random(in: 0 ... .max, using: &generator)
            }
            _ = PacketScreen.isBearable(bytes)
        }
    }
}
