import Discovery
import FoundationEssentials
import Glibc
import Model
import Reactor

/// A node's discovery alone, for tests to run inside network namespaces: one line of JSON on stdout whenever something
/// changed, until stdin ends.
///
/// `discovery-probe ID NAME ROLE PORT MODE [INTERFACE...]`
@main
enum DiscoveryProbe {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count >= 5, let role = Role(rawValue: arguments[2]), let port = UInt16(arguments[3]),
            let mode = DiscoveryMode(rawValue: arguments[4])
        else {
            print("usage: discovery-probe ID NAME ROLE PORT MODE [INTERFACE...]")
            exit(2)
        }
        let started = SystemClock.monotonic()
        let loop = EventLoop(name: "mdns")
        let service = DiscoveryService(
            loop: loop,
            advertisement: Advertisement(
                name: arguments[1], idPrefix: arguments[0], role: role, bootID: SystemClock.bootID, port: port),
            mode: mode, interfaces: Array(arguments.dropFirst(5)),
            log: Log(source: arguments[1], level: getenv("PROBE_LOG") == nil ? .warning : .debug))
        try loop.runBlocking {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await service.run() }
                group.addTask { try await report(service, since: started) }
                group.addTask { await endOfInput(loop) }
                // The reports end with the service; the service ends when the input does.
                while try await group.next() != nil { group.cancelAll() }
            }
        }
        loop.stop()
    }

    private struct Report: Encodable {
        struct Peer: Encodable {
            let instance: String
            let id: String
            let role: String?
            let boot: String?
            let endpoints: [String]
        }
        let at: Int64
        let responder: String
        let reason: String
        let announcedAs: String?
        let fault: String?
        let invalid: Int64
        let peers: [Peer]
    }

    private static func report(_ service: DiscoveryService, since started: MonotonicTime) async throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        for await _ in await service.changed() {
            let status = await service.status
            let peers = await service.sightings.map {
                Report.Peer(
                    instance: $0.instance, id: $0.idPrefix, role: $0.role?.rawValue, boot: $0.boot,
                    endpoints: $0.endpoints.map(\.description))
            }
            let report = Report(
                at: started.duration(to: SystemClock.monotonic()).nanoseconds / 1_000_000,
                responder: status.responder.rawValue, reason: status.reason, announcedAs: status.announcedAs,
                fault: status.fault, invalid: status.invalidRecords, peers: peers)
            let line = [UInt8](try encoder.encode(report)) + [UInt8(ascii: "\n")]
            guard line.withUnsafeBytes({ write(1, $0.baseAddress, $0.count) }) == line.count else { return }
        }
    }

    private static func endOfInput(_ loop: EventLoop) async {
        let input = Input(loop: loop)
        await withTaskCancellationHandler {
            await input.ended()
        } onCancel: {
            loop.spawn { await input.end() }
        }
    }
}

/// Waits until standard input ends.
private actor Input {
    private let loop: EventLoop
    private var watch: DescriptorWatch?
    private var waiter: CheckedContinuation<Void, Never>?
    private var isOver = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(loop: EventLoop) { self.loop = loop }

    func ended() async {
        await withCheckedContinuation { continuation in
            guard !isOver else { return continuation.resume() }
            waiter = continuation
            watch = DescriptorWatch(on: loop, descriptor: 0, for: .read) { [weak self] in
                self?.assumeIsolated { $0.read() }
            }
            watch?.resume()
        }
    }

    private func read() {
        var byte: UInt8 = 0
        if Glibc.read(0, &byte, 1) <= 0 { end() }
    }

    func end() {
        isOver = true
        watch = nil
        waiter?.resume()
        waiter = nil
    }
}
