import Model
import Testing

@testable import Node

@Suite struct TerminalTests {
    @Test("a width is counted in columns")
    func width() {
        #expect(TerminalText.width("abc") == 3)
        #expect(TerminalText.width("潜水") == 4)
        #expect(TerminalText.width("e\u{301}é") == 2)
        #expect(TerminalText.width("👩‍🚀") == 2)
        #expect(TerminalText.width("\u{200B}") == 0)
        #expect(TerminalText.width("µ–…") == 3)
    }

    @Test("columns line up whatever the script, and nothing trails")
    func table() {
        var table = TerminalTable([("NAME", .left), ("ROWS", .right), ("NOTE", .left)])
        table.append(["a", "5", ""])
        table.append(["潜水", "1,234", "x"])
        #expect(table.text() == "NAME   ROWS  NOTE\na         5\n潜水  1,234  x\n")
    }

    @Test("a table without titles has no header, and is cut where the terminal ends")
    func cut() {
        var table = TerminalTable([("", .left), ("", .left)])
        table.append(["peer", "a long value"])
        #expect(table.text(limit: 10) == "peer  a l…\n")
    }

    @Test("a cell cannot move the cursor or turn the writing around")
    func safe() {
        var table = TerminalTable([("", .left)])
        table.append(["\u{1B}[2Ja\nb\u{202E}c\u{9B}\u{7F}"])
        #expect(table.text() == "?[2Ja?b?c??\n")
        #expect(TerminalText.safe("潜水 👩‍🚀") == "潜水 👩‍🚀")
    }

    @Test("no escape leaves without a terminal, with NO_COLOR, or on a dumb one")
    func style() {
        func bold(_ isTerminal: Bool, _ environment: [String: String]) -> String {
            TerminalStyle(isTerminal: isTerminal, environment: environment).bold("x")
        }
        #expect(bold(true, ["NO_COLOR": "", "TERM": "xterm"]) == "\u{1B}[1mx\u{1B}[0m")
        #expect(bold(true, ["NO_COLOR": "1"]) == "x")
        #expect(bold(true, ["TERM": "dumb"]) == "x")
        #expect(bold(false, [:]) == "x")
    }

    @Test(
        "bytes have three digits and a unit",
        arguments: [
            (Int64(0), "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1004, "1.00 kB"), (1005, "1.01 kB"),
            (9999, "10.0 kB"),
            (12_345, "12.3 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"), (5_000_000, "5.00 MB"), (-1500, "-1.50 kB"),
            (.max, "9.22 EB"), (.min, "-9.22 EB"),
        ])
    func bytes(_ number: Int64, _ text: String) { #expect(TerminalQuantity.bytes(number) == text) }

    @Test(
        "a duration is told as a person would",
        arguments: [
            (Duration.zero, "0 ns"), (.nanoseconds(830 as Int64), "830 ns"), (.microseconds(12), "12.0 µs"),
            (.milliseconds(200), "200 ms"), (.milliseconds(3404), "3.40 s"), (.milliseconds(59_940), "59.9 s"),
            (.milliseconds(59_950), "1 m 00 s"), (.seconds(125), "2 m 05 s"), (.seconds(3599), "59 m 59 s"),
            (.milliseconds(3_599_600), "1 h 00 m"), (.seconds(11_520), "3 h 12 m"),
            (.seconds(86_400 * 4 + 10_800), "4 d 03 h"),
            (.milliseconds(-5), "-5.00 ms"), (.nanoseconds(Int64.min), "-106751 d 23 h"),
        ])
    func durations(_ duration: Duration, _ text: String) { #expect(TerminalQuantity.duration(duration) == text) }

    @Test("counts are grouped, offsets are signed, rates are per second")
    func others() {
        #expect(TerminalQuantity.count(0) == "0")
        #expect(TerminalQuantity.count(1_234_567) == "1,234,567")
        #expect(TerminalQuantity.count(.min) == "-9,223,372,036,854,775,808")
        #expect(TerminalQuantity.offset(.microseconds(1230)) == "+1.23 ms")
        #expect(TerminalQuantity.offset(.microseconds(-45)) == "-45.0 µs")
        #expect(TerminalQuantity.rate(bytes: 3_000_000, in: .seconds(2)) == "1.50 MB/s")
        #expect(TerminalQuantity.rate(bytes: 1, in: .zero) == "–")
        #expect(TerminalQuantity.rate(bytes: .max, in: .nanoseconds(1)) == "9.00 EB/s")
    }

    @Test("a progress bar tells what is done, how fast, and what is left")
    func progress() {
        let start = MonotonicTime(nanoseconds: 5)
        let bar = ProgressBar("verify", unit: .bytes, startedAt: start)
        #expect(
            bar.text(done: 25_000_000, total: 100_000_000, now: start.advanced(by: .seconds(5)), columns: 100)
                == "verify  [#####>              ]   25 %  25.0 MB of 100 MB  5.00 MB/s  15.0 s left")
        #expect(
            bar.text(done: 0, total: 10, now: start, columns: 100)
                == "verify  [                    ]    0 %  0 B of 10 B")
        #expect(bar.text(done: 10, total: 10, now: start, columns: 100).contains("[####################]  100 %"))
        #expect(bar.text(done: 999, total: 1000, now: start, columns: 100).contains("  99 %"))
        #expect(bar.text(done: 0, total: 0, now: start, columns: 100).contains("100 %"))
        #expect(
            bar.text(done: 5, total: nil, now: start.advanced(by: .seconds(1)), columns: 100) == "verify  5 B  5 B/s")
    }

    @Test("a progress bar survives numbers that make no sense, and fits its line", arguments: [0, 1, 7, 20, 200])
    func hostileProgress(_ columns: Int) {
        let bar = ProgressBar("pull\u{1B}", unit: .items, startedAt: MonotonicTime(nanoseconds: .max))
        for (done, total) in [(Int64.max, Int64(1)), (-5, 10), (1, .max), (.min, .min), (5, -1)] {
            let text = bar.text(done: done, total: total, now: MonotonicTime(nanoseconds: 0), columns: columns)
            #expect(TerminalText.width(text) <= columns)
            let later = ProgressBar("pull", unit: .items, startedAt: MonotonicTime(nanoseconds: 0))
                .text(done: done, total: total, now: MonotonicTime(nanoseconds: .max), columns: columns)
            #expect(TerminalText.width(later) <= columns)
        }
    }
}
