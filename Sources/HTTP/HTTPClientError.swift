internal import Model
package import Reactor

/// Why an exchange with a server has failed. Whoever gets one opens another connection.
package enum HTTPClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No connection came about.
    case unreachable(SyscallError)
    case connectTimeout
    /// The host's name leads nowhere; the reason is the resolver's.
    case unresolved(host: String, reason: String)
    case tooManyLookups
    /// The server had ended the connection before it answered: a request that changes nothing may be sent again.
    case closedBeforeResponse
    /// No head of a response within its time.
    case headTimeout
    /// No byte of the body within its time.
    case bodyTimeout
    /// The server takes nothing of the request.
    case stalled
    /// The connection broke.
    case broken(SyscallError)
    /// The body ended before its declared length or its last chunk.
    case cutShort(received: Int64, declared: Int64?)
    /// Bytes that belong to no response.
    case surplus
    /// Not HTTP, or too much of it.
    case malformed(MessageFault)
    /// The body is larger than the caller takes.
    case bodyTooLarge(limit: Int)
    /// The body of the response before has not been read to its end.
    case busy
    /// Closed by this side.
    case closed
    case cancelled

    /// The case without its values: what faults are counted by.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case unreachable, connectTimeout, unresolved, tooManyLookups, closedBeforeResponse, headTimeout, bodyTimeout
        case stalled, broken, cutShort, surplus, malformed, bodyTooLarge, busy, closed, cancelled
    }

    package var kind: Kind {
        switch self {
        case .unreachable: .unreachable
        case .connectTimeout: .connectTimeout
        case .unresolved: .unresolved
        case .tooManyLookups: .tooManyLookups
        case .closedBeforeResponse: .closedBeforeResponse
        case .headTimeout: .headTimeout
        case .bodyTimeout: .bodyTimeout
        case .stalled: .stalled
        case .broken: .broken
        case .cutShort: .cutShort
        case .surplus: .surplus
        case .malformed: .malformed
        case .bodyTooLarge: .bodyTooLarge
        case .busy: .busy
        case .closed: .closed
        case .cancelled: .cancelled
        }
    }

    package var description: String {
        switch self {
        case .unreachable(let error): "cannot connect: \(error.reason)"
        case .connectTimeout: "nobody answered in time"
        case .unresolved(let host, let reason): "the name \(host) leads nowhere: \(reason)"
        case .tooManyLookups: "too many names are being resolved"
        case .closedBeforeResponse: "the server closed the connection before it answered"
        case .headTimeout: "the server did not answer in time"
        case .bodyTimeout: "the answer stopped coming"
        case .stalled: "the server stopped taking the request"
        case .broken(let error): "the connection broke: \(error.reason)"
        case .cutShort(let received, let declared):
            "the answer was cut short after \(received) bytes" + (declared.map { " of \($0)" } ?? "")
        case .surplus: "the server sent bytes that belong to no answer"
        case .malformed(let fault): "the answer is not understood: \(fault)"
        case .bodyTooLarge(let limit): "the answer is larger than \(limit) bytes"
        case .busy: "the answer before has not been read to its end"
        case .closed: "the connection is closed"
        case .cancelled: "cancelled"
        }
    }
}

/// Faults of clients by kind, since the start: shared by the connections that are given it.
package final class FaultTally: Sendable {
    private let counts = Locked<[HTTPClientError.Kind: Int64]>([:])

    package init() {}

    func add(_ kind: HTTPClientError.Kind) { counts.withLock { $0[kind, default: 0] += 1 } }

    package var snapshot: [HTTPClientError.Kind: Int64] { counts.withLock { $0 } }
    package subscript(kind: HTTPClientError.Kind) -> Int64 { counts.withLock { $0[kind, default: 0] } }
}
