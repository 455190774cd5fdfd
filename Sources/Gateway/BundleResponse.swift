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
    /// How many of so many bytes may be sent now.
    let pace: @Sendable (Int) async throws -> Int

    private struct Rest {
        var ids: ArraySlice<ChunkID>
        /// Read, and not sent yet.
        var bytes: ArraySlice<UInt8> = []
    }

    func answer(_ ids: [ChunkID]) -> HTTPResponse {
        let rest = Locked(Rest(ids: ids[...]))
        var response = HTTPResponse(.ok, headers: ["Cache-Control": "no-store"])
        response.headers.set("Content-Type", MediaType.bytes.description)
        response.body = .stream(length: nil) { [store, pace] in
            let asked = rest.withLock { $0 }
            if asked.bytes.isEmpty {
                guard !asked.ids.isEmpty else { return nil }
                let found = await store.contents(of: asked.ids, byteLimit: Int(Limits.readPieceBytes))
                let piece = Self.piece(asked.ids, found)
                rest.withLock { $0 = Rest(ids: asked.ids.dropFirst(found.count), bytes: piece[...]) }
            }
            let ready = rest.withLock { $0.bytes }
            let count = try await pace(ready.count)
            rest.withLock { $0.bytes = ready.dropFirst(count) }
            return Array(ready.prefix(count))
        }
        return response
    }

    private static func piece(_ ids: ArraySlice<ChunkID>, _ found: [[UInt8]?]) -> [UInt8] {
        var piece: [UInt8] = []
        piece.reserveCapacity(found.reduce(0) { $0 + ($1?.count ?? 0) + 128 })
        for (id, content) in zip(ids, found) {
            piece += line(id, content)
            if let content { piece += content }
        }
        return piece
    }

    private static func line(_ id: ChunkID, _ content: [UInt8]?) -> [UInt8] {
        let said = content.map { "\"length\":\($0.count)" } ?? "\"missing\":true"
        return Array("{\(said),\"sha256\":\"\(id)\"}\n".utf8)
    }
}
