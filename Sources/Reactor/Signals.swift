internal import CLibevent
internal import Glibc

/// SIGINT and SIGTERM as a bell: rings at the first, and ends the process at the third, should the orderly way hang.
package actor Signals {
    private let loop: EventLoop
    private var events: [OpaquePointer] = []
    private var count = 0
    private let bell: AsyncStream<Void>.Continuation
    package nonisolated let arrivals: AsyncStream<Void>

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    package init(on loop: EventLoop) {
        self.loop = loop
        (arrivals, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    package func listen() {
        for number in [SIGINT, SIGTERM] {
            let event = event_new(
                loop.base, number, Int16(EV_SIGNAL | EV_PERSIST),
                { _, _, context in
                    Unmanaged<Signals>.fromOpaque(context!).takeUnretainedValue().assumeIsolated { $0.arrived() }
                }, Unmanaged.passUnretained(self).toOpaque())
            event_add(event, nil)
            if let event { events.append(event) }
        }
    }

    private func arrived() {
        count += 1
        if count >= 3 { _exit(1) }
        bell.yield()
    }

    /// Stops listening; an actor's deinit may run on any thread, and events are freed on the loop.
    package func close() {
        for event in events { event_free(event) }
        events = []
        bell.finish()
    }
}
