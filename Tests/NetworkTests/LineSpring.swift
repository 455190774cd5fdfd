import Glibc
import Model
import Reactor
import TestSupport

/// An instrument on host a that prints so many lines of 100 bytes over TCP as soon as it is asked, and then says no
/// more. Lives on the lab's loop.
actor LineSpring {
    private let loop: EventLoop
    private let listener: Int32
    nonisolated let port: UInt16
    private let lineCount: Int
    private var bytes: [UInt8] = []
    private var done = 0
    private var connection: Int32 = -1
    private var watches: [DescriptorWatch] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(_ lab: Lab, lineCount: Int) throws {
        loop = lab.loop
        self.lineCount = lineCount
        listener = try LabSocket.openRaw(lab, "a", SOCK_STREAM)
        port = UInt16(bigEndian: try LabSocket.bind(listener))
        try LabSocket.check(listen(listener, 4), "listen")
    }

    /// Until `close()`.
    func open() {
        bytes.reserveCapacity(lineCount * 100)
        // Nothing that a compressing link could make less of.
        var numbers = SystemRandomNumberGenerator()
        for number in 0..<lineCount {
            var line = Array("\(1_000_000 + number),".utf8)
            while line.count < 99 { line.append(UInt8(ascii: "a") + UInt8(numbers.next() % 26)) }
            bytes += line + [UInt8(ascii: "\n")]
        }
        let watch = DescriptorWatch(on: loop, descriptor: listener, for: .read) { [weak self] in
            self?.assumeIsolated { $0.accept() }
        }
        watch.resume()
        watches = [watch]
    }

    private func accept() {
        let taken = Glibc.accept(listener, nil, nil)
        guard taken >= 0 else { return }
        _ = fcntl(taken, F_SETFL, O_NONBLOCK)
        if connection >= 0 { Glibc.close(connection) }
        connection = taken
        let watch = DescriptorWatch(on: loop, descriptor: taken, for: .write) { [weak self] in
            self?.assumeIsolated { $0.write() }
        }
        watch.resume()
        watches = [watches[0], watch]
    }

    private func write() {
        let count = bytes[done...].withUnsafeBytes {
            Glibc.send(connection, $0.baseAddress, min($0.count, 65_536), Int32(MSG_NOSIGNAL))
        }
        if count > 0 { done += count }
        if done == bytes.count { watches.removeLast() }
    }

    func close() {
        watches = []
        for socket in [connection, listener] where socket >= 0 { Glibc.close(socket) }
    }
}
