internal import Model

/// Why a request is answered by the server itself, and how.
struct RequestFault: Error, Sendable {
    let status: HTTPStatus
    let code: String
    let detail: String

    init(_ status: HTTPStatus, _ code: String, _ detail: String) {
        self.status = status
        self.code = code
        self.detail = detail
    }

    init(_ fault: MessageFault) {
        switch fault {
        case .malformed, .cutShort: self.init(.badRequest, "malformed_request", fault.description)
        case .headTooLarge, .tooManyHeaders: self.init(.headTooLarge, "head_too_large", fault.description)
        case .targetTooLong: self.init(.targetTooLong, "target_too_long", fault.description)
        case .unsupportedVersion: self.init(.versionNotSupported, "version_not_supported", fault.description)
        case .unsupportedMethod: self.init(.notImplemented, "method_not_implemented", fault.description)
        case .unsupportedTransferCoding: self.init(.notImplemented, "transfer_coding", fault.description)
        case .framingTooLarge: self.init(.contentTooLarge, "framing_too_large", fault.description)
        }
    }

    init(_ fault: RequestTarget.Fault) { self.init(.badRequest, "malformed_target", fault.description) }

    static let slowHead = RequestFault(.requestTimeout, "request_timeout", "The request did not arrive in time.")
    static let slowBody = RequestFault(.requestTimeout, "body_timeout", "The request's body did not arrive in time.")
    static func bodyTooLarge(limit: Int) -> RequestFault {
        RequestFault(.contentTooLarge, "body_too_large", "A request's body may have \(limit) bytes.")
    }
    static let expectation = RequestFault(
        .expectationFailed, "expectation_failed", "The only expectation met here is 100-continue.")
    static let tooManyBodies = RequestFault(
        .unavailable, "too_many_bodies", "Too many large requests are under way; try again.")
    static let tooManyConnections = RequestFault(
        .unavailable, "too_many_connections", "Too many connections are open; close some or try again.")

    var response: HTTPResponse { .error(status, code: code, detail: detail) }
}
