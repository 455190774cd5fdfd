internal import CLLHTTP
internal import Model

/// llhttp for one connection: takes bytes as they come and says where heads and bodies are in them. Holds no socket and
/// no clock.
///
/// It stops after each head and after each message, so that what follows is read only when its owner asks. Each message
/// starts with a fresh parser: nothing of one can colour the next.
final class MessageParser {
    enum Kind { case request, response }

    /// What one call has found; `consumed` bytes of the input are done with.
    struct Progress {
        var consumed = 0
        var head: MessageHead?
        /// Where the body's bytes are in the input.
        var body: [Range<Int>] = []
        var isComplete = false
    }

    private enum Stage { case head, body, complete }

    private let kind: Kind
    private let parser = UnsafeMutablePointer<llhttp_t>.allocate(capacity: 1)
    private var stage = Stage.head
    /// The head's bytes so far: what llhttp has taken too kindly is looked at again when it is whole.
    private var raw: [UInt8] = []
    /// The last bytes of a chunked body that were read.
    private var tail: [UInt8] = []
    private var target: [UInt8] = []
    private var method: [UInt8] = []
    private var names: [[UInt8]] = []
    private var values: [[UInt8]] = []
    private var nameIsOpen = false
    private var isChunked = false
    private var bodyBytes: Int64 = 0
    private var consumedInBody: Int64 = 0
    private var progress = Progress()
    private var input: UnsafePointer<CChar>?
    /// Set before a response's head arrives: the answer to HEAD has none of the body that its headers describe.
    var expectsNoBody = false

    init(_ kind: Kind) {
        self.kind = kind
        restart()
    }

    deinit { parser.deallocate() }

    /// Forgets the message that was read, ready for the next.
    func restart() {
        llhttp_init(parser, kind == .request ? HTTP_REQUEST : HTTP_RESPONSE, Self.settings)
        parser.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        stage = .head
        raw.removeAll(keepingCapacity: true)
        target = []
        method = []
        names = []
        values = []
        nameIsOpen = false
        isChunked = false
        tail = []
        bodyBytes = 0
        consumedInBody = 0
        expectsNoBody = false
    }

    /// Whether a message has begun.
    var hasBegun: Bool { stage != .head || !raw.isEmpty }
}

// MARK: - Reading

extension MessageParser {
    /// Reads on in `bytes` from `offset`, until the end of a head, of a message, or of the bytes.
    func read(_ bytes: [UInt8], from offset: Int) throws(MessageFault) -> Progress {
        precondition(stage != .complete, "a message that is complete is followed by restart()")
        progress = Progress()
        return switch stage {
        case .head: try readHead(bytes, from: offset)
        case .body, .complete: try readBody(bytes, from: offset)
        }
    }

    /// The input has ended: whether that completes a message that lasts until then.
    func end() throws(MessageFault) {
        guard stage == .body else { throw .cutShort }
        // What it returns does not tell: our pause at the end of a message looks like an error.
        _ = llhttp_finish(parser)
        guard stage == .complete else { throw .cutShort }
    }

    private func readHead(_ bytes: [UInt8], from offset: Int) throws(MessageFault) -> Progress {
        let end = min(bytes.count, offset + Limits.headBytes - raw.count)
        let used = try execute(bytes, offset..<end)
        raw += bytes[offset..<offset + used]
        progress.consumed = used
        if names.count > Limits.headerCount { throw .tooManyHeaders }
        if stage == .head {
            guard raw.count < Limits.headBytes else {
                throw names.isEmpty && kind == .request ? .targetTooLong : .headTooLarge
            }
            return progress
        }
        progress.head = try finishHead()
        return progress
    }

    private func readBody(_ bytes: [UInt8], from offset: Int) throws(MessageFault) -> Progress {
        let used = try execute(bytes, offset..<bytes.count)
        progress.consumed = used
        consumedInBody += Int64(used)
        guard consumedInBody - bodyBytes <= Int64(Limits.chunkFramingBytes) + 16 * bodyBytes else {
            throw .framingTooLarge
        }
        if isChunked { try checkTail(bytes[offset..<offset + used]) }
        progress.isComplete = stage == .complete
        return progress
    }

    /// llhttp takes a bare LF for the empty line after the last chunk.
    private func checkTail(_ bytes: ArraySlice<UInt8>) throws(MessageFault) {
        tail = Array((tail + bytes.suffix(4)).suffix(4))
        guard stage != .complete || tail == [13, 10, 13, 10] else {
            throw .malformed("its last chunk has no empty line")
        }
    }

    /// Runs llhttp over a part of the input; how many bytes it took.
    private func execute(_ bytes: [UInt8], _ range: Range<Int>) throws(MessageFault) -> Int {
        var code = HPE_OK
        var used = range.count
        bytes.withUnsafeBytes { buffer in
            // An empty read still lets llhttp go on to the end of a message without a body.
            let base = buffer.baseAddress ?? UnsafeRawPointer(parser)
            let start = (base + range.lowerBound).assumingMemoryBound(to: CChar.self)
            input = base.assumingMemoryBound(to: CChar.self)
            code = llhttp_execute(parser, start, range.count)
            if code != HPE_OK, let position = llhttp_get_error_pos(parser) { used = position - start }
            input = nil
        }
        switch code {
        case HPE_OK: return used
        case HPE_PAUSED:
            llhttp_resume(parser)
            return used
        default: throw fault(code)
        }
    }
}

// MARK: - What was found

extension MessageParser {
    private func finishHead() throws(MessageFault) -> MessageHead {
        // One empty line before a request is forgiven (RFC 9112, section 2.2); llhttp would take any number, and of any
        // kind.
        let isRequest = kind == .request
        let start = isRequest && raw.starts(with: [13, 10]) ? 2 : 0
        try HeadRules.check(raw[start...], isRequest: isRequest)
        var head = MessageHead()
        guard parser.pointee.http_major == 1, parser.pointee.http_minor <= 1 else { throw .unsupportedVersion }
        head.version = parser.pointee.http_minor == 1 ? .http11 : .http10
        head.method = String(decoding: method, as: UTF8.self)
        head.target = String(decoding: target, as: UTF8.self)
        head.status = isRequest ? 0 : Int(parser.pointee.status_code)
        for (name, value) in zip(names, values) {
            head.headers.addParsed(
                String(decoding: name, as: UTF8.self),
                String(HTTPSyntax.trimmed(String(decoding: value, as: UTF8.self))))
        }
        try HeadRules.checkFraming(head, isRequest: isRequest)
        head.isChunked = head.headers.contains("Transfer-Encoding")
        isChunked = head.isChunked && !expectsNoBody
        head.contentLength = head.headers["Content-Length"].flatMap(HTTPSyntax.decimal)
        head.endsWithConnection = llhttp_message_needs_eof(parser) == 1 && !expectsNoBody
        return head
    }

    private func fault(_ code: llhttp_errno_t) -> MessageFault {
        switch code {
        case HPE_INVALID_VERSION: return .unsupportedVersion
        default:
            let reason = llhttp_get_error_reason(parser).map { String(cString: $0) } ?? "it is not HTTP"
            return .malformed(reason.prefix(1).lowercased() + reason.dropFirst())
        }
    }

    // Called by llhttp in the middle of `execute`, on its thread.

    fileprivate func found(name bytes: UnsafeBufferPointer<UInt8>) {
        guard stage == .head else { return }
        if nameIsOpen {
            names[names.count - 1] += bytes
        } else {
            names.append(Array(bytes))
            values.append([])
            nameIsOpen = true
        }
    }

    fileprivate func found(value bytes: UnsafeBufferPointer<UInt8>) {
        guard stage == .head else { return }
        nameIsOpen = false
        values[values.count - 1] += bytes
    }

    fileprivate func found(target bytes: UnsafeBufferPointer<UInt8>) { target += bytes }
    fileprivate func found(method bytes: UnsafeBufferPointer<UInt8>) { method += bytes }

    fileprivate func found(body bytes: UnsafeBufferPointer<UInt8>) {
        guard let input, let start = bytes.baseAddress else { return }
        let offset = UnsafeRawPointer(start) - UnsafeRawPointer(input)
        progress.body.append(offset..<offset + bytes.count)
        bodyBytes += Int64(bytes.count)
    }

    fileprivate func headersComplete() -> Int32 {
        stage = .body
        // An upgrade is never taken, so that what follows is HTTP still.
        parser.pointee.upgrade = 0
        // Their headers may describe a body that does not come (RFC 9112, section 6.3); llhttp would wait for it.
        let status = Int(parser.pointee.status_code)
        if kind == .response, status < 200 || status == 204 || status == 304 { expectsNoBody = true }
        if expectsNoBody { parser.pointee.flags |= UInt16(F_SKIPBODY.rawValue) }
        return Int32(HPE_PAUSED.rawValue)
    }

    fileprivate func messageComplete() -> Int32 {
        stage = .complete
        return Int32(HPE_PAUSED.rawValue)
    }

    fileprivate static func of(_ parser: UnsafeMutablePointer<llhttp_t>?) -> MessageParser {
        guard let context = parser?.pointee.data else { preconditionFailure("llhttp's callback has its parser") }
        return Unmanaged<MessageParser>.fromOpaque(context).takeUnretainedValue()
    }

    /// Never changed and never freed: llhttp keeps a pointer to it.
    nonisolated(unsafe) private static let settings: UnsafePointer<llhttp_settings_t> = {
        let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
        llhttp_settings_init(settings)
        settings.pointee.on_method = {
            of($0).found(method: bytes($1, $2)); return 0
        }
        settings.pointee.on_url = {
            of($0).found(target: bytes($1, $2)); return 0
        }
        settings.pointee.on_header_field = {
            of($0).found(name: bytes($1, $2)); return 0
        }
        settings.pointee.on_header_value = {
            of($0).found(value: bytes($1, $2)); return 0
        }
        settings.pointee.on_headers_complete = { of($0).headersComplete() }
        settings.pointee.on_body = {
            of($0).found(body: bytes($1, $2)); return 0
        }
        settings.pointee.on_message_complete = { of($0).messageComplete() }
        return UnsafePointer(settings)
    }()
}

/// llhttp's characters as bytes.
private func bytes(_ start: UnsafePointer<CChar>?, _ count: Int) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: start.map { UnsafeRawPointer($0).assumingMemoryBound(to: UInt8.self) }, count: count)
}
