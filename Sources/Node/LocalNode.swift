internal import FoundationEssentials
internal import Gateway
internal import HTTP
internal import Model
internal import Reactor

/// The running node of a data directory, as its own verbs reach it: by the socket in the directory.
struct LocalNode {
    /// A refusal of the node, in its words.
    struct Refusal: Error, CustomStringConvertible {
        let status: Int
        let description: String
    }

    private let loop: EventLoop
    private let connection: HTTPConnection

    static func socketPath(_ data: String) -> String { data + "/node.sock" }

    /// Nil where no node runs there.
    static func find(_ data: String, on loop: EventLoop) async throws -> LocalNode? {
        do {
            let connection = try await HTTPConnection.open(toUnixSocket: socketPath(data), on: loop)
            return LocalNode(loop: loop, connection: connection)
        } catch {
            guard case .unreachable(let cause) = error, cause.isNotFound || cause.isRefused else { throw error }
            return nil
        }
    }

    func close() async { await connection.close() }

    func get<Form: Decodable>(_ form: Form.Type, _ target: String) async throws -> Form {
        try WireJSON.decode(form, from: try await call(HTTPClientRequest(.get, target)))
    }

    func send(_ method: HTTPMethod, _ target: String, _ body: some Encodable) async throws -> [UInt8] {
        try await call(
            HTTPClientRequest(
                method, target, headers: ["Content-Type": MediaType.json.description], body: WireJSON.encode(body)))
    }

    /// The answer's bytes.
    func call(_ request: HTTPClientRequest) async throws -> [UInt8] {
        var request = request
        // Sealing and ending on a slow card may take its time; a node that says nothing for this long hangs.
        request.headTime = .seconds(60)
        let response = try await connection.send(request)
        let body = try await response.body.collect()
        guard response.status.isSuccess else {
            let detail = try? WireJSON.decode(ErrorDetail.self, from: body).detail
            throw Refusal(status: response.status.code, description: detail ?? "\(response.status)")
        }
        return body
    }

    private struct ErrorDetail: Decodable { let detail: String }
}
