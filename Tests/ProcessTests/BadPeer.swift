import Foundation
import Glibc

/// Plain blocking sockets on 127.0.0.1 for what no node would send.
enum Loopback {
    static func connect(port: Int) throws -> Int32 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = Self.address(port: port)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            close(socket)
            throw ProgramError(description: "cannot connect to port \(port)")
        }
        return socket
    }

    static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return address
    }

    static func send(_ bytes: [UInt8], to socket: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// The next bytes; empty at the end.
    static func receive(_ socket: Int32) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        let count = recv(socket, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : []
    }
}

/// A server whose every connection is served by a closure on a thread of its own.
final class BadPeer: @unchecked Sendable {
    private(set) var port = 0
    private let listener: Int32
    private let lock = NSLock()
    private var connections: Set<Int32> = []
    private var isOver = false
    private var count = 0

    init(_ serve: @escaping @Sendable (_ peer: BadPeer, _ socket: Int32) -> Void) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = Loopback.address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound else { throw ProgramError(description: "cannot listen") }
        port = Int(in_port_t(bigEndian: address.sin_port))
        Thread.detachNewThread { [self, listener] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                guard keep(connection) else { return _ = Glibc.close(connection) }
                Thread.detachNewThread {
                    serve(self, connection)
                    self.drop(connection)
                }
            }
        }
    }

    /// How many came.
    var visits: Int { lock.withLock { count } }

    /// A connection that ends with the server.
    func keep(_ connection: Int32) -> Bool {
        lock.withLock {
            count += 1
            if !isOver { connections.insert(connection) }
            return !isOver
        }
    }

    func drop(_ connection: Int32) {
        lock.withLock { if connections.remove(connection) != nil { close(connection) } }
    }

    func stop() {
        lock.withLock {
            isOver = true
            for connection in connections { shutdown(connection, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }
}

/// Stands between a node and its peer, and may change the bytes of chunks and tails on the way.
final class Falsifier: @unchecked Sendable {
    private let lock = NSLock()
    private var lies = true

    var isLying: Bool {
        get { lock.withLock { lies } }
        set { lock.withLock { lies = newValue } }
    }

    func serve(_ peer: BadPeer, _ client: Int32, port: Int) {
        guard let server = try? Loopback.connect(port: port), peer.keep(server) else { return }
        let asksForChunk = Flag()
        Thread.detachNewThread {
            while true {
                let bytes = Loopback.receive(client)
                if bytes.isEmpty { break }
                let request = String(decoding: bytes, as: UTF8.self)
                // A request's body may come by itself.
                if request.hasPrefix("GET ") || request.hasPrefix("POST ") {
                    // Most of a tail would be right whatever stands last in it: it is refused.
                    if self.isLying, request.hasPrefix("POST /v1/tail") { break }
                    asksForChunk.value = request.hasPrefix("GET /v1/chunks/") || request.hasPrefix("POST /v1/chunks")
                }
                if !Loopback.send(bytes, to: server) { break }
            }
            shutdown(server, Int32(SHUT_WR))
        }
        while true {
            var bytes = Loopback.receive(server)
            if bytes.isEmpty { break }
            if asksForChunk.value, isLying, let place = Self.lastOfBody(bytes) { bytes[place] ^= 1 }
            if !Loopback.send(bytes, to: client) { break }
        }
        shutdown(client, Int32(SHUT_RDWR))
        peer.drop(server)
    }
}

extension Falsifier {
    /// The last byte that is not the framing's; nil for a head that comes alone.
    fileprivate static func lastOfBody(_ bytes: [UInt8]) -> Int? {
        for end in ["\r\n0\r\n\r\n", "0\r\n\r\n"] where bytes.suffix(end.utf8.count).elementsEqual(Array(end.utf8)) {
            return bytes.count > 40 ? bytes.count - end.utf8.count - 1 : nil
        }
        if bytes.suffix(4).elementsEqual(Array("\r\n\r\n".utf8)) { return nil }
        return bytes.suffix(2).elementsEqual(Array("\r\n".utf8)) && bytes.count > 40 ? bytes.count - 3 : bytes.count - 1
    }
}

/// A switch between two threads.
private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var state = false
    var value: Bool {
        get { lock.withLock { state } }
        set { lock.withLock { state = newValue } }
    }
}
