internal import FoundationEssentials
package import HTTP
internal import Model
package import Reactor
internal import Storage

/// Answers `GET /v1/chunks/{sha256}`: ranges, entity tags, and the digest of the whole representation (RFC 9530).
struct ChunkResponse {
    let reader: ChunkReader

    func answer(_ request: HTTPRequest, _ file: ChunkFile, type: MediaType) -> HTTPResponse {
        let tag = EntityTag(file.id.description)
        var headers: HTTPHeaders = [
            "ETag": tag.description, "Cache-Control": "public, max-age=31536000, immutable", "Accept-Ranges": "bytes",
            "Content-Type": type.description,
            "Repr-Digest": "sha-256=:\(Data(file.id.digest.bytes).base64EncodedString()):",
        ]
        if tag.matches(ifNoneMatch: request.headers.values("If-None-Match")) {
            return HTTPResponse(.notModified, headers: headers)
        }
        let isCurrent = tag.matches(ifRange: request.headers["If-Range"])
        let range = ByteRange(isCurrent ? request.headers["Range"] : nil, length: file.length)
        if let contentRange = range.contentRange(length: file.length) { headers.set("Content-Range", contentRange) }
        switch range {
        case .whole: return HTTPResponse(.ok, headers: headers, body: reader.body(of: file, 0..<file.length))
        case .part(let part): return HTTPResponse(.partialContent, headers: headers, body: reader.body(of: file, part))
        case .unsatisfiable:
            var response = HTTPResponse.error(
                .rangeNotSatisfiable, code: "range", detail: "the chunk has \(file.length) bytes")
            response.headers.set("Content-Range", "bytes */\(file.length)")
            return response
        }
    }
}

/// Reads chunks for clients on a disk lane, piece by piece.
package actor ChunkReader {
    private let lane: DiskLane
    /// The cap on what all clients together are sent.
    private let pacer: SendPacer?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe lane.asUnownedSerialExecutor() }

    package init(on lane: DiskLane, pacer: SendPacer? = nil) {
        self.lane = lane
        self.pacer = pacer
    }

    /// How many of `wanted` bytes of chunks may be sent now: waits for a turn where there is a cap. For whatever else
    /// sends chunks, too.
    nonisolated func pace(_ wanted: Int) async throws -> Int { try await pacer?.take(wanted) ?? wanted }

    func read(_ file: ChunkFile, count: Int, at offset: Int64) throws(SyscallError) -> [UInt8] {
        try file.read(count: count, at: offset)
    }

    nonisolated func body(of file: ChunkFile, _ range: Range<Int64>) -> HTTPBody {
        guard !range.isEmpty else { return .bytes([]) }
        let position = Locked(range.lowerBound)
        return .stream(length: range.upperBound - range.lowerBound) { [self] in
            let offset = position.withLock { $0 }
            guard offset < range.upperBound else { return nil }
            let count = try await pace(Int(min(Limits.readPieceBytes, range.upperBound - offset)))
            let bytes = try await read(file, count: count, at: offset)
            position.withLock { $0 = offset + Int64(bytes.count) }
            return bytes
        }
    }
}
