internal import HTTP
internal import Model
internal import Reactor
internal import Storage

/// The body of `POST /v1/chunks`.
struct BundleRequestForm: Codable {
    let chunks: [String]
}

/// The line before a chunk's bytes in the answer to `POST /v1/chunks`.
struct BundleLineForm: Codable {
    let sha256: ChunkID
    /// nil where no bytes follow.
    var length: Int?
    var missing: Bool?
}

/// Answers `POST /v1/chunks`: small chunks one after another, each behind a line that names it.
struct BundleResponse: Sendable {
    let store: Store

    func answer(_ ids: [ChunkID]) -> HTTPResponse {
        let rest = Locked(ids[...])
        var response = HTTPResponse(.ok, headers: ["Cache-Control": "no-store"])
        response.headers.set("Content-Type", MediaType.bytes.description)
        response.body = .stream(length: nil) { [store] in
            let asked = rest.withLock { $0 }
            guard !asked.isEmpty else { return nil }
            let found = await store.contents(of: asked, byteLimit: Int(Limits.readPieceBytes))
            rest.withLock { $0 = asked.dropFirst(found.count) }
            var piece: [UInt8] = []
            piece.reserveCapacity(found.reduce(0) { $0 + ($1?.count ?? 0) + 128 })
            for (id, content) in zip(asked, found) {
                piece += Self.line(id, content)
                if let content { piece += content }
            }
            return piece
        }
        return response
    }

    private static func line(_ id: ChunkID, _ content: [UInt8]?) -> [UInt8] {
        let said = content.map { "\"length\":\($0.count)" } ?? "\"missing\":true"
        return Array("{\(said),\"sha256\":\"\(id)\"}\n".utf8)
    }
}
