import Model
import Storage
import Testing

@testable import Gateway

@Suite struct TailFrameTests {
    private static let slot = ChunkSlot(
        author: TestNode.id(0xaa), session: SessionID(high: 1, low: 2), stream: .data, index: 7)
    private static let at = ClockPair(realtime: 1_700_000_000_123_456_789, boottime: 5)
    private static let piece = CopyPiece(
        slot: slot, offset: 12, bytes: Array("1,2\n\n{\"frame\":\"dropped\"}\n\r\n".utf8) + [0, 0xff, 10], rows: 2,
        firstRow: 40, first: at, last: ClockPair(realtime: .max, boottime: .min))
    private static let frames: [TailFrame] = [
        .heartbeat, .session(fact: Array("{\"kind\":\"session\"}".utf8)), .commit(piece, left: 3),
        .dropped(slot), .beyond(slot, length: 99), .sealed(slot, fact: Array("{\"kind\":\"chunk\"}".utf8)), .caughtUp,
        .heartbeat,
    ]

    @Test("frames are the same whatever pieces they come in: split at every byte, and byte by byte")
    func splits() throws {
        let bytes = TailFrameWriter.bytes(Self.frames)
        for split in 0...bytes.count {
            var parser = TailFrameParser()
            #expect(try parser.consume(Array(bytes[..<split])) + parser.consume(Array(bytes[split...])) == Self.frames)
        }
        var parser = TailFrameParser()
        #expect(try bytes.flatMap { try parser.consume([$0]) } == Self.frames)
    }

    @Test("whichever bit of a frame's bytes is wrong, nothing of it is given")
    func corrupt() throws {
        let frame = TailFrameWriter.bytes([.commit(Self.piece, left: 0)])
        let body = frame.count - Self.piece.bytes.count
        for position in body..<frame.count {
            for bit in 0..<8 {
                var wrong = frame
                wrong[position] ^= 1 << UInt8(bit)
                var parser = TailFrameParser()
                #expect(throws: TailFrameParser.Failure.corrupt) { try parser.consume(wrong) }
            }
        }
        // In the line, where it does no more than make another frame of it, the checksum is of the bytes alone.
        for position in 0..<body {
            for bit in 0..<8 {
                var wrong = frame
                wrong[position] ^= 1 << UInt8(bit)
                var parser = TailFrameParser()
                guard let frames = try? parser.consume(wrong) else { continue }
                for case .commit(let piece, _) in frames { #expect(piece.bytes == Self.piece.bytes) }
            }
        }
    }

    @Test(
        "what is no frame ends the tail, before memory is taken for it",
        arguments: [
            String(repeating: "x", count: Limits.tailLineBytes + 1), "\n", "{}\n", "[]\n", "null\n",
            "{\"frame\":\"commit\"}\n", "{\"frame\":\"commit\",\"length\":-1}\n",
            "{\"frame\":\"commit\",\"length\":9223372036854775807}\n", "{\"frame\":\"commit\",\"length\":1e300}\n",
            "{\"frame\":\"later\",\"length\":1000000}\n", "{\"frame\":\"sealed\",\"length\":70000}\n",
            "{\"frame\":\"session\"}\n", "{\"frame\":\"sealed\"}\n", "{\"frame\":\"dropped\",\"author\":\"x\"}\n",
            "{\"frame\":\"session\",\"length\":1,\"crc32c\":\"zz\"}\nx", "{\"frame\":\"session\",\"length\":1}\nx",
        ])
    func hostile(_ text: String) {
        var parser = TailFrameParser()
        #expect(throws: TailFrameParser.Failure.self) { try parser.consume(Array(text.utf8)) }
    }

    @Test(
        "numbers that no chunk has are refused",
        arguments: [
            ("\"offset\":12", "\"offset\":-1"), ("\"offset\":12", "\"offset\":9223372036854775807"),
            ("\"rows\":2", "\"rows\":-2"), ("\"first_row\":40", "\"first_row\":-1"), ("\"index\":7", "\"index\":-7"),
            ("\"index\":7", "\"index\":9223372036854775807"), ("\"stream\":\"data\"", "\"stream\":\"../data\""),
            ("\"boottime\":\"5\"", "\"boottime\":\"x\""),
        ])
    func numbers(_ good: String, _ bad: String) throws {
        let frame = TailFrameWriter.bytes([.commit(Self.piece, left: 0)])
        let line = String(decoding: frame.dropLast(Self.piece.bytes.count), as: UTF8.self)
        #expect(line.contains(good))
        var parser = TailFrameParser()
        let wrong = Array(line.replacing(good, with: bad).utf8) + Self.piece.bytes
        #expect(throws: TailFrameParser.Failure.malformed) { try parser.consume(wrong) }
    }

    @Test("a frame of a later release is passed over, bytes and all")
    func later() throws {
        var parser = TailFrameParser()
        let later = Array("{\"frame\":\"later\",\"length\":5,\"crc32c\":\"\(crc("a\nb\nc"))\"}\na\nb\nc".utf8)
        #expect(try parser.consume(later + TailFrameWriter.bytes([.heartbeat])) == [.heartbeat])
    }

    private func crc(_ text: String) -> String {
        let line = TailFrameWriter.bytes([.session(fact: Array(text.utf8))])
        let head = String(decoding: line, as: UTF8.self)
        return String(head.split(separator: "\"crc32c\":\"")[1].prefix(8))
    }
}
