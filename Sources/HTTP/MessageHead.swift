/// What stands before a message's body: start line and headers, taken apart.
struct MessageHead: Sendable {
    /// Method as sent; empty for a response.
    var method = ""
    /// Request target as sent; empty for a response.
    var target = ""
    /// 0 for a request.
    var status = 0
    var version = HTTPVersion.http11
    var headers = HTTPHeaders()
    /// Of the Content-Length, where there is one.
    var contentLength: Int64?
    var isChunked = false
    /// A response whose body lasts until the connection ends.
    var endsWithConnection = false

    /// Whether the peer is ready for another exchange on this connection.
    var keepsAlive: Bool {
        if headers.lists("close", in: "Connection") { return false }
        return version == .http11 || headers.lists("keep-alive", in: "Connection")
    }
}

/// Why bytes are no HTTP message, or none that is taken.
package enum MessageFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not HTTP, or HTTP that two readers could understand differently. The reason is of our own words.
    case malformed(String)
    case headTooLarge
    case targetTooLong
    case tooManyHeaders
    case unsupportedVersion
    case unsupportedMethod
    case unsupportedTransferCoding
    /// More lines and extensions around a chunked body than any honest sender needs.
    case framingTooLarge
    /// The input ended in the middle.
    case cutShort

    package var description: String {
        switch self {
        case .malformed(let reason): "The message is malformed: \(reason)."
        case .headTooLarge: "The request line and headers are too large."
        case .targetTooLong: "The request target is too long."
        case .tooManyHeaders: "The message has too many headers."
        case .unsupportedVersion: "Only HTTP/1.0 and HTTP/1.1 are spoken here."
        case .unsupportedMethod: "The method is not known here."
        case .unsupportedTransferCoding: "The only transfer coding known here is chunked."
        case .framingTooLarge: "The chunks of the body have too much around them."
        case .cutShort: "The message ended before it was complete."
        }
    }
}
