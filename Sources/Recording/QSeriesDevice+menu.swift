extension QSeriesDevice {
    /// 1.4 kB, as long as the true one; only the letters are known.
    private static let menuText = [
        "", "                     Main menu of the digital engine", "",
        "  A - Set the number of ADC readings that are averaged before each update",
        "  B - Set the baud rate of the serial port (takes effect after the restart)",
        "  C - Set the calibration factor and the units that go with it",
        "  D - Set the description of this instrument",
        "  G - Take or type in the dark reading, with the sensor covered",
        "  I - Set the immersion factor for use in water",
        "  M - Set the operating mode, free running or polled with a tag",
        "  P - Set the preamble that is printed before each value",
        "  Q - Set quiet mode, which leaves out the text at power on",
        "  R - Set the rate of the ADC in Hz",
        "  S - Set the serial number of this instrument",
        "  T - Toggle the output of the sensor's temperature with each update",
        "  V - Toggle the output of the input supply voltage with each update",
        "  W - Set the calibration mode: volts less dark, in air, in water, or plain volts",
        "  Z - Restore the settings of the factory (asks before it does so)",
        "  ^ - Dump all settings as one line of comma separated values",
        "  X - Leave this menu and restart the program with the settings above", "",
        "Settings are kept when the power is off.  Letters are taken in upper case only.",
        "Commands that ask for a number wait for it, and for the carriage return after it.", "",
    ]

    /// One second, the menu, the prompt.
    mutating func showMenu(at now: Int64? = nil, after delay: Int64 = 0) {
        phase = .menu(letter: nil)
        let from = now ?? script.last?.at ?? 0
        say(Self.menuText + [QSeriesDialogue.prompt], from: from, after: Self.second + delay)
    }

    mutating func typed(_ byte: UInt8, at now: Int64) {
        switch phase {
        case .menu(let letter): choose(byte, after: letter, at: now)
        case .averagingPrompt(let text):
            guard let line = Self.line(text, byte) else { return phase = .averagingPrompt(text.appending(byte)) }
            setAveraging(line, at: now)
        case .ratePrompt(let text):
            guard let line = Self.line(text, byte) else { return phase = .ratePrompt(text.appending(byte)) }
            setRate(line, at: now)
        case .modePrompt: setMode(byte, at: now)
        case .tagPrompt:
            let tag = Character(Unicode.Scalar(byte))
            if ("A"..."F").contains(tag) {
                (setup.tag, setup.isPolled) = (tag, true)
            } else {
                say([" Bad TAG "], from: now)
            }
            showMenu(at: now)
        case .sampling, .polled, .silent: break
        }
    }

    /// nil until the line's CR; only the tail of an endless one is kept.
    private static func line(_ text: String, _ byte: UInt8) -> String? { byte == 0x0d ? text : nil }

    private mutating func choose(_ byte: UInt8, after letter: UInt8?, at now: Int64) {
        switch (letter, byte) {
        case (UInt8(ascii: "A"), 0x0d):
            phase = .averagingPrompt("")
            say(
                [
                    "The ADC readings are averaged before each update.", "A larger number is slower and less noisy.",
                    "Enter # readings to average before update (1-65535): ",
                ], from: now, promptLast: true)
        case (UInt8(ascii: "R"), 0x0d):
            phase = .ratePrompt("")
            say(
                [
                    "Enter ADC rate (4, 8, 16, 33, 62, 125, 250* Hz) ",
                    " *250Hz is at reduced resolution     ---- Enter selection: ",
                ], from: now, promptLast: true)
        case (_, UInt8(ascii: "M")):
            phase = .modePrompt(until: now + 20 * Self.second)
            say(
                [
                    "Set operating mode.  Mode 0 is freerun, 1 is polled.  Polled require a TAG to be defined",
                    "Enter the operating mode number: ",
                ], from: now, promptLast: true)
        case (_, UInt8(ascii: "^")):
            say([dumpLine], from: now)
            showMenu(at: now)
        case (_, UInt8(ascii: "X")):
            let from = now
            reboot(at: from)
            script.insert((from + Self.second / 100, .text(Array("Rebooting program\r\n".utf8))), at: 0)
        case (nil, 0x0d): break
        case (_, 0x0d), (_, 0x1b), (_, UInt8(ascii: "?")): showMenu(at: now)
        default: phase = .menu(letter: byte)
        }
    }

    private mutating func setAveraging(_ text: String, at now: Int64) {
        let number = Int(text) ?? 0
        if number < 1 || number > 65535 || setup.refusesAveraging {
            say(["****Invalid number, averaging set to 12.  Command ignored ****"], from: now)
            return showMenu(at: now, after: 4 * Self.second)
        }
        setup.averaging = number
        say(["\(number) was entered", "", "ADC set to averaging \(number)"], from: now)
        showMenu(at: now)
    }

    private mutating func setRate(_ text: String, at now: Int64) {
        guard let rate = Int(text), QSeriesSettings.rates.contains(rate) else {
            say(["Invalid rate!!! Command is ignored."], from: now)
            return showMenu(at: now, after: 5 * Self.second)
        }
        setup.rate = rate
        say(["", "ADC rate set to \(rate)"], from: now)
        showMenu(at: now)
    }

    private mutating func setMode(_ byte: UInt8, at now: Int64) {
        switch byte {
        case _ where setup.isConfused:
            say(["I am confused"], from: now)
            showMenu(at: now)
        case UInt8(ascii: "0"):
            setup.isPolled = false
            say(["0"], from: now)
            showMenu(at: now, after: 9 * Self.second)
        case UInt8(ascii: "1"):
            phase = .tagPrompt(until: now + 20 * Self.second)
            say(
                [
                    "Enter the single character that will be the tag used in polling (A-F) UPPER case",
                    "Note that each sensor on a line needs a tag of its own : ",
                ], from: now, promptLast: true)
        default:
            say(["I am confused"], from: now)
            showMenu(at: now)
        }
    }

    private var dumpLine: String {
        let fields = [
            "\(setup.averaging)", "\(setup.baud)", "1.0000", setup.description, "E", setup.firmware, "G", "H",
            setup.serial, "1.000", "-0.000012", "7.494", setup.isPolled ? "1" : "0", "\(setup.tag)", setup.preamble,
            setup.printsTemperature ? "1" : "0", "\(setup.rate)", "S", "25.19", "volts", "V", "A",
        ]
        return fields.joined(separator: ",")
    }
}

extension String {
    fileprivate func appending(_ byte: UInt8) -> String {
        String((self + String(Unicode.Scalar(byte))).suffix(16))
    }
}
