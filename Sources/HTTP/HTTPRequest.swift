/// One request, its body collected. Everything in it is well formed; nothing in it is trusted.
package struct HTTPRequest: Sendable {
    package let method: HTTPMethod
    package let target: RequestTarget
    package let version: HTTPVersion
    package let headers: HTTPHeaders
    package let body: [UInt8]
    package let origin: PeerOrigin
    /// `CLOCK_MONOTONIC_RAW` when the end of the head was read: the second timestamp of a clock exchange.
    package let receivedRaw: Int64

    package init(
        method: HTTPMethod, target: RequestTarget, version: HTTPVersion = .http11, headers: HTTPHeaders = [:],
        body: [UInt8] = [], origin: PeerOrigin = .unixSocket, receivedRaw: Int64 = 0
    ) {
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.body = body
        self.origin = origin
        self.receivedRaw = receivedRaw
    }

    /// The path as it was sent, still percent-encoded.
    package var path: String { target.path }
    /// The path's segments, each decoded on its own: a `/` in one was `%2F`.
    package var segments: [String] { target.segments }
    package var query: [QueryItem] { target.query }

    /// The first value of that name in the query.
    package func query(_ name: String) -> String? { target.query.first { $0.name == name }?.value }
}
