internal import Model
internal import Reactor

/// A response as it goes on the wire: what framing and which headers it gets. Holds no socket.
struct ResponseWriter: Sendable {
    enum Body: Sendable {
        case whole([UInt8])
        case stream(length: Int64?, next: @Sendable () async throws -> [UInt8]?)
        case events(next: @Sendable () async throws -> [UInt8]?)
    }

    private enum Framing {
        case none
        case length(Int64)
        case chunked
        /// HTTP/1.0 knows no chunks.
        case connection
    }

    let body: Body
    let headBytes: [UInt8]
    let keepsAlive: Bool
    private let framing: Framing

    var endsWithConnection: Bool { if case .connection = framing { true } else { false } }
    /// The body where it is bytes.
    var wholeBody: [UInt8] { if case .whole(let bytes) = body { bytes } else { [] } }

    /// `request` is nil where none could be read.
    init(
        _ response: HTTPResponse, to request: HTTPRequest?, keepsAlive: Bool,
        now: Int64 = SystemClock.reading().realtime
    ) {
        let canChunk = request?.version != .http10
        let isHead = request?.method == .head
        let noBody = isHead || response.status.forbidsBody
        switch response.body {
        case .none: (framing, body) = (.length(0), .whole([]))
        case .bytes(let bytes): (framing, body) = (.length(Int64(bytes.count)), .whole(noBody ? [] : bytes))
        case .stream(let length, let next):
            framing = length.map { .length($0) } ?? (canChunk ? .chunked : .connection)
            body = noBody ? .whole([]) : .stream(length: length, next: next)
        case .events(let next):
            framing = canChunk ? .chunked : .connection
            body = noBody ? .whole([]) : .events(next: next)
        }
        let framing = self.framing
        let endsWithConnection = if case .connection = framing { !noBody } else { false }
        self.keepsAlive = keepsAlive && !endsWithConnection
        var headers = response.headers
        headers.remove("Content-Length")
        headers.remove("Transfer-Encoding")
        headers.remove("Connection")
        if !headers.contains("Date") { headers.add("Date", HTTPDate.text(now)) }
        switch framing {
        case .length(let length) where !response.status.forbidsBody: headers.add("Content-Length", String(length))
        case .chunked where !response.status.forbidsBody: headers.add("Transfer-Encoding", "chunked")
        case .none, .length, .chunked, .connection: break
        }
        if !self.keepsAlive {
            headers.add("Connection", "close")
        } else if request?.version == .http10 {
            headers.add("Connection", "keep-alive")
        }
        var text = "HTTP/1.1 \(response.status)\r\n"
        for field in headers.fields { text += "\(field.name): \(field.value)\r\n" }
        headBytes = Array((text + "\r\n").utf8)
    }

    /// A piece of the body with what the framing puts around it.
    func framed(_ piece: [UInt8]) -> [UInt8] {
        guard case .chunked = framing else { return piece }
        let size = Array("\(String(piece.count, radix: 16))\r\n".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size.count + piece.count + 2)
        bytes += size
        bytes += piece
        bytes += [13, 10]
        return bytes
    }

    var lastChunk: [UInt8] { if case .chunked = framing { Array("0\r\n\r\n".utf8) } else { [] } }
}
