internal import HTTP
package import Model
internal import Reactor
package import Replication

/// Several chunks on their way with one answer; gives its connection back at the end.
actor HTTPChunkBundle: ChunkBundle {
    private let link: HTTPPeerLink
    private let connection: HTTPConnection
    private let body: HTTPClientBody
    private var input: [UInt8] = []
    private var offset = 0
    private var isOver = false
    /// The chunk that is coming, and how much of it was told of.
    private var current: (id: ChunkID, length: Int, told: Int)?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe link.loop.asUnownedSerialExecutor() }

    init(link: HTTPPeerLink, connection: HTTPConnection, body: HTTPClientBody) {
        self.link = link
        self.connection = connection
        self.body = body
    }

    func next() async throws -> BundleStep? {
        while true {
            guard let (id, length, told) = current else {
                guard let line = try await line() else {
                    if try await more() { return .part(0) }
                    guard offset == input.count else { throw await failed(.cutOff) }
                    return nil
                }
                if let missing = try await begin(line) { return .item(missing) }
                continue
            }
            let here = min(length, input.count - offset)
            if here == length {
                current = nil
                defer { offset += length }
                return .item(BundleItem(id: id, bytes: Array(input[offset..<offset + length])))
            }
            if here > told {
                current?.told = here
                return .part(here - told)
            }
            guard try await more() else { throw await failed(.cutOff) }
        }
    }

    /// A chunk's line: what the peer has not is an item already.
    private func begin(_ line: [UInt8]) async throws -> BundleItem? {
        guard let form = try? WireJSON.decode(BundleLineForm.self, from: line) else {
            throw await failed(.malformed(reason: "a bundle's line"))
        }
        guard let length = form.length, form.missing != true else { return BundleItem(id: form.sha256, bytes: nil) }
        guard (0...Int(Limits.collectedChunkBytes)).contains(length) else {
            throw await failed(.malformed(reason: "a chunk of \(length) bytes in a bundle"))
        }
        current = (form.sha256, length, 0)
        return nil
    }

    func close() async {
        guard !isOver else { return }
        isOver = true
        await link.discard(connection)
    }

    /// nil while it is not whole.
    private func line() async throws -> [UInt8]? {
        let seen = input[offset...].prefix(Limits.bundleLineBytes)
        if let end = seen.firstIndex(of: UInt8(ascii: "\n")) {
            defer { offset = end + 1 }
            return Array(input[offset..<end])
        }
        guard seen.count < Limits.bundleLineBytes else { throw await failed(.malformed(reason: "an endless line")) }
        return nil
    }

    /// False at the end.
    private func more() async throws -> Bool {
        guard !isOver else { return false }
        do {
            guard let piece = try await body.next() else {
                isOver = true
                await link.release(connection)
                return false
            }
            input.removeFirst(offset)
            offset = 0
            input += piece
            return true
        } catch {
            throw await failed(PeerLinkError(error))
        }
    }

    private func failed(_ error: PeerLinkError) async -> PeerLinkError {
        await close()
        return error
    }
}

extension HTTPPeerLink {
    package func chunks(_ ids: [ChunkID], rank: PullRank) async throws -> any ChunkBundle {
        var request = json("/v1/chunks", BundleRequestForm(chunks: ids.map(\.description)))
        request.traffic = .data(priority: rank.priority)
        request.expectedBytes = rank.bytes.map { $0 + Limits.answerHeadBytes }
        request.onTurn = Self.tell(rank.turn)
        let (response, connection) = try await exchange(request)
        guard response.status == .ok else { throw try await refusal(response, on: connection) }
        return HTTPChunkBundle(link: self, connection: connection, body: response.body)
    }
}
