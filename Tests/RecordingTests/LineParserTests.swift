import Model
import Testing

@testable import Recording

private func parse(_ text: String) throws(LineRejection) -> QSeriesSample {
    try QSeriesLineParser.parse(Array(text.utf8)[...])
}

private func rejection(of text: String) -> LineRejection? {
    do throws(LineRejection) {
        _ = try parse(text)
        return nil
    } catch {
        return error
    }
}

@Suite struct LineParserTests {
    @Test(
        "samples from independent places keep their digits",
        arguments: [
            (".013016, 16.06, 6.137", QSeriesSample(value: ".013016", temperature: "16.06", voltage: "6.137")),
            ("866.876, 12.74, 7.494", QSeriesSample(value: "866.876", temperature: "12.74", voltage: "7.494")),
            (
                "$ME, 445.969, 16.89, 14.499",
                QSeriesSample(preamble: "$ME, ", value: "445.969", temperature: "16.89", voltage: "14.499")
            ),
            (
                "$LITE123.456789, 21.34, 12.345",
                QSeriesSample(preamble: "$LITE", value: "123.456789", temperature: "21.34", voltage: "12.345")
            ),
            ("0.01016, 25.19, 7.494", QSeriesSample(value: "0.01016", temperature: "25.19", voltage: "7.494")),
            ("-0.00012, -1.50, 7.494", QSeriesSample(value: "-0.00012", temperature: "-1.50", voltage: "7.494")),
            ("-.5", QSeriesSample(value: "-.5")), ("25.60, 25.19", QSeriesSample(value: "25.60", temperature: "25.19")),
            ("25.60, 7.494", QSeriesSample(value: "25.60", voltage: "7.494")),
            ("$LITE-0.5, 25.19", QSeriesSample(preamble: "$LITE", value: "-0.5", temperature: "25.19")),
            (
                "A,0.01016, 25.19, 7.494",
                QSeriesSample(tag: "A", value: "0.01016", temperature: "25.19", voltage: "7.494")
            ),
            ("F,-.01", QSeriesSample(tag: "F", value: "-.01")),
        ])
    func fixtures(_ line: String, _ sample: QSeriesSample) throws {
        #expect(try parse(line) == sample)
    }

    @Test(
        "what is no sample is refused, with the reason",
        arguments: [
            ("", .blank), ("0.01016, 25.19, 7.494, 7799.0", .fields), ("1.0, 125.0, 4.003, 7799.0", .fields),
            ("0.01016,25.19,7.494", .number), ("0.01016, 25.1, 7.494", .number), ("0.01016, 25.19, 7.49", .number),
            ("16, 25.19, 7.494", .number), ("0.123456789", .number), ("0.01016, 25.190.01016, 25.19, 7.494", .fields),
            ("0.01016, 25.19, 7.4940.01016, 25.19, 7.494", .fields), ("00.01016, 25.19, 7.494", .number),
            ("0.0.1", .number), ("--0.1", .number), ("Calfactor: 1.0", .number),
            ("ADC sample rate 125, gain 1", .number),
            ("Biospherical Instruments Inc: Digital Engine Vers 4.003", .number), ("\u{7f}0.1", .garbage),
            ("0.1\u{e9}", .garbage), ("0.1\t", .garbage), ("$ME", .number), (", 0.1", .number),
            ("0.01016, , 7.494", .number), ("0.01016, 25.19, ", .number),
            (String(repeating: "1", count: 97), .overlong),
        ] as [(String, LineRejection)])
    func refusals(_ line: String, _ reason: LineRejection) {
        #expect(rejection(of: line) == reason)
    }

    @Test("no line that is cut short at either end is taken for the whole sample")
    func cuts() throws {
        for line in ["0.01016, 25.19, 7.494", "866.876, 12.74, 7.494", "$ME, 445.969, 16.89, 14.499"] {
            let whole = try parse(line)
            for length in 0..<line.count {
                var policy = SampleShapePolicy()
                _ = policy.admits(whole.shape)
                _ = policy.admits(whole.shape)
                guard let cut = try? parse(String(line.prefix(length))) else { continue }
                let isAdmitted = policy.admits(cut.shape)
                #expect(!isAdmitted, "\(line.prefix(length))")
            }
        }
    }

    @Test("the converter's lattice holds what the converter printed, and not a flipped digit")
    func lattice() throws {
        #expect(QSeriesLattice.contains(try parse("0.01016, 25.19, 7.494")))
        #expect(QSeriesLattice.contains(try parse("866.876, 12.74, 7.494")))
        #expect(QSeriesLattice.contains(try parse("445.969, 16.89, 14.499")))
        #expect(!QSeriesLattice.contains(try parse("0.01016, 25.17, 7.494")))
        #expect(!QSeriesLattice.contains(try parse("0.01016, 25.19, 7.495")))
    }
}

@Suite struct LineFramerTests {
    private let stream = Array("0.01016, 25.19, 7.494\r\n\r\n.013016, 16.06, 6.137\n$ME, 445.969\r\r\nrest".utf8)

    @Test("lines are the same wherever the bytes are split")
    func everySplit() {
        var whole = LineFramer()
        let expected = whole.append(stream) + [whole.finish()].compactMap { $0 }
        #expect(expected.count == 5)
        #expect(expected.last == LineFramer.Line(bytes: Array("rest".utf8), isWhole: false))
        for first in 0...stream.count {
            for second in first...stream.count {
                var framer = LineFramer()
                var lines = framer.append(Array(stream[..<first]))
                lines += framer.append(Array(stream[first..<second]))
                lines += framer.append(Array(stream[second...]))
                lines += [framer.finish()].compactMap { $0 }
                #expect(lines == expected)
            }
        }
    }

    @Test("an overlong line comes in pieces that are no lines, and the next line is whole again")
    func overlong() {
        for limit in 1...12 {
            var framer = LineFramer(limit: limit)
            let lines = framer.append(Array("0123456789ab\n".utf8)) + framer.append(Array("x\n".utf8))
            #expect(lines.flatMap(\.bytes) == Array("0123456789ab\nx\n".utf8))
            #expect(lines.allSatisfy { $0.bytes.count <= limit })
            #expect(lines.filter(\.isWhole).map(\.bytes) == (limit >= 2 ? [Array("x\n".utf8)] : []))
        }
    }

    @Test("every byte of any stream comes out once and in order")
    func nothingIsLost() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            let bytes = (0..<300).map { _ in [0x0a, 0x0d, 0x41, 0x00, 0xff].randomElement(using: &random)! as UInt8 }
            var framer = LineFramer(limit: Int.random(in: 1...40, using: &random))
            var out: [UInt8] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...rest.count, using: &random)
                out += framer.append(Array(rest.prefix(count))).flatMap(\.bytes)
                rest = rest.dropFirst(count)
            }
            out += framer.finish()?.bytes ?? []
            #expect(out == bytes)
        }
    }
}
