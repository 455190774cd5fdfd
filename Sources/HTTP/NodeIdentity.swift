internal import COpenSSL
internal import Glibc
package import Model
package import Reactor

/// Why a node has no identity; each says what to do.
package enum IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
    case readableByOthers(path: String)
    case notOurs(path: String)
    case notAKey(path: String)
    case system(path: String, SyscallError)
    case openSSL(String)

    package var description: String {
        switch self {
        case .readableByOthers(let path):
            "\(path) can be read by other users, so it proves nothing: remove it, or chmod 600 it if nobody has read it"
        case .notOurs(let path):
            "\(path) belongs to another user; run as that user or choose another directory with --identity"
        case .notAKey(let path):
            "\(path) is no P-256 private key in PEM; move it aside and a new one is made, with a new node id"
        case .system(let path, let error):
            "the node's key \(path) cannot be read or made: \(error.reason); choose another directory with --identity"
        case .openSSL(let reason): "OpenSSL cannot make a key: \(reason)"
        }
    }
}

/// A node's key pair and the id that follows from it: the SHA-256 of the public key (SubjectPublicKeyInfo, DER).
package struct NodeIdentity: Sendable {
    package let node: NodeID
    /// PKCS #8 in PEM: for the TLS of this module only.
    let privateKey: [UInt8]

    private static let fileName = "node.key"

    /// The identity kept in `directory`, made at the first start. What is made is durable when this returns.
    package static func open(in directory: String) throws(IdentityError) -> NodeIdentity {
        let result: Result<NodeIdentity, IdentityError>
        do throws(SyscallError) { result = try openOrMake(in: directory) } catch {
            throw .system(path: "\(directory)/\(fileName)", error)
        }
        return try result.get()
    }

    private static func openOrMake(
        in directory: String
    ) throws(SyscallError) -> Result<NodeIdentity, IdentityError> {
        let path = "\(directory)/\(fileName)"
        try makeDirectories(directory)
        let folder = try Directory.open(directory)
        if let found = try load(from: folder, path: path) { return found }
        let made: NodeIdentity
        switch KeyPair.generate() {
        case .success(let pair): made = NodeIdentity(node: pair.node, privateKey: pair.pem)
        case .failure(let error): return .failure(error)
        }
        if try store(made.privateKey, in: folder) { return .success(made) }
        // Another process was quicker: its key counts.
        guard let found = try load(from: folder, path: path) else { throw SyscallError("openat", code: ENOENT) }
        return found
    }

    /// Nil where there is no key yet.
    private static func load(
        from folder: borrowing Directory, path: String
    ) throws(SyscallError) -> Result<NodeIdentity, IdentityError>? {
        guard try folder.kind(of: fileName) != nil else { return nil }
        let file = try folder.openFile(fileName, .read)
        var status = Glibc.stat()
        guard fstat(file.raw, &status) == 0 else { throw SyscallError("fstat", code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .failure(.notAKey(path: path)) }
        guard status.st_uid == geteuid() || status.st_uid == 0 else { return .failure(.notOurs(path: path)) }
        guard status.st_mode & 0o077 == 0 else { return .failure(.readableByOthers(path: path)) }
        let pem = try file.read(count: Limits.keyFileBytes, at: 0)
        guard let node = KeyPair.node(ofPrivateKey: pem) else { return .failure(.notAKey(path: path)) }
        return .success(NodeIdentity(node: node, privateKey: pem))
    }

    /// Writes the key under another name, and gives it its own only when it is whole and durable; false where there is
    /// one by now.
    private static func store(_ pem: [UInt8], in folder: borrowing Directory) throws(SyscallError) -> Bool {
        let draft = "\(fileName).\(Hex.string(UInt64.random(in: 0 ... .max), count: 16))"
        do throws(SyscallError) {
            let file = try folder.openFile(draft, .createNew, mode: 0o600)
            try file.write(pem)
            try file.synchronize()
            let isNew = try folder.renameNew(draft, to: folder, as: fileName)
            if !isNew { try folder.remove(draft) }
            try folder.synchronize()
            return isNew
        } catch {
            // The first error is the one that tells; a draft that stays is a key that nobody uses.
            do throws(SyscallError) { try folder.remove(draft) } catch {}
            throw error
        }
    }
}
