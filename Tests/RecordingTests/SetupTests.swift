import Model
import Testing

@testable import Recording

@Suite struct SetupTests {
    private func visited(
        _ settings: QSeriesSettings, _ setup: QSeriesDevice.Setup = VirtualBench.ramp, seconds: Double = 200
    ) -> VirtualBench {
        var bench = VirtualBench(setup)
        bench.open()
        bench.run(seconds: 20)
        bench.request(settings)
        bench.run(seconds: seconds)
        return bench
    }

    @Test("the dump is read, and the sensor goes on as it was")
    func dump() throws {
        let bench = visited(.unchanged, seconds: 30)
        let configuration = try #require(try bench.results.first?.get())
        #expect(bench.sent == ["\u{1b}", "^", "X"])
        #expect(configuration.describedAs == "QSP-2150, simulated")
        #expect(configuration.dark == "-0.000012" && configuration.immersion == "1.000")
        #expect(configuration.calibrationMode == "A" && configuration.units == "volts")
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.gaps == ["configuration began", "configuration ended"])
        #expect(bench.resets == 1, "a reset that was asked for is no event")
    }

    @Test("averaging, rate, mode and tag are set, with no CR where it would confuse")
    func everything() throws {
        let bench = visited(try QSeriesSettings(averaging: 250, rate: 250, isPolled: true, tag: "C"))
        let configuration = try #require(try bench.results.first?.get())
        #expect(configuration.averaging == 250 && configuration.rate == 250)
        #expect(configuration.isPolled == true && configuration.tag == "C")
        let visit = ["\u{1b}", "A\r", "250\r", "R\r", "250\r", "M", "1", "C", "^", "X", "*CQ000!", ">C*"]
        #expect(Array(bench.sent.prefix(visit.count)) == visit)
        #expect(bench.machine.state == .polled)
        #expect(bench.rows.last?.tag == "C")
        #expect(bench.rowTexts == bench.wire.samples)
    }

    @Test("settings that no sensor has are refused before anything is sent")
    func invalid() {
        for (averaging, rate, tag) in [(0, nil, nil), (65536, nil, nil), (nil, 100, nil), (nil, nil, "G")]
            as [(Int?, Int?, Character?)]
        {
            #expect(throws: QSeriesError.self) { try QSeriesSettings(averaging: averaging, rate: rate, tag: tag) }
        }
    }

    @Test("a refused averaging is an error with the sensor's words, and the sensor goes on")
    func badAveraging() throws {
        var setup = VirtualBench.ramp
        setup.refusesAveraging = true
        let bench = visited(try QSeriesSettings(averaging: 12), setup)
        let refusal = QSeriesError.refused(
            command: "averaging 12", answer: "****Invalid number, averaging set to 12.  Command ignored ****")
        #expect(bench.results == [.failure(refusal)])
        #expect(bench.sent.last == "X")
        #expect(bench.machine.state == .freerun)
    }

    @Test("a sensor that is confused is left, and goes on")
    func confused() throws {
        var setup = VirtualBench.ramp
        setup.isConfused = true
        let bench = visited(try QSeriesSettings(isPolled: false), setup)
        #expect(bench.results == [.failure(.refused(command: "mode 0", answer: "I am confused"))])
        #expect(bench.machine.state == .freerun)
    }

    @Test("a sensor that never shows its menu is an error, and rows go on meanwhile")
    func noMenu() {
        var setup = VirtualBench.ramp
        setup.isDeaf = true
        let bench = visited(.unchanged, setup)
        #expect(bench.results == [.failure(.noMenu)])
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.gaps.isEmpty)
    }

    @Test("a sensor that dies in the middle of a visit ends it in time")
    func diesInVisit() throws {
        for moment in stride(from: 0.1, through: 8, by: 0.7) {
            var bench = VirtualBench()
            bench.open()
            bench.run(seconds: 20)
            bench.request(try QSeriesSettings(averaging: 100, rate: 250, isPolled: true, tag: "B"))
            bench.run(seconds: moment)
            bench.device.setup.isDeaf = true
            bench.run(seconds: 120)
            #expect(bench.results.count == 1, "after \(moment) s")
            #expect(throws: QSeriesError.self, "after \(moment) s") { try bench.results.first?.get() }
        }
    }

    @Test("an adapter that is pulled out in a visit ends it at once")
    func unpluggedInVisit() {
        var bench = VirtualBench()
        bench.open()
        bench.run(seconds: 20)
        bench.request(.unchanged)
        bench.run(seconds: 1)
        bench.unplug(for: 1000)
        #expect(bench.results == [.failure(.disconnected)])
    }

    @Test("one request at a time, and none without a sensor")
    func oneRequest() {
        var bench = VirtualBench()
        bench.request(.unchanged)
        #expect(bench.results == [.failure(.notConnected)])
        bench.open()
        bench.run(seconds: 20)
        bench.request(.unchanged)
        bench.request(.unchanged)
        #expect(bench.results.last == .failure(.busy))
    }

    @Test("with setup asked for at the start, the sensor is set up once, after it was given time")
    func setupMode() throws {
        var bench = VirtualBench(driver: try QSeriesSettings(averaging: 50))
        bench.open()
        bench.run(seconds: 1)
        #expect(bench.sent.isEmpty)
        bench.run(seconds: 120)
        #expect(bench.device.setup.averaging == 50)
        #expect(try bench.results.first?.get().averaging == 50)
        let count = bench.sent.count
        bench.unplug(for: 5)
        bench.run(seconds: 60)
        #expect(bench.sent.count == count)
        #expect(bench.rowTexts == bench.wire.samples)
    }

    @Test("a polled sensor is armed after every reset, then asked once a period")
    func polled() {
        var setup = VirtualBench.ramp
        setup.isPolled = true
        setup.tag = "D"
        var bench = VirtualBench(setup)
        bench.open()
        bench.run(seconds: 60)
        #expect(bench.sent.prefix(2) == ["*DQ000!", ">D*"])
        #expect((50...60).contains(bench.rows.count))
        #expect(bench.rows.allSatisfy { $0.mode == "polled" })
        bench.device.reboot(at: bench.now)
        let before = bench.sent.count
        bench.run(seconds: 30)
        #expect(bench.sent[before...].contains("*DQ000!"))
        #expect(bench.rowTexts == bench.wire.samples)
        #expect(bench.gaps == ["sensor_reset began", "sensor_reset ended"])
    }

    @Test("a polled sensor that was met in mid-life is found by waking it")
    func polledUnknown() {
        var setup = VirtualBench.ramp
        setup.isPolled = true
        var bench = VirtualBench(setup)
        bench.run(seconds: 30)
        bench.open()
        bench.run(seconds: 60)
        #expect(bench.sent.prefix(3) == ["\r\u{1b}", "X", "*AQ000!"])
        #expect(bench.machine.state == .polled)
        #expect(bench.rows.count > 10)
    }
}

@Suite struct ConfigurationTests {
    private let text =
        "125,9600,1.0000,QSP, in water,E,4.003,G,H,serial ######   ,1.000,-0.000012,7.494,1,B,"
        + "$ME, ,1,125,S,25.19,uE,V,C,x"

    @Test("a dump is read, commas in its texts notwithstanding")
    func dump() throws {
        let configuration = try #require(QSeriesConfiguration(dump: text))
        #expect(configuration.describedAs == "QSP, in water")
        #expect(configuration.serial == nil, "a placeholder names no sensor")
        #expect(configuration.dark == "-0.000012")
        #expect(configuration.isPolled == true && configuration.tag == "B")
        #expect(configuration.preamble == "$ME, ")
        #expect(configuration.rate == 125 && configuration.units == "uE" && configuration.calibrationMode == "C")
        #expect(configuration.nominalPeriod == .seconds(1))
    }

    @Test("of a dump that is cut anywhere, what is there is read or nothing is")
    func cutDump() {
        for length in 0...text.count {
            guard let configuration = QSeriesConfiguration(dump: String(text.prefix(length))) else { continue }
            #expect(configuration.averaging == 125 && configuration.firmware == "4.003")
            #expect(configuration.describedAs == "QSP, in water")
        }
        #expect(QSeriesConfiguration(dump: "0.01016, 25.19, 7.494") == nil)
        #expect(QSeriesConfiguration(dump: String(repeating: ",", count: 4000)) == nil)
        #expect(QSeriesConfiguration(dump: "0,9600,1,a,E,4,G,H,s,1,1") == nil)
    }
}
