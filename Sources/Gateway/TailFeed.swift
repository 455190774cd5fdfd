internal import HTTP
internal import Model
internal import Reactor
internal import Storage

/// One client's tail: the frames of all that one commit brought in one piece, a heartbeat while nothing comes. Pulled,
/// so that a slow client is never waited for: it reads later, from the file.
actor TailFeed {
    private let loop: EventLoop
    private let reader: TailReader
    private let place: StreamPlaces.Place
    private let bell: AsyncStream<Void>.Continuation
    private let rings: AsyncStream<Void>
    private var lastWord = SystemClock.monotonic()
    private var isGreeted = false
    /// That all is said was said behind the last of it.
    private var isCaughtUpTold = false
    private lazy var timer = LoopTimer(on: loop) { [bell] in bell.yield() }

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    init(on loop: EventLoop, store: Store, request: TailRequest, place: StreamPlaces.Place) {
        self.loop = loop
        self.place = place
        reader = store.tail(request)
        (rings, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        store.ringTails(bell, of: request.authors)
    }

    /// The timer is the loop's.
    isolated deinit { bell.finish() }

    /// The next piece for the wire; nil ends the tail: the node stops, or the one chunk that was asked for is over.
    func next() async throws -> [UInt8]? {
        while !Task.isCancelled, !reader.isOver {
            var frames = try await reader.next()
            if !reader.isOver, reader.isCaughtUp, !frames.isEmpty || !isCaughtUpTold { frames.append(.caughtUp) }
            if !frames.isEmpty { isCaughtUpTold = frames.last == .caughtUp }
            // The first at once: whoever asked knows that the tail stands.
            if !isGreeted { frames.insert(.heartbeat, at: 0) }
            if !frames.isEmpty { return said(frames) }
            let silence = lastWord.duration(to: SystemClock.monotonic())
            if silence >= Limits.heartbeatInterval { return said([.heartbeat]) }
            timer.set(after: Limits.heartbeatInterval - silence)
            var isRung = false
            for await _ in rings {
                isRung = true
                break
            }
            timer.cancel()
            guard isRung else { return nil }
        }
        return nil
    }

    private func said(_ frames: [TailFrame]) -> [UInt8] {
        isGreeted = true
        lastWord = SystemClock.monotonic()
        return TailFrameWriter.bytes(frames)
    }
}
