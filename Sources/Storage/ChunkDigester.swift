internal import COpenSSL
internal import Model
internal import Reactor

/// SHA-256 of bytes that come in pieces.
final class ChunkDigester {
    private let context: OpaquePointer

    init() {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            preconditionFailure("OpenSSL has no SHA-256")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: ArraySlice<UInt8>) {
        let done = bytes.withUnsafeBytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        precondition(done == 1, "a digest takes any bytes until it is finished")
    }

    /// Call once.
    func finish() -> ChunkID {
        var digest = [UInt8](repeating: 0, count: Digest256.byteCount)
        let done = EVP_DigestFinal_ex(context, &digest, nil)
        guard done == 1, let digest = Digest256(bytes: digest) else { preconditionFailure("a digest is finished once") }
        return ChunkID(digest: digest)
    }

    /// `read` is called with the length of each piece.
    static func digest(
        of file: borrowing Descriptor, _ read: (Int) -> Void = { _ in }
    ) throws(SyscallError) -> ChunkID {
        let digester = ChunkDigester()
        var offset: Int64 = 0
        while true {
            let piece = try file.read(count: 1 << 20, at: offset)
            if piece.isEmpty { return digester.finish() }
            digester.update(piece[...])
            offset += Int64(piece.count)
            read(piece.count)
        }
    }

    static func digest(of bytes: [UInt8]) -> ChunkID {
        let digester = ChunkDigester()
        digester.update(bytes[...])
        return digester.finish()
    }
}
