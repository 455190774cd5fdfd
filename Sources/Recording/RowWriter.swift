package import Model

/// Spells rows as they stand in chunks. Formats: `Docs/Storage.md`, "Rows".
package struct RowWriter: Sendable {
    package let format: StreamDescription.Format
    /// Samples, or lines that are not understood here.
    package let isText: Bool

    package init(format: StreamDescription.Format, isText: Bool) {
        self.format = format
        self.isText = isText
    }

    package var dataStream: StreamDescription {
        let columns =
            isText ? ["timestamp", "source_id", "line"] : ["timestamp", "sensor_id", "mode", "value", "TempC", "Vin"]
        return StreamDescription(name: .data, format: format, columns: columns)
    }

    package static let rawStream = StreamDescription(
        name: .raw, format: .jsonl, columns: ["row", "realtime", "boottime", "boot_id", "line", "line_base64"])

    /// A moment as rows spell it. Lines that arrive together share theirs, so it is kept from row to row.
    package struct Stamp: Sendable {
        let at: ClockReading
        let timestamp: String
        let raw: String

        package init(_ at: ClockReading) {
            self.at = at
            timestamp = Timestamp.text(at.realtime, suffix: "+00:00")
            raw = "\"realtime\":\"\(at.realtime)\",\"boottime\":\"\(at.boottime)\",\"boot_id\":\"\(at.bootID)\","
        }
    }

    /// A row of stream `data`; nothing for a line that is none.
    package func appendRow(_ line: ReceivedLine, _ stamp: Stamp, sensorID: String, to bytes: inout [UInt8]) {
        let timestamp = stamp.timestamp
        switch (line.content, format) {
        case (.rejected, _): break
        case (.sample(let sample), .csv):
            bytes += timestamp.utf8
            let fields = [sensorID, sample.mode, sample.value, sample.temperature ?? "", sample.voltage ?? ""]
            for field in fields {
                bytes.append(UInt8(ascii: ","))
                Self.appendCSV(field, to: &bytes)
            }
            bytes.append(UInt8(ascii: "\n"))
        case (.sample(let sample), .jsonl):
            bytes += "{\"timestamp\":\"\(timestamp)\",\"sensor_id\":".utf8
            Self.appendJSON(sensorID, to: &bytes)
            bytes += ",\"mode\":\"\(sample.mode)\",\"value\":\(Self.number(sample.value))".utf8
            bytes += ",\"TempC\":\(Self.number(sample.temperature)),\"Vin\":\(Self.number(sample.voltage))}\n".utf8
        case (.text, .csv):
            bytes += timestamp.utf8
            for field in [sensorID, Self.text(line)] {
                bytes.append(UInt8(ascii: ","))
                Self.appendCSV(field, to: &bytes)
            }
            bytes.append(UInt8(ascii: "\n"))
        case (.text, .jsonl):
            bytes += "{\"timestamp\":\"\(timestamp)\",\"source_id\":".utf8
            Self.appendJSON(sensorID, to: &bytes)
            bytes += ",\"line\":".utf8
            Self.appendJSON(Self.text(line), to: &bytes)
            bytes += "}\n".utf8
        }
    }

    /// A row of stream `raw`: the line with its end, byte for byte. What is no UTF-8 stands in base64 instead, under
    /// another name.
    package static func appendRaw(_ line: ReceivedLine, _ stamp: Stamp, row: Int64?, to bytes: inout [UInt8]) {
        bytes += "{\"row\":\(row.map(String.init) ?? "null"),".utf8
        bytes += stamp.raw.utf8
        if let text = String(validating: line.bytes, as: UTF8.self) {
            bytes += "\"line\":".utf8
            appendJSON(text, to: &bytes)
        } else {
            bytes += "\"line_base64\":\"\(Base64.text(line.bytes))\"".utf8
        }
        bytes += "}\n".utf8
    }

    /// Without its end; bytes that are no UTF-8 become U+FFFD, since the raw stream has them as they were.
    private static func text(_ line: ReceivedLine) -> String {
        String(decoding: LineFramer.Line(bytes: line.bytes, isWhole: true).content, as: UTF8.self)
    }

    /// The sensor's digits as JSON allows them: `.013` becomes `0.013`.
    private static func number(_ text: String?) -> String {
        guard let text else { return "null" }
        if text.hasPrefix(".") { return "0\(text)" }
        return text.hasPrefix("-.") ? "-0\(text.dropFirst())" : text
    }

    /// RFC 4180: quoted where it holds a comma, a quote or a line's end.
    static func appendCSV(_ field: String, to bytes: inout [UInt8]) {
        let special: Set<UInt8> = [UInt8(ascii: ","), UInt8(ascii: "\""), 0x0a, 0x0d]
        guard field.utf8.contains(where: special.contains) else {
            bytes += field.utf8
            return
        }
        bytes.append(UInt8(ascii: "\""))
        for byte in field.utf8 {
            if byte == UInt8(ascii: "\"") { bytes.append(byte) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    static func appendJSON(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0a: bytes += "\\n".utf8
            case 0x0d: bytes += "\\r".utf8
            case 0..<0x20, 0x7f: bytes += "\\u00\(Hex.string([byte]))".utf8
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

/// Base 64 with padding (RFC 4648).
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            word <<= UInt32(3 - group.count) * 8
            for position in 0..<4 {
                let digit = Int(word >> UInt32(18 - 6 * position)) & 63
                text.append(position <= group.count ? alphabet[digit] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
