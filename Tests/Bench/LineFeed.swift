import Glibc
import Reactor

/// An instrument that prints lines over TCP: the bench listens, a node dials.
final class LineFeed {
    let port: UInt16
    private let listener: Descriptor
    private var connection: Int32 = -1

    init() throws {
        port = try Place.freePort()
        listener = Descriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = loopbackAddress(port)
        let raw = listener.raw
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0, listen(raw, 4) == 0, fcntl(raw, F_SETFL, O_NONBLOCK) == 0 else {
            throw BenchError("no port for lines")
        }
    }

    deinit { hangUp() }

    /// Ends the connection; the next `send` waits for another.
    func hangUp() {
        if connection >= 0 { close(connection) }
        connection = -1
    }

    /// False while nobody has dialled.
    func send(_ text: [UInt8]) throws -> Bool {
        if connection < 0 { connection = accept(listener.raw, nil, nil) }
        guard connection >= 0 else { return false }
        var done = 0
        while done < text.count {
            let sent = text.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress! + done, text.count - done, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { throw BenchError("the node hung up on its instrument") }
            done += sent
        }
        return true
    }
}

func loopbackAddress(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    address.sin_port = port.bigEndian
    return address
}

/// One request as any client makes it.
enum PlainRequest {
    /// Length of the answer's body; nil where nobody listens or the answer is no 200.
    static func get(_ path: String, port: UInt16) -> Int? {
        let client = Descriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        let raw = client.raw
        var time = timeval(tv_sec: 120, tv_usec: 0)
        setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var address = loopbackAddress(port)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { return nil }
        let text = Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n\r\n".utf8)
        guard Glibc.send(raw, text, text.count, Int32(MSG_NOSIGNAL)) == text.count else { return nil }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let taken = recv(raw, &buffer, buffer.count, 0)
            guard taken > 0 else { break }
            answer += buffer[..<taken]
        }
        guard answer.starts(with: Array("HTTP/1.1 200".utf8)) else { return nil }
        let end = answer.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound
        return end.map { answer.count - $0 }
    }
}
