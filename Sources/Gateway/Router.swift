internal import HTTP
internal import Model
internal import Reactor
internal import Recording
internal import Storage

/// Finds the route of a request, asks whether its origin may take it, and turns errors into answers.
struct Router: Sendable {
    let routes: [Route]
    let log: Log

    func respond(_ request: HTTPRequest) async -> HTTPResponse {
        var allowed: Set<String> = []
        for route in routes {
            guard let parameters = route.match(request.segments) else { continue }
            guard route.method == request.method || (route.method == .get && request.method == .head) else {
                allowed.insert(route.method.rawValue)
                continue
            }
            if let refusal = Self.refusal(of: request, by: route.access) { return refusal }
            do {
                return try await route.answer(request, parameters)
            } catch {
                return answer(to: error, request)
            }
        }
        guard !allowed.isEmpty else {
            return .error(.notFound, code: "not_found", detail: "there is no \(request.path)")
        }
        var response = HTTPResponse.error(
            .methodNotAllowed, code: "method_not_allowed",
            detail: "\(request.path) does not take \(request.method.rawValue)")
        response.headers.set("Allow", allowed.sorted().joined(separator: ", "))
        return response
    }

    /// Nil where the request may pass.
    private static func refusal(of request: HTTPRequest, by access: Route.Access) -> HTTPResponse? {
        // A node sends no Origin; what states something and has one is a web page.
        if request.method != .get, request.method != .head, access == .peer, request.headers.contains("Origin") {
            return .error(.forbidden, code: "forbidden", detail: "\(request.path) is for nodes, not for web pages")
        }
        guard access == .local, !LocalOrigin.isLocal(request) else { return nil }
        return .error(
            .forbidden, code: "forbidden",
            detail:
                "\(request.path) is for the person at this machine: use the qnode command there, or http://127.0.0.1")
    }

    private func answer(to error: any Error, _ request: HTTPRequest) -> HTTPResponse {
        switch error {
        case let error as CallError: return .error(error.status, code: error.code, detail: error.detail)
        case let error as StoreError: return answer(to: error)
        case let error as RecorderError: return answer(to: error)
        case is CancellationError: return .error(.unavailable, code: "stopping", detail: "the node is stopping")
        default:
            log.error("a call failed", ("path", request.path), ("reason", "\(error)"))
            return .error(.internalError, code: "internal", detail: "the node could not do this; its log says why")
        }
    }

    private func answer(to error: RecorderError) -> HTTPResponse {
        switch error {
        case .store(let error): answer(to: error)
        default: .error(.conflict, code: "recording", detail: error.description)
        }
    }

    private func answer(to error: StoreError) -> HTTPResponse {
        switch error {
        case .notFound, .unknownSession: .error(.notFound, code: "not_found", detail: error.description)
        case .outOfSpace: .error(.insufficientStorage, code: "disk_full", detail: error.description)
        case .indexing: .error(.unavailable, code: "indexing", detail: error.description)
        case .index: .error(.unavailable, code: "index", detail: error.description)
        case .closed: .error(.unavailable, code: "stopping", detail: error.description)
        case .ownSession: .error(.conflict, code: "own_session", detail: error.description)
        case .limit: .error(.unprocessable, code: "limit", detail: error.description)
        default: .error(.internalError, code: "storage", detail: error.description)
        }
    }
}

/// Whether a request comes from the person at this machine and not from a web page or through a proxy.
enum LocalOrigin {
    private static let proxyHeaders = [
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP",
    ]

    static func isLocal(_ request: HTTPRequest) -> Bool {
        switch request.origin.transport {
        case .unixSocket: true
        case .loopback: !isProxied(request) && hasLoopbackHost(request) && hasNoForeignOrigin(request)
        case .network: false
        }
    }

    private static func isProxied(_ request: HTTPRequest) -> Bool {
        proxyHeaders.contains { request.headers.contains($0) }
            || request.headers.fields.contains { $0.name.lowercased().hasPrefix("x-forwarded-") }
    }

    /// A page that was rebound to this address still names its own host.
    private static func hasLoopbackHost(_ request: HTTPRequest) -> Bool {
        guard let host = request.headers["Host"], let endpoint = Endpoint(host, defaultPort: 80) else { return false }
        return endpoint.host == "::1" || endpoint.host == "localhost" || isLoopbackLiteral(endpoint.host)
    }

    /// `127.x.y.z`, and no name that merely begins like it.
    private static func isLoopbackLiteral(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// Browsers name the page that sends a request; only pages of this node's own host may.
    private static func hasNoForeignOrigin(_ request: HTTPRequest) -> Bool {
        guard let origin = request.headers["Origin"] else { return true }
        return origin == "http://" + (request.headers["Host"] ?? "")
    }
}
