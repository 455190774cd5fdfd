internal import Model

/// A request as a client sends it. Host and framing are added.
package struct HTTPClientRequest: Sendable {
    package var method: HTTPMethod
    /// Path and query, encoded.
    package var target: String
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// From the end of the request to the end of the response's head; nil takes the connection's. An endless wait is
    /// not to be had.
    package var headTime: Duration?
    /// Between two pieces of the response's body; nil takes the connection's.
    package var bodyTime: Duration?
    /// What it is for, where there is a cap; nil takes the connection's.
    package var traffic: TrafficClass?
    /// About what will be answered, where that is known.
    package var expectedBytes: Int64?
    /// Told, on the loop, when it or the reading of its answer begins to wait for its turn under a cap, and when that
    /// is over.
    package var onTurn: (@Sendable (Bool) -> Void)?

    package init(
        _ method: HTTPMethod, _ target: String, headers: HTTPHeaders = [:], body: [UInt8] = [],
        headTime: Duration? = nil, bodyTime: Duration? = nil, traffic: TrafficClass? = nil,
        expectedBytes: Int64? = nil
    ) {
        precondition(
            target.utf8.first == UInt8(ascii: "/") && target.utf8.allSatisfy { $0 > 32 && $0 < 127 },
            "a request's target is an encoded path")
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.headTime = headTime
        self.bodyTime = bodyTime
        self.traffic = traffic
        self.expectedBytes = expectedBytes
    }

    /// The request on the wire.
    func bytes(host: String) -> [UInt8] {
        var headers = self.headers
        for name in ["Host", "Content-Length", "Transfer-Encoding", "Connection"] { headers.remove(name) }
        var text = "\(method.rawValue) \(target) HTTP/1.1\r\nHost: \(host)\r\n"
        if !body.isEmpty || method == .post || method == .put || method == .patch {
            headers.add("Content-Length", String(body.count))
        }
        for field in headers.fields { text += "\(field.name): \(field.value)\r\n" }
        return Array((text + "\r\n").utf8) + body
    }
}

/// A response as a client gets it: the head at once, the body as it is asked for.
package struct HTTPClientResponse: Sendable {
    package let status: HTTPStatus
    package let headers: HTTPHeaders
    package let body: HTTPClientBody
    /// `CLOCK_MONOTONIC_RAW` just before the request was handed to the kernel, and when the end of the head was read:
    /// the first and the fourth timestamp of a clock exchange.
    package let sentRaw: Int64
    package let receivedRaw: Int64

    /// The declared length of the body; nil where it is chunked or lasts until the connection ends.
    package var contentLength: Int64? { headers["Content-Length"].flatMap(HTTPSyntax.decimal) }
}

/// A response's body. Nothing more is read from the connection than is asked for here.
package struct HTTPClientBody: Sendable {
    let connection: HTTPConnection
    let exchange: Int64

    /// The next piece, as large as it comes, at most 128 KiB; nil at the end.
    package func next() async throws(HTTPClientError) -> [UInt8]? { try await connection.nextPiece(of: exchange) }

    /// All of it, or an error where it is larger than `limit`.
    package func collect(limit: Int = Limits.responseBodyBytes) async throws(HTTPClientError) -> [UInt8] {
        var body: [UInt8] = []
        while let piece = try await next() {
            guard body.count + piece.count <= limit else {
                await connection.close()
                throw .bodyTooLarge(limit: limit)
            }
            if body.isEmpty { body = piece } else { body += piece }
        }
        return body
    }
}
