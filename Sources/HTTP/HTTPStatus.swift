/// A response's status code, 100 to 999.
package struct HTTPStatus: Hashable, Sendable, CustomStringConvertible {
    package let code: Int

    package init(code: Int) {
        precondition((100...999).contains(code), "a status code has three digits")
        self.code = code
    }

    package var description: String { "\(code) \(reason)" }
    package var isSuccess: Bool { (200..<300).contains(code) }
    /// A response of this status never has a body (RFC 9110, section 6.4.1).
    package var forbidsBody: Bool { code < 200 || code == 204 || code == 304 }

    package static let ok = HTTPStatus(code: 200)
    package static let created = HTTPStatus(code: 201)
    package static let accepted = HTTPStatus(code: 202)
    package static let noContent = HTTPStatus(code: 204)
    package static let partialContent = HTTPStatus(code: 206)
    package static let notModified = HTTPStatus(code: 304)
    package static let badRequest = HTTPStatus(code: 400)
    package static let unauthorized = HTTPStatus(code: 401)
    package static let forbidden = HTTPStatus(code: 403)
    package static let notFound = HTTPStatus(code: 404)
    package static let methodNotAllowed = HTTPStatus(code: 405)
    package static let requestTimeout = HTTPStatus(code: 408)
    package static let conflict = HTTPStatus(code: 409)
    package static let contentTooLarge = HTTPStatus(code: 413)
    package static let targetTooLong = HTTPStatus(code: 414)
    package static let unsupportedMediaType = HTTPStatus(code: 415)
    package static let rangeNotSatisfiable = HTTPStatus(code: 416)
    package static let expectationFailed = HTTPStatus(code: 417)
    package static let misdirected = HTTPStatus(code: 421)
    package static let unprocessable = HTTPStatus(code: 422)
    package static let failedDependency = HTTPStatus(code: 424)
    package static let tooManyRequests = HTTPStatus(code: 429)
    package static let headTooLarge = HTTPStatus(code: 431)
    package static let internalError = HTTPStatus(code: 500)
    package static let notImplemented = HTTPStatus(code: 501)
    package static let badGateway = HTTPStatus(code: 502)
    package static let unavailable = HTTPStatus(code: 503)
    package static let gatewayTimeout = HTTPStatus(code: 504)
    package static let versionNotSupported = HTTPStatus(code: 505)
    package static let insufficientStorage = HTTPStatus(code: 507)

    /// The phrase of the IANA registry; "Status" where it has none.
    package var reason: String { Self.reasons[code] ?? "Status" }

    private static let reasons: [Int: String] = [
        100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
        206: "Partial Content", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
        404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
        413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
        417: "Expectation Failed", 421: "Misdirected Request", 422: "Unprocessable Content", 424: "Failed Dependency",
        429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
        501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
        505: "HTTP Version Not Supported", 507: "Insufficient Storage",
    ]
}
