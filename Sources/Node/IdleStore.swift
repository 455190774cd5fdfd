internal import FoundationEssentials
internal import HTTP
internal import Model
internal import Reactor
internal import Storage

/// A data directory on which no node runs, opened for one verb.
enum IdleStore {
    static func with<Value: Sendable>(
        _ data: String, makesIt: Bool = false, index: IndexOpening = .whole,
        _ body: @escaping @Sendable (Store) async throws -> Value
    ) async throws -> Value {
        let lanes = Store.Lanes()
        defer { lanes.stop() }
        let identity = try identity(data, makesIt: makesIt)
        let store = try await Store.open(
            data, node: identity.node, incarnation: .random(), lanes: lanes, log: Log(source: "qnode", level: .warning),
            index: index)
        let result: Result<Value, any Error>
        do { result = .success(try await body(store)) } catch { result = .failure(error) }
        try await store.close(endsRecording: false)
        return try result.get()
    }

    /// The node that a directory belongs to, where its key lies there.
    static func node(of data: String) throws -> NodeID? {
        let folder = data + "/identity"
        guard FileManager.default.fileExists(atPath: folder + "/node.key") else { return nil }
        return try NodeIdentity.open(in: folder).node
    }

    /// A store belongs to the node that wrote it: without that node's key it is not opened.
    private static func identity(_ data: String, makesIt: Bool) throws -> NodeIdentity {
        let folder = data + "/identity"
        let hasStore = FileManager.default.fileExists(atPath: data + "/lock")
        guard hasStore || makesIt else {
            throw NodeError("\(data) is no data directory of qnode; name one with --data")
        }
        guard !hasStore || FileManager.default.fileExists(atPath: folder + "/node.key") else {
            throw NodeError("the key of the node on \(data) is elsewhere; start that node and ask it")
        }
        return try NodeIdentity.open(in: folder)
    }
}
