internal import Model
internal import Reactor
internal import Replication
internal import Storage

/// Turns the bytes of a tail into frames; nothing of a frame is given before all of it is there and its checksum is
/// right. Holds no socket and no clock.
struct TailFrameParser: Sendable {
    enum Failure: Error, Hashable, Sendable {
        case lineTooLong(limit: Int)
        case bodyTooLong(limit: Int)
        /// A line that is none of a frame.
        case malformed
        /// The bytes do not have their checksum.
        case corrupt
    }

    private var line: [UInt8] = []
    /// The frame whose bytes are awaited, and those that came.
    private var open: TailFrameForm?
    private var body: [UInt8] = []
    private var missing = 0

    /// The frames that `bytes` complete. After an error the tail is to be closed.
    mutating func consume(_ bytes: [UInt8]) throws(Failure) -> [TailFrame] {
        var frames: [TailFrame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            if let form = open {
                let part = rest.prefix(missing)
                body += part
                missing -= part.count
                rest = rest[part.endIndex...]
                if missing == 0 { try finish(form, &frames) }
                continue
            }
            let part = rest.prefix { $0 != UInt8(ascii: "\n") }
            guard line.count + part.count <= Limits.tailLineBytes else {
                throw .lineTooLong(limit: Limits.tailLineBytes)
            }
            line += part
            rest = rest[part.endIndex...]
            guard rest.popFirst() != nil else { break }
            try begin(&frames)
        }
        return frames
    }

    private mutating func begin(_ frames: inout [TailFrame]) throws(Failure) {
        defer { line.removeAll(keepingCapacity: true) }
        let form: TailFrameForm
        do { form = try WireJSON.decode(TailFrameForm.self, from: line) } catch { throw .malformed }
        let limit =
            switch form.frame {
            case "session", "sealed": Limits.factBytes
            default: Limits.tailFrameBytes
            }
        let length = form.length ?? 0
        guard length >= 0 else { throw .malformed }
        guard length <= Int64(limit) else { throw .bodyTooLong(limit: limit) }
        open = form
        missing = Int(length)
        body.reserveCapacity(missing)
        if missing == 0 { try finish(form, &frames) }
    }

    private mutating func finish(_ form: TailFrameForm, _ frames: inout [TailFrame]) throws(Failure) {
        let bytes = body
        (open, body) = (nil, [])
        if !bytes.isEmpty {
            guard let text = form.crc32c, let word = Hex.word(Array(text.utf8)), text.utf8.count == 8 else {
                throw .malformed
            }
            guard word == UInt64(Checksum(bytes).value) else { throw .corrupt }
        }
        // Frames of a later release are passed over.
        if let frame = try frame(form, bytes) { frames.append(frame) }
    }

    private func frame(_ form: TailFrameForm, _ bytes: [UInt8]) throws(Failure) -> TailFrame? {
        switch form.frame {
        case "heartbeat": return .heartbeat
        case "caught_up": return .caughtUp
        case "session":
            guard !bytes.isEmpty else { throw .malformed }
            return .session(fact: bytes)
        case "commit": return try commit(form, bytes)
        case "sealed":
            guard !bytes.isEmpty else { throw .malformed }
            return .sealed(try slot(form), fact: bytes)
        case "dropped": return .dropped(try slot(form))
        case "beyond": return .beyond(try slot(form), length: form.offset ?? 0)
        default: return nil
        }
    }

    private func commit(_ form: TailFrameForm, _ bytes: [UInt8]) throws(Failure) -> TailFrame {
        guard let offset = form.offset, let rows = form.rows, let firstRow = form.firstRow, let first = form.first,
            let last = form.last, !bytes.isEmpty, (0...Limits.chunkBytes).contains(offset),
            offset + Int64(bytes.count) <= Limits.chunkBytes, (0...Limits.chunkBytes).contains(rows),
            (0...(1 << 53)).contains(firstRow)
        else { throw .malformed }
        let piece = CopyPiece(
            slot: try slot(form), offset: offset, bytes: bytes, rows: rows, firstRow: firstRow, first: first,
            last: last)
        return .commit(piece, left: max(0, form.left ?? 0))
    }

    private func slot(_ form: TailFrameForm) throws(Failure) -> ChunkSlot {
        guard let author = form.author, let session = form.session, let stream = form.stream, let index = form.index,
            (0...(1 << 40)).contains(index)
        else { throw .malformed }
        return ChunkSlot(author: author, session: session, stream: stream, index: index)
    }
}
