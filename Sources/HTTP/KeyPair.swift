internal import COpenSSL
internal import Model

/// P-256 keys as OpenSSL has them. Every handle is freed where it was made.
enum KeyPair {
    struct Generated {
        let node: NodeID
        let pem: [UInt8]
    }

    static func generate() -> Result<Generated, IdentityError> {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { return .failure(lastError()) }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &key) == 1, let key
        else { return .failure(lastError()) }
        defer { EVP_PKEY_free(key) }
        guard let pem = pem(of: key), let node = node(of: key) else { return .failure(lastError()) }
        return .success(Generated(node: node, pem: pem))
    }

    /// The id that follows from a private key in PEM; nil where it is no P-256 key.
    static func node(ofPrivateKey pem: [UInt8]) -> NodeID? {
        let key = pem.withUnsafeBytes { buffer -> OpaquePointer? in
            guard let base = buffer.baseAddress, let source = BIO_new_mem_buf(base, Int32(buffer.count)) else {
                return nil
            }
            defer { BIO_free(source) }
            // Without a callback of ours, OpenSSL would ask for a passphrase on the terminal.
            return PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
        }
        ERR_clear_error()
        guard let key else { return nil }
        defer { EVP_PKEY_free(key) }
        guard EVP_PKEY_get_base_id(key) == EVP_PKEY_EC else { return nil }
        var name = [CChar](repeating: 0, count: 64)
        var length = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1 else { return nil }
        let group = String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard group == "prime256v1" || group == "P-256" else { return nil }
        return node(of: key)
    }

    private static func node(of key: OpaquePointer) -> NodeID? {
        var der: UnsafeMutablePointer<UInt8>?
        let length = i2d_PUBKEY(key, &der)
        guard length > 0, let der else { return nil }
        defer { CRYPTO_free(der, #file, #line) }
        var digest = [UInt8](repeating: 0, count: Digest256.byteCount)
        var digestLength: UInt32 = 0
        guard EVP_Digest(der, Int(length), &digest, &digestLength, EVP_sha256(), nil) == 1 else { return nil }
        return Digest256(bytes: digest).map { NodeID(digest: $0) }
    }

    private static func pem(of key: OpaquePointer) -> [UInt8]? {
        guard let target = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(target) }
        guard PEM_write_bio_PKCS8PrivateKey(target, key, nil, nil, 0, nil, nil) == 1 else { return nil }
        var pem = [UInt8](repeating: 0, count: Limits.keyFileBytes)
        let length = BIO_read(target, &pem, Int32(pem.count))
        guard length > 0 else { return nil }
        return Array(pem.prefix(Int(length)))
    }

    private static func lastError() -> IdentityError {
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(ERR_get_error(), &text, text.count)
        ERR_clear_error()
        return .openSSL(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
