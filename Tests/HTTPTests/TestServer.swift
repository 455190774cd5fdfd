import Glibc
import Model
import Reactor
import Testing

@testable import HTTP

/// One loop for all tests: as in a node, everything of the network shares it.
let testLoop = EventLoop(name: "test")

/// Runs a server on 127.0.0.1 while `body` runs, and sees that it ends.
func withServer(
    _ settings: HTTPServer.Settings = HTTPServer.Settings(), on address: String = "127.0.0.1:0", stop: Duration = .zero,
    handler: @escaping HTTPServer.Handler, _ body: @escaping @Sendable (Endpoint, HTTPServer) async throws -> Void
) async throws {
    let server = HTTPServer(on: testLoop, settings: settings, handler: handler)
    let endpoint = try await server.listen(on: try #require(Endpoint(address)))
    let running = testLoop.spawn { await server.run() }
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(endpoint, server)) } catch { outcome = .failure(error) }
    await server.stop(within: stop)
    _ = await running.result
    #expect(await server.counts.open == 0)
    try outcome.get()
}

/// A peer that sends exactly the bytes it is told, well formed or not.
struct RawPeer: Sendable {
    let channel: Channel

    static func connect(_ endpoint: Endpoint, receiveBuffer: Int? = nil) async throws -> RawPeer {
        let address = try #require(SocketAddress(numeric: endpoint.host, port: endpoint.port))
        return RawPeer(
            channel: try await Channel.connect(
                to: address, on: testLoop, by: SystemClock.monotonic().advanced(by: .seconds(10)),
                receiveBuffer: receiveBuffer, timing: Channel.Timing()))
    }

    func send(_ text: String) async throws { try await channel.write(Array(text.utf8)) }

    /// Everything until the peer ends the connection.
    func readToEnd() async throws -> String { String(decoding: try await readBytesToEnd(), as: UTF8.self) }

    func readBytesToEnd() async throws -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = try await channel.read(by: SystemClock.monotonic().advanced(by: .seconds(10))) {
            all += bytes
        }
        return all
    }

    /// Reads until the text that has come ends with `suffix`.
    func read(until suffix: String) async throws -> String {
        var all: [UInt8] = []
        while !all.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) {
            all += try #require(try await channel.read(by: SystemClock.monotonic().advanced(by: .seconds(10))))
        }
        return String(decoding: all, as: UTF8.self)
    }

    func halfClose() async { await channel.endOutput() }
    func close() async { await channel.close() }
}

/// Sends `text` on a connection of its own, and gives what comes back until its end.
func rawExchange(_ endpoint: Endpoint, _ text: String) async throws -> String {
    let peer = try await RawPeer.connect(endpoint)
    do {
        try await peer.send(text)
        let answer = try await peer.readToEnd()
        await peer.close()
        return answer
    } catch {
        await peer.close()
        throw error
    }
}

extension String {
    /// The status code of the response that this is.
    var statusCode: Int? { split(separator: " ").dropFirst().first.flatMap { Int($0) } }
}

/// Bytes that differ from place to place, so that a shift or a hole shows.
func patterned(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        var index = 0
        while index < count {
            buffer[index] = UInt8(truncatingIfNeeded: index &* 7 &+ index >> 8)
            index += 1
        }
        filled = count
    }
}

extension RawPeer {
    static func connect(unix path: String) async throws -> RawPeer {
        let address = try #require(SocketAddress(unixPath: path))
        return RawPeer(
            channel: try await Channel.connect(
                to: address, on: testLoop, by: SystemClock.monotonic().advanced(by: .seconds(10)), receiveBuffer: nil,
                timing: Channel.Timing()))
    }
}

/// Rung once, waited for once.
struct Bell: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1)) }

    func ring() { continuation.yield() }
    func wait() async {
        for await _ in stream { return }
    }
}

/// Tells when the last closure that holds it has gone.
final class Guardian: Sendable {
    private let gone: @Sendable () -> Void
    init(_ gone: @escaping @Sendable () -> Void) { self.gone = gone }
    deinit { gone() }
}

/// A folder of the test's own, removed with what is in it.
func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
    var template = Array(((getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp") + "/http-XXXXXX").utf8CString)
    let path = try #require(mkdtemp(&template).map { String(cString: $0) })
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(path)) } catch { outcome = .failure(error) }
    try removeFolder(path)
    try outcome.get()
}

private func removeFolder(_ path: String) throws {
    let folder = try Directory.open(path)
    for name in try folder.names() {
        if try folder.kind(of: name) == .directory {
            try removeFolder("\(path)/\(name)")
        } else {
            try folder.remove(name)
        }
    }
    rmdir(path)
}
