import Testing

@testable import Node

/// A refusal is one sentence: something is said, on one line, without a full stop that would begin another.
func isOneSentence(_ text: String) -> Bool {
    !text.isEmpty && !text.contains("\n") && !text.hasSuffix(".") && !text.contains(". ")
        && text.unicodeScalars.allSatisfy { $0.value >= 32 }
}

@Suite struct QuantityTests {
    @Test(
        "a duration is a number and a unit, or plain seconds",
        arguments: [
            ("200ms", Duration.milliseconds(200)), ("60s", .seconds(60)), ("5m", .seconds(300)), ("1h", .seconds(3600)),
            ("7", Duration.seconds(7)), ("0", .zero), ("0.5s", .milliseconds(500)), ("1.5h", .seconds(5400)),
            ("50us", .microseconds(50)), ("0.000000001", .nanoseconds(1)), ("000060s", .seconds(60)),
            ("9223372036.854775807", .nanoseconds(Int64.max)),
        ])
    func durations(_ text: String, _ value: Duration) throws { #expect(try Quantity.duration(text) == value) }

    @Test(
        "what is no duration is refused in one sentence",
        arguments: [
            "", " ", "s", "-1s", "+1s", "1 s", "1S", "1d", "ms", "1.", ".5s", "1.2.3s", "1e3", "0x10", "fast", "1s ",
            "１s",
            "9223372036.854775808", "99999999999999999999h", String(repeating: "9", count: 10_000), "1.0000000000001us",
            "∞", "\u{1B}[31m", "1\n2",
        ])
    func badDurations(_ text: String) {
        let error = #expect(throws: ValueError.self) { try Quantity.duration(text) }
        #expect(isOneSentence(error?.description ?? ""))
        #expect((error?.description.utf8.count ?? 0) < 400)
    }

    @Test(
        "KB is 1000 bytes and KiB is 1024",
        arguments: [
            ("5MB", 5_000_000), ("100MiB", 104_857_600), ("1KB", 1000), ("1kB", 1000), ("1KiB", 1024), ("17", 17),
            ("17B", 17),
            ("1.5GB", 1_500_000_000), ("0.5KiB", 512), ("1.123456789TB", 1_123_456_789_000), ("2GiB", 2_147_483_648),
            ("9223372036854775807", Int64.max), ("0", 0),
        ])
    func sizes(_ text: String, _ value: Int64) throws { #expect(try Quantity.size(text) == value) }

    @Test(
        "what is no size is refused in one sentence",
        arguments: [
            "", "MB", "-5MB", "5M", "5mb", "5 MB", "5MBit", "1.5B", "0.3KiB", "9223372036854775808", "9300000TB",
            "340282366920938463463374607431768211456", "5MB/s", "five", "5МB",
            String(repeating: "1", count: 5000) + "MB",
        ])
    func badSizes(_ text: String) {
        let error = #expect(throws: ValueError.self) { try Quantity.size(text) }
        #expect(isOneSentence(error?.description ?? ""))
    }

    @Test("a rate is a size a second, or off")
    func rates() throws {
        #expect(try Quantity.rate("500KiB/s") == 512_000)
        #expect(try Quantity.rate("1MB/s") == 1_000_000)
        #expect(try Quantity.rate("off") == nil)
    }

    @Test(
        "what is no rate is refused in one sentence",
        arguments: ["fast", "500KiB", "0/s", "/s", "-1KB/s", "5/s/s", "OFF", ""])
    func badRates(_ text: String) {
        let error = #expect(throws: ValueError.self) { try Quantity.rate(text) }
        #expect(isOneSentence(error?.description ?? ""))
    }

    @Test("an error about a rate shows a good one")
    func example() {
        let error = #expect(throws: ValueError.self) { try Quantity.rate("fast") }
        #expect(error?.description == #""fast" is not a rate; write for example 500KiB/s, or off"#)
    }

    @Test("what is printed is read back as the same value", arguments: 0..<200)
    func roundTrip(seed: Int) throws {
        var random = SystemRandomNumberGenerator()
        let bytes = Int64.random(in: 0 ... .max >> (seed % 63), using: &random)
        #expect(try Quantity.size(Quantity.text(bytes: bytes)) == bytes)
        let duration = Duration.microseconds(Int64.random(in: 0...1 << 50, using: &random) >> (seed % 50))
        #expect(try Quantity.duration(Quantity.text(duration)) == duration)
    }

    @Test("printing takes the unit a person would")
    func printing() {
        #expect(Quantity.text(.seconds(90)) == "90s")
        #expect(Quantity.text(.milliseconds(200)) == "200ms")
        #expect(Quantity.text(.seconds(3600)) == "1h")
        #expect(Quantity.text(bytes: 5_000_000) == "5MB")
        #expect(Quantity.text(bytes: 1 << 30) == "1GiB")
        #expect(Quantity.text(bytes: 1024) == "1KiB")
    }
}
