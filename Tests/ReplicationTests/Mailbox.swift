import Reactor
import Replication

/// Values on their way to one reader, and how that ends.
final class Mailbox<Value: Sendable>: Sendable {
    private enum End {
        case finished
        case failed(any Error)
    }

    private struct State {
        var values: [Value] = []
        var end: End?
        var reader: CheckedContinuation<Void, Never>?
    }

    private let state = Locked(State())

    func put(_ values: [Value]) { change { $0.values += values } }
    func finish() { change { $0.end = $0.end ?? .finished } }
    func fail(_ error: PeerLinkError) { fail(error as any Error) }
    func fail(_ error: any Error) {
        change {
            $0.values = []
            $0.end = .failed(error)
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let reader = state.withLock { state in
            body(&state)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    /// Nil at the end. Throws where its task is cancelled, so that a time limit ends a test that waits in vain.
    func next() async throws -> Value? {
        try await withTaskCancellationHandler {
            try await take()
        } onCancel: {
            change { _ in }
        }
    }

    private func take() async throws -> Value? {
        while true {
            try Task.checkCancellation()
            let taken: Result<Value?, any Error>? = state.withLock { state in
                if !state.values.isEmpty { return .success(state.values.removeFirst()) }
                switch state.end {
                case nil: return nil
                case .finished: return .success(nil)
                case .failed(let error): return .failure(error)
                }
            }
            if let taken { return try taken.get() }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.values.isEmpty || state.end != nil || Task.isCancelled { return true }
                    state.reader = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }
}
