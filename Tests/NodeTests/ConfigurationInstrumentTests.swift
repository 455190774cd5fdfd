import Model
import Testing

@testable import Node

@Suite struct ConfigurationInstrumentTests {
    private func instrument(_ arguments: String...) throws -> InstrumentChoice {
        try configuration(["--role", "vehicle"] + arguments).instrument
    }

    @Test("a serial line is auto, off or a device with its rate")
    func serial() throws {
        #expect(try instrument("--serial", "off") == .none)
        #expect(try instrument("--serial", "auto@115200") == .qSeries(.auto(baud: 115_200), sensor: .passive))
        #expect(
            try instrument("--serial", "/dev/serial/by-id/usb-FTDI_a@b/x@19200")
                == .qSeries(
                    .device(SerialDevice(path: "/dev/serial/by-id/usb-FTDI_a@b/x", baud: 19_200)), sensor: .passive))
        #expect(
            try instrument("--serial", "/dev/a@b/tty")
                == .qSeries(.device(SerialDevice(path: "/dev/a@b/tty")), sensor: .passive))
        #expect(
            try instrument("--serial", "./tty")
                == .qSeries(.device(SerialDevice(path: "/some dir/tty")), sensor: .passive))
    }

    @Test(
        "what is no serial line is refused in one sentence",
        arguments: [
            "", "atuo", "auto@", "auto@1", "/dev/ttyUSB0@", "/dev/ttyUSB0@fast", "/dev/ttyUSB0@9601", "/dev/x@-9600",
            "ttyUSB0",
            "@9600", "/dev/a\u{0}b", "/" + String(repeating: "a", count: 5000), "/dev/ttyUSB0@99999999999999999999",
            "AUTO",
        ])
    func badSerial(_ text: String) throws {
        #expect(try refusal(["--role", "vehicle", "--serial", text]).hasPrefix("option --serial: "))
    }

    @Test("a misspelt word is not taken for a device")
    func misspelt() throws {
        #expect(
            try refusal(["--role", "vehicle", "--serial", "atuo"])
                == #"option --serial: "atuo" is not a device's path; did you mean auto?"#)
    }

    @Test("lines come from a tty, a TCP or a UDP port")
    func lines() throws {
        #expect(
            try instrument("--lines-from", "/dev/ttyS0@4800")
                == .lines(.device(SerialDevice(path: "/dev/ttyS0", baud: 4800))))
        #expect(
            try instrument("--source", "lines", "--lines-from", "tcp://gps.local:4001")
                == .lines(.tcp(Endpoint(host: "gps.local", port: 4001))))
        #expect(
            try instrument("--lines-from=udp://[ff02::1%eth0]:10110")
                == .lines(.udp(Endpoint(host: "ff02::1%eth0", port: 10_110))))
        #expect(
            try instrument("--lines-from", "udp://0.0.0.0:10110")
                == .lines(.udp(Endpoint(host: "0.0.0.0", port: 10_110))))
    }

    @Test(
        "what is no source of lines is refused in one sentence",
        arguments: [
            "", "tcp://", "tcp://host", "tcp://host:0", "tcp://host:70000", "tcp://host:+1", "tcp://a b:1",
            "udp://name:1",
            "udp://:1", "udp://300.0.0.1:1", "http://x:1", "host:1", "tcp://user@host:1", "tcp://host:1/path",
        ])
    func badLines(_ text: String) throws {
        #expect(try refusal(["--role", "vehicle", "--lines-from", text]).hasPrefix("option --lines-from: "))
    }

    @Test("a sensor is set up only with what was asked for")
    func setup() throws {
        #expect(try instrument("--sensor", "setup") == .qSeries(.auto(baud: nil), sensor: .setup(SensorSettings())))
        #expect(
            try instrument(
                "--sensor", "setup", "--averaging", "125", "--adc-rate", "250", "--sensor-mode", "polled", "--tag", "C",
                "--simulate")
                == .qSeries(
                    .simulated,
                    sensor: .setup(SensorSettings(averaging: 125, adcRateHz: 250, mode: .polled(tag: "C")))))
        #expect(
            try instrument("--sensor", "setup", "--sensor-mode", "polled")
                == .qSeries(.auto(baud: nil), sensor: .setup(SensorSettings(mode: .polled(tag: "A")))))
        #expect(
            try instrument("--sensor", "setup", "--sensor-mode", "freerun")
                == .qSeries(.auto(baud: nil), sensor: .setup(SensorSettings(mode: .freeRun))))
    }

    @Test(
        "settings that contradict each other are refused, not ignored",
        arguments: [
            (["--averaging", "5"], "option --averaging means nothing without --sensor setup"),
            (["--tag", "A"], "option --tag means nothing without --sensor setup"),
            (["--sensor", "setup", "--tag", "A"], "option --tag means nothing without --sensor-mode polled"),
            (["--source", "lines"], "--source lines needs --lines-from to say where the lines come from"),
            (
                ["--source", "q-series", "--lines-from", "/dev/x"],
                "option --lines-from means nothing with --source q-series"
            ),
            (["--simulate", "--serial", "/dev/x"], "option --serial means nothing with --simulate"),
            (["--lines-from", "/dev/x", "--simulate"], "option --simulate means nothing with --source lines"),
            (["--lines-from", "/dev/x", "--serial", "auto"], "option --serial means nothing with --source lines"),
        ])
    func contradictions(_ arguments: [String], _ text: String) throws {
        #expect(try refusal(["--role", "vehicle"] + arguments) == text)
    }

    @Test(
        "numbers and words of the sensor have their bounds",
        arguments: [
            "--averaging=0", "--averaging=65536", "--averaging=-1", "--averaging=+5",
            "--averaging=99999999999999999999",
            "--averaging=1e3", "--adc-rate=100", "--adc-rate=", "--tag=G", "--tag=a", "--tag=AB", "--sensor-mode=free",
            "--sensor=active", "--sensor-id=a,b", "--sensor-id=", "--sensor-id=a b", "--sensor-id=\u{7F}",
        ])
    func bounds(_ argument: String) throws {
        let name = argument.prefix { $0 != "=" }
        #expect(try refusal(["--role", "vehicle", "--sensor=setup", argument]).hasPrefix("option \(name): "))
    }
}
