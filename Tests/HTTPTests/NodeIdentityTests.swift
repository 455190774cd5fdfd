import Glibc
import Model
import Reactor
import Testing

@testable import HTTP

@Suite struct NodeIdentityTests {
    @Test("an identity is made once, and the same ever after")
    func madeOnce() async throws {
        try await withTemporaryFolder { folder in
            let made = try NodeIdentity.open(in: "\(folder)/identity")
            #expect(try NodeIdentity.open(in: "\(folder)/identity").node == made.node)
            #expect(try NodeIdentity.open(in: "\(folder)/other").node != made.node)
            #expect(try Directory.open("\(folder)/identity").names() == ["node.key"])
            var status = stat()
            #expect(stat("\(folder)/identity/node.key", &status) == 0 && status.st_mode & 0o7777 == 0o600)
        }
    }

    @Test("the id is the digest of the public key, as openssl reckons it")
    func knownKey() async throws {
        try await withTemporaryFolder { folder in
            try write(Self.knownKey, to: folder)
            #expect(try NodeIdentity.open(in: folder).node.description == Self.knownID)
        }
    }

    @Test("a key that others can read, and what is no P-256 key, are refused and left alone")
    func refused() async throws {
        try await withTemporaryFolder { folder in
            try write(Self.knownKey, to: folder, mode: 0o640)
            #expect(throws: IdentityError.readableByOthers(path: "\(folder)/node.key")) {
                try NodeIdentity.open(in: folder)
            }
        }
        for text in ["", "hello", Self.otherCurve, Self.encrypted, String(Self.knownKey.prefix(100))] {
            try await withTemporaryFolder { folder in
                try write(text, to: folder)
                #expect(throws: IdentityError.notAKey(path: "\(folder)/node.key")) { try NodeIdentity.open(in: folder) }
                #expect(try Directory.open(folder).length(of: "node.key") == Int64(text.utf8.count))
            }
        }
        try await withTemporaryFolder { folder in
            #expect(symlink("/etc/passwd", "\(folder)/node.key") == 0)
            #expect(throws: IdentityError.self) { try NodeIdentity.open(in: folder) }
        }
    }

    #if DEBUG
        @Test("a fault at any system call leaves no half key behind")
        func faults() async throws {
            var call = 1
            var failures = 0
            while true {
                let plan = FaultPlan(.fail(code: EIO), at: call)
                try await withTemporaryFolder { folder in
                    let made = FaultPlan.$current.withValue(plan) { try? NodeIdentity.open(in: folder) }
                    if made == nil { failures += 1 }
                    let after = try NodeIdentity.open(in: folder)
                    if let made { #expect(made.node == after.node) }
                }
                if plan.callCount < call { break }
                call += 1
            }
            #expect(failures >= 6)
        }
    #endif

    private func write(_ text: String, to folder: String, mode: UInt32 = 0o600) throws {
        let file = try Directory.open(folder).openFile("node.key", .createNew, mode: mode)
        try file.changeMode(mode)
        if !text.isEmpty { try file.write(Array(text.utf8)) }
    }

    private static let knownID = "c8c62c53e6fbfc1009e7059330250fa217cfc8db7af351956f723eba8995ae3f"

    private static let knownKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/fyvHPP1Q3UwYIte
        a/1t2wDrqJhwNcRIZA9N+18wOrKhRANCAASpDngXkU9QNKCW2h6dmypSODB5JTBb
        iSQ6QMOeZb4vS/7eufjh88YgLYJx6yb2+sZR5GbTQA9BnBwi5OAcgBEE
        -----END PRIVATE KEY-----

        """

    private static let otherCurve = """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDXhnuP0WvUZC5rTKu5
        CcG90ya6L9gLmumaJKkXBlhaUyIPgyXnzI04xkUFR4YclfKhZANiAAS5+EZWzRMe
        nViPcCkjC917NNQNl2bgdvRhzWBI/kmXiiRlS7ZODRXwoZOob4b2gDdcJRsZkgw5
        HV/W2PvXZ8JHqqppNEhz29wPYSJjVXDaLrvvd70DCZmyezEND2hVpi8=
        -----END PRIVATE KEY-----

        """

    private static let encrypted = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi90wXugwNfMQICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECwGtDLH69cZY6qIp9suw7cEgZC2
        V1PthshU1MysxeptWZDy7Y8fn+Tjf0Zl/CyGkaq+ibNMsyxFZaqiHjpj0NKeaBOz
        AsUw0PiCsy3izM2WQsiNtmigRKCeuzwZu1w9w7pOw+nnZr8za1598WuFAPDtyn4u
        u64IapEj5I8ivRkS0LaS/TPhHj7dp+dsX2rSBE8EthYlQZMSDV3KuSbix4CdWxc=
        -----END ENCRYPTED PRIVATE KEY-----

        """
}
