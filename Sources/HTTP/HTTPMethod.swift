/// The request methods that a node answers or sends.
package enum HTTPMethod: String, Hashable, Sendable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
    case options = "OPTIONS"
}

/// HTTP/1.0 or HTTP/1.1; nothing else is spoken.
package enum HTTPVersion: Hashable, Sendable {
    case http10, http11
}
