import Foundation
import Model
import Reactor

/// A temporary directory and a loop; both are gone at the end.
struct Scratch: Sendable {
    let path: String
    let loop: EventLoop

    static func run(_ body: @escaping @Sendable (Scratch) async throws -> Void) throws {
        let manager = FileManager.default
        let path = manager.temporaryDirectory.appending(path: "qnode-soak-\(UniqueID.random())").path()
        try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
        let loop = EventLoop(name: "soak")
        defer {
            loop.stop()
            // To look at what a failed run left.
            if ProcessInfo.processInfo.environment["SOAK_KEEP"] == nil { try? manager.removeItem(atPath: path) }
        }
        try loop.runBlocking { try await body(Scratch(path: path, loop: loop)) }
    }

    /// A port of this machine that nobody has.
    static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw NodeProcess.Failure(description: "no port is free") }
        return UInt16(bigEndian: address.sin_port)
    }
}
