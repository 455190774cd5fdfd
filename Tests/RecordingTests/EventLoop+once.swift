import Reactor

extension EventLoop {
    /// Runs `body` on a loop made for it.
    static func once<Success: Sendable>(
        _ body: @escaping @Sendable (EventLoop) async throws -> Success
    ) throws -> Success {
        let loop = EventLoop(name: "once")
        defer { loop.stop() }
        return try loop.runBlocking { try await body(loop) }
    }
}
