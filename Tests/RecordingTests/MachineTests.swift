import Model
import Testing

@testable import Recording

@Suite struct MachineTests {
    @Test("a sensor that free-runs is never written to, and every sample is a row")
    func passive() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 600)
        #expect(bench.sent.isEmpty)
        #expect(bench.rowTexts == bench.wire.samples)
        #expect((570...585).contains(bench.rows.count), "the period is 1.0338 s, not 1 s: \(bench.rows.count)")
        #expect(bench.gaps.isEmpty)
        #expect(bench.machine.state == .freerun)
    }

    @Test("the banner that passes tells the configuration, and none of it is a row")
    func banner() throws {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 20)
        let configuration = bench.machine.configuration
        #expect(configuration.serial == "QSP2150-00017")
        #expect(configuration.firmware == "4.003")
        #expect(configuration.averaging == 125 && configuration.rate == 125 && configuration.isPolled == false)
        #expect(configuration.calFactor == "1.0000" && configuration.units == "volts")
        #expect(bench.machine.counters.rejected[.banner] == 13)
        #expect(bench.events.contains { if case .configuration = $0 { true } else { false } })
    }

    @Test("every byte that came is among the raw lines, in order", arguments: 1...20)
    func rawIsWhole(_ seed: UInt64) {
        var bench = VirtualBench()
        bench.random = SeededGenerator(seed: seed)
        bench.isSplitting = true
        bench.open()
        bench.run(seconds: 30)
        bench.device.reboot(at: bench.now)
        bench.run(seconds: 30)
        let expected = bench.wire.entries.map(\.line)
        let raw = String(decoding: bench.raw, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(raw.dropLast().map(String.init) == expected)
    }

    @Test("a banner in mid-stream is an event with a gap, and sampling goes on")
    func reset() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 10)
        let before = bench.rows.count
        bench.send(Array("0.01".utf8), .damaged)
        bench.device.reboot(at: bench.now)
        bench.run(seconds: 10)
        #expect(before > 3)
        #expect(bench.resets == 2, "the first banner, and this one")
        #expect(bench.gaps == ["sensor_reset began", "sensor_reset ended"])
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.rows.count > before + 3)
        #expect(bench.sent.isEmpty)
    }

    @Test("a numeric line in the banner is no row, whatever it looks like")
    func numericBannerLine() {
        for text in ["1.0, 125.0, 4.003, 7799.0", "4.003", "0.5, 25.19, 7.494", "$ME, 0.5, 25.19, 7.494"] {
            var bench = VirtualBench()
            bench.open()
            bench.run(seconds: 10)
            let before = bench.rows.count
            bench.send(Array("Biospherical Instruments Inc: Digital Engine Vers 4.003\r\n".utf8), .text)
            bench.send(Array("\(text)\r\n".utf8), .text)
            #expect(bench.rows.count == before, "\(text)")
        }
    }

    @Test("a silent sensor is woken after ten seconds with CR and ESC, and leaves its menu by X")
    func silence() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 20)
        bench.device.fallSilent()
        bench.run(seconds: 9)
        #expect(bench.sent.isEmpty)
        bench.run(seconds: 30)
        #expect(bench.sent == ["\r\u{1b}", "X"])
        #expect(bench.gaps == ["silent began", "silent ended"])
        #expect(bench.machine.state == .freerun)
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.resets == 1, "the resets that the driver made are no events")
    }

    @Test("a sensor that samples slowly is given three of its periods before it is woken")
    func slowSensor() {
        var setup = VirtualBench.ramp
        setup.averaging = 1250
        var bench = VirtualBench(setup)
        bench.open()
        bench.run(seconds: 60)
        #expect(bench.sent.isEmpty)
        bench.device.fallSilent()
        // The last sample is up to one period old.
        bench.run(seconds: 19)
        #expect(bench.sent.isEmpty)
        bench.run(seconds: 12)
        #expect(bench.sent.first == "\r\u{1b}")
    }

    @Test("a sensor that hangs at a prompt is brought back")
    func hang() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 20)
        bench.device.hang()
        bench.run(seconds: 60)
        #expect(bench.machine.state == .freerun)
        #expect(bench.sent.first == "\r\u{1b}" && bench.sent.last == "X")
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.gaps == ["silent began", "silent ended"])
    }

    @Test("a sensor that never answers is tried for ever, less and less often, and each attempt ends")
    func neverAnswers() {
        var setup = VirtualBench.ramp
        setup.isDeaf = true
        var bench = VirtualBench(setup)
        bench.open()
        bench.run(seconds: 20)
        bench.device.fallSilent()
        bench.run(seconds: 3600)
        #expect((15...60).contains(bench.machine.counters.recoveries))
        #expect(bench.gaps == ["silent began"])
        #expect(!bench.sent.contains("X"), "X at a prompt that was not seen could be an answer to another question")
        bench.device.reboot(at: bench.now)
        bench.run(seconds: 30)
        #expect(bench.gaps == ["silent began", "silent ended"])
    }

    @Test("an adapter that is pulled out and put back is one gap, and rows go on")
    func unplug() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 20.5)
        bench.send(Array("0.0123".utf8), .damaged)
        bench.unplug(for: 30)
        bench.run(seconds: 60)
        #expect(bench.gaps == ["unplugged began", "unplugged ended"])
        #expect(bench.machine.state == .freerun)
        #expect(bench.machine.counters.rejected[.partial] == 1)
        #expect(bench.sent.isEmpty)
    }

    @Test("a line that was joined midway is no row, one that came later is")
    func joinedMidway() {
        var bench = VirtualBench()
        bench.open()
        bench.now += 10_000_000
        bench.send(Array(".01016, 25.19, 7.494\r\n0.01017, 25.19, 7.494\r\n".utf8), .damaged)
        #expect(bench.rows.map(\.value) == ["0.01017"])
        var later = VirtualBench()
        later.open()
        later.now += 500_000_000
        later.send(Array("0.01016, 25.19, 7.494\r\n".utf8), .damaged)
        #expect(later.rows.map(\.value) == ["0.01016"])
    }

    @Test("damaged lines are raw only, and the samples around them are rows")
    func damagedLines() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 10)
        let before = bench.rows.count
        for line in [
            "0.01016, 25.19", "0.01016, 25.19, 7.494, 1.0", "0.0\u{fffd}1016, 25.19, 7.494", "16, 25.19, 7.494",
            "0.01016, 25.19, 7.4940.01017, 25.19, 7.494", "0.01", "x0.01016, 25.19, 7.494",
        ] { bench.send(Array("\(line)\r\n".utf8), .damaged) }
        #expect(bench.rows.count == before)
        bench.run(seconds: 10)
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.machine.counters.rejected[.shape] == 3)
    }

    @Test("a preamble is learned from the second line that has it")
    func preamble() {
        for preamble in ["$ME, ", "$LITE"] {
            var setup = VirtualBench.ramp
            setup.preamble = preamble
            var bench = VirtualBench(setup)
            bench.open()
            bench.run(seconds: 20)
            #expect(bench.rowTexts == Array(bench.wire.samples.dropFirst()))
            #expect(bench.rows.allSatisfy { $0.preamble == preamble })
        }
    }

    @Test("numbers off the converter's lattice are counted, not refused")
    func lattice() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 10)
        #expect(bench.machine.counters.offLattice == 0)
        bench.send(Array("0.01016, 25.17, 7.494\r\n".utf8), .damaged)
        #expect(bench.machine.counters.offLattice == 1)
        #expect(bench.rows.last?.temperature == "25.17")
    }

    @Test("the baud rate is found by listening", arguments: [9600, 19200, 115_200, 4800])
    func baud(_ rate: Int) {
        var bench = VirtualBench(baud: nil)
        bench.lineBaud = rate
        bench.open()
        bench.run(seconds: 60)
        #expect(bench.machine.baud == rate)
        #expect(bench.rows.count > 5)
    }

    @Test("quiet mode prints no banner, and its samples are rows")
    func quietMode() {
        var setup = VirtualBench.ramp
        setup.isQuiet = true
        var bench = VirtualBench(setup)
        bench.open()
        bench.run(seconds: 20)
        bench.device.fallSilent()
        bench.run(seconds: 60)
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.machine.state == .freerun)
        #expect(bench.gaps == ["silent began", "silent ended"])
    }

    @Test(
        "with every fault on, every whole sample is a row, once and in order, and no banner or menu is",
        arguments: 1...16)
    func everything(_ seed: UInt64) {
        var bench = VirtualBench()
        bench.faults = QSeriesFaults(kinds: Set(QSeriesFaults.Kind.allCases), probability: 0.1, seed: seed)
        bench.random = SeededGenerator(seed: seed)
        bench.isSplitting = true
        bench.open()
        bench.run(seconds: 1200)
        let comparison = WireComparison(rows: bench.rowTexts, log: bench.wire)
        #expect(comparison.missing.isEmpty, "seed \(seed)")
        #expect(comparison.strange.isEmpty, "seed \(seed)")
        #expect(bench.rows.count > 100, "seed \(seed)")
        #expect(Set(bench.faultCounts.keys) == Set(bench.faults.passing), "seed \(seed)")
    }
}
