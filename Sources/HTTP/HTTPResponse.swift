internal import Model
internal import Reactor

/// What a response carries. Streams are pulled: the next piece is asked for only when the client has taken enough of
/// the last.
package enum HTTPBody: Sendable {
    case none
    case bytes([UInt8])
    /// Pieces of at most some 128 KiB until nil. With a length they add up to it exactly; without, they are sent
    /// chunked. An error, or an end before the length, cuts the connection so that the client notices.
    case stream(length: Int64?, next: @Sendable () async throws -> [UInt8]?)
    /// Server-Sent Events until nil, each piece one or more of `ServerSentEvent.bytes`; heartbeats come from the
    /// producer too. `next` is cancelled when the client goes or the server stops.
    case events(next: @Sendable () async throws -> [UInt8]?)
}

/// One response. The server adds Date, the framing and Connection.
package struct HTTPResponse: Sendable {
    package var status: HTTPStatus
    package var headers: HTTPHeaders
    package var body: HTTPBody

    package init(_ status: HTTPStatus, headers: HTTPHeaders = [:], body: HTTPBody = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A response of bytes with their media type.
    package init(_ status: HTTPStatus = .ok, _ type: MediaType, _ bytes: [UInt8]) {
        self.init(status, headers: ["Content-Type": type.description], body: .bytes(bytes))
    }

    package static func json(_ bytes: [UInt8], status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status, .json, bytes)
    }

    package static func text(_ text: String, status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status, .text, Array(text.utf8))
    }

    /// An event stream; nothing between here and the reader may keep it back.
    package static func events(_ next: @escaping @Sendable () async throws -> [UInt8]?) -> HTTPResponse {
        HTTPResponse(
            .ok, headers: ["Content-Type": MediaType.eventStream.description, "Cache-Control": "no-store"],
            body: .events(next: next))
    }

    /// `{"detail", "error_code", "timestamp"}`, the one form of every error.
    package static func error(_ status: HTTPStatus, code: String, detail: String) -> HTTPResponse {
        error(status, code: code, detail: detail, at: SystemClock.reading().realtime)
    }

    static func error(_ status: HTTPStatus, code: String, detail: String, at realtime: Int64) -> HTTPResponse {
        let text =
            "{\"detail\":\(JSONText.quoted(detail)),\"error_code\":\(JSONText.quoted(code)),"
            + "\"timestamp\":\"\(Timestamp.text(realtime))\"}\n"
        var response = json(Array(text.utf8), status: status)
        response.headers.add("Cache-Control", "no-store")
        return response
    }
}

/// A string as JSON: the one value that HTTP itself has to write.
enum JSONText {
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 32 || scalar.value == 127:
                result += "\\u00" + Hex.string(UInt64(scalar.value), count: 2)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
