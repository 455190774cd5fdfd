internal import HTTP
internal import Model

/// One call of the node: its method, its path with `{names}`, who may make it, and what answers.
struct Route: Sendable {
    /// Who may make a call. Until nodes authenticate each other, `peer` is anyone who reaches the port:
    /// `Docs/Operating.md` says what that means.
    enum Access: Sendable {
        case peer
        /// The person at this machine: the socket in the data directory, or loopback without a proxy.
        case local
    }

    typealias Answer = @Sendable (HTTPRequest, Parameters) async throws -> HTTPResponse

    let method: HTTPMethod
    let path: String
    let access: Access
    let answer: Answer
    private let pattern: [String]

    init(_ method: HTTPMethod, _ path: String, _ access: Access, _ answer: @escaping Answer) {
        self.method = method
        self.path = path
        self.access = access
        self.answer = answer
        pattern = path.split(separator: "/").map(String.init)
    }

    /// The path's variable segments.
    struct Parameters: Sendable {
        fileprivate let values: [String: String]
        subscript(name: String) -> String { values[name] ?? "" }
    }

    func match(_ segments: [String]) -> Parameters? {
        guard segments.count == pattern.count else { return nil }
        var values: [String: String] = [:]
        for (segment, part) in zip(segments, pattern) {
            if part.first == "{" {
                values[String(part.dropFirst().dropLast())] = segment
            } else if part != segment {
                return nil
            }
        }
        return Parameters(values: values)
    }
}

/// A call that cannot be answered, and how that is said.
struct CallError: Error {
    let status: HTTPStatus
    let code: String
    let detail: String

    static func invalid(_ detail: String) -> CallError {
        CallError(status: .unprocessable, code: "invalid", detail: detail)
    }
    static func notFound(_ detail: String) -> CallError {
        CallError(status: .notFound, code: "not_found", detail: detail)
    }
}
