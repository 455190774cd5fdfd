import Glibc
import Model
import Reactor
import TestSupport

/// One TCP connection from host a to host b, as fast as it goes. Lives on the lab's loop.
actor ByteStream {
    private let loop: EventLoop
    private var rest: Int
    private var accepted: Int32 = -1
    private var watches: [DescriptorWatch] = []
    private var end: CheckedContinuation<Void, Never>?
    private let block = [UInt8](repeating: 0x55, count: 262_144)
    private var buffer = [UInt8](repeating: 0, count: 262_144)

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private init(loop: EventLoop, bytes: Int) {
        self.loop = loop
        rest = bytes
    }

    /// How long it takes until so many bytes have arrived.
    static func seconds(_ lab: Lab, bytes: Int) async throws -> Double {
        try await ByteStream(loop: lab.loop, bytes: bytes).run(lab)
    }

    private func run(_ lab: Lab) async throws -> Double {
        let listener = try LabSocket.open(lab, "b", SOCK_STREAM)
        let sender = try LabSocket.open(lab, "a", SOCK_STREAM)
        let port = try LabSocket.bind(listener.raw)
        try LabSocket.check(listen(listener.raw, 1), "listen")
        let begun = SystemClock.monotonic()
        try LabSocket.connect(sender.raw, host: 2, port: port)
        let (hearing, speaking) = (listener.raw, sender.raw)
        watch(hearing, .read) { $0.accept(hearing) }
        watch(speaking, .write) { $0.write(speaking) }
        await withCheckedContinuation { end = $0 }
        watches = []
        close(accepted)
        return begun.duration(to: SystemClock.monotonic()).inSeconds
    }

    private func watch(
        _ socket: Int32, _ readiness: DescriptorWatch.Readiness,
        _ body: @escaping @Sendable (isolated ByteStream) -> Void
    ) {
        let watch = DescriptorWatch(on: loop, descriptor: socket, for: readiness) { [weak self] in
            self?.assumeIsolated { body($0) }
        }
        watch.resume()
        watches.append(watch)
    }

    private func accept(_ listener: Int32) {
        guard accepted < 0 else { return }
        accepted = Glibc.accept(listener, nil, nil)
        _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
        let socket = accepted
        watch(socket, .read) { $0.read(socket) }
    }

    private func write(_ socket: Int32) {
        _ = Glibc.send(socket, block, block.count, Int32(MSG_NOSIGNAL))
    }

    private func read(_ socket: Int32) {
        let count = recv(socket, &buffer, buffer.count, 0)
        guard count > 0 else { return }
        rest -= count
        guard rest <= 0, let end else { return }
        self.end = nil
        end.resume()
    }
}
