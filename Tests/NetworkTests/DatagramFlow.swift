import Glibc
import Model
import Reactor
import TestSupport

/// Numbered UDP datagrams from one host of a lab to the other, both ends in this process and on its clock.
struct DatagramFlow: CustomStringConvertible {
    struct Arrival: Sendable {
        let number: Int
        let sent: MonotonicTime
        let received: MonotonicTime
        var delay: Duration { sent.duration(to: received) }
    }

    let arrivals: [Arrival]

    var delays: [Duration] { arrivals.map(\.delay).sorted() }
    var least: Duration { delays.first ?? .zero }
    var median: Duration { delays.isEmpty ? .zero : delays[delays.count / 2] }
    var largest: Duration { delays.last ?? .zero }
    var isOrdered: Bool { zip(arrivals, arrivals.dropFirst()).allSatisfy { $0.number <= $1.number } }
    var firstToLast: Duration {
        guard let first = arrivals.first, let last = arrivals.last else { return .zero }
        return first.received.duration(to: last.received)
    }

    var description: String {
        "\(arrivals.count) after \(least.rounded) to \(largest.rounded), median \(median.rounded)"
    }

    /// Sends `count` datagrams at this pace, and gives what came until nothing had come for 300 ms.
    static func run(
        _ lab: Lab, _ way: Tether.Way, count: Int, every pace: Duration = .microseconds(200), bytes: Int = 100
    ) async throws -> DatagramFlow {
        let ends = DatagramEnds(loop: lab.loop)
        let arrivals = try await ends.run(lab, way, count: count, pace: pace, bytes: bytes)
        return DatagramFlow(arrivals: arrivals)
    }
}

/// The two sockets of a flow. Lives on the lab's loop.
private actor DatagramEnds {
    private let loop: EventLoop
    private var arrivals: [DatagramFlow.Arrival] = []
    private var lastEvent = SystemClock.monotonic()

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(loop: EventLoop) { self.loop = loop }

    private static let silence = Duration.milliseconds(300)

    func run(
        _ lab: Lab, _ way: Tether.Way, count: Int, pace: Duration, bytes: Int
    ) async throws -> [DatagramFlow.Arrival] {
        let isForward = way == .ab
        let receiver = try LabSocket.open(lab, isForward ? "b" : "a", SOCK_DGRAM)
        let sender = try LabSocket.open(lab, isForward ? "a" : "b", SOCK_DGRAM)
        let port = try LabSocket.bind(receiver.raw)
        try LabSocket.connect(sender.raw, host: isForward ? 2 : 1, port: port)
        let input = receiver.raw
        let watch = DescriptorWatch(on: loop, descriptor: input, for: .read) { [weak self] in
            self?.assumeIsolated { $0.read(input) }
        }
        watch.resume()
        let begun = SystemClock.monotonic()
        var sent = 0
        while sent < count {
            // After a pause of this process not all at once: queues on the way would lose what the tether did not.
            let due = begun.duration(to: SystemClock.monotonic()).nanoseconds / pace.nanoseconds + 1
            for _ in 0..<max(0, min(count, Int(due), sent + 20) - sent) {
                try send(sent, bytes, to: sender.raw)
                sent += 1
            }
            try await loop.sleep(for: .milliseconds(1))
        }
        while lastEvent.duration(to: SystemClock.monotonic()) < Self.silence {
            try await loop.sleep(for: .milliseconds(10))
        }
        watch.pause()
        return arrivals
    }

    private func send(_ number: Int, _ bytes: Int, to socket: Int32) throws {
        let now = SystemClock.monotonic()
        var datagram = [UInt8](repeating: 0, count: bytes)
        withUnsafeBytes(of: (Int64(number), now.nanoseconds)) { stamp in
            datagram.replaceSubrange(0..<16, with: stamp)
        }
        let code = Glibc.send(socket, datagram, datagram.count, 0)
        // An interface without a carrier has no route.
        if code < 0, errno == ENETUNREACH || errno == EHOSTUNREACH { return }
        try LabSocket.check(Int32(code), "send")
        lastEvent = now
    }

    private func read(_ socket: Int32) {
        var buffer = [UInt8](repeating: 0, count: 2048)
        while recv(socket, &buffer, buffer.count, 0) >= 16 {
            let now = SystemClock.monotonic()
            let (number, sent) = buffer.withUnsafeBytes {
                ($0.loadUnaligned(as: Int64.self), $0.loadUnaligned(fromByteOffset: 8, as: Int64.self))
            }
            arrivals.append(
                .init(number: Int(number), sent: MonotonicTime(nanoseconds: sent), received: now))
            lastEvent = now
        }
    }
}
