internal import Discovery
internal import HTTP
internal import Storage

/// Why a node cannot start, in one sentence that says what to do.
package struct NodeError: Error, CustomStringConvertible {
    package let description: String

    init(_ error: any Error) {
        switch error {
        case let error as StoreError: description = error.description
        case let error as IdentityError: description = error.description
        case let error as ListenError: description = error.description
        case let error as ServiceFailure: description = error.description
        case let error as LocalNode.Refusal: description = error.description
        case let error as HTTPClientError: description = "the running node does not answer: \(error)"
        case let error as NodeError: description = error.description
        default: description = "\(error)"
        }
    }

    init(_ sentence: String) { description = sentence }
}
