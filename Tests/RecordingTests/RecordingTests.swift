import Model
import Testing

@testable import Recording

@Suite(.serialized, .timeLimit(.minutes(1))) struct FreeRunTests {
    @Test("a sensor that free-runs is recorded as it is, without a byte written to it")
    func freeRun() throws {
        try Bench.run { bench in
            await bench.rows(20)
            let session = try #require(await bench.store.order.first)
            let lines = await bench.store.lines(session, .data)
            let sent = await bench.simulator.wire.samples
            let values = lines.map { $0.split(separator: ",", omittingEmptySubsequences: false) }
            #expect(values.map { $0[3...].joined(separator: ", ") } == Array(sent.prefix(lines.count)))
            #expect(values.allSatisfy { $0.count == 6 && $0[1] == "sim" && $0[2] == "freerun" })
            #expect(values.allSatisfy { $0[0].hasSuffix("+00:00") && $0[0].count == 32 })
            #expect(await bench.driver.status().recoveries == 0)
            #expect(await bench.driver.status().state == .freerun)
        }
    }
}
