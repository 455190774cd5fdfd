internal import CLibevent
internal import Glibc
internal import Model

/// A libevent timer. Made, set and freed on the loop; its body is called there.
package final class LoopTimer {
    private let loop: EventLoop
    private let body: () -> Void
    private var event: OpaquePointer?

    /// Call on the loop. The timer does not run until it is set.
    package init(on loop: EventLoop, _ body: @escaping () -> Void) {
        loop.checkIsolated()
        self.loop = loop
        self.body = body
        event = event_new(
            loop.base, -1, 0,
            { _, _, context in Unmanaged<LoopTimer>.fromOpaque(context!).takeUnretainedValue().fire() },
            Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        loop.checkIsolated()
        event_free(event)
    }

    private func fire() { withExtendedLifetime(self) { body() } }

    /// Fires once, `delay` from now; set again, it forgets the earlier time.
    package func set(after delay: Duration) {
        loop.checkIsolated()
        let nanoseconds = max(0, delay.nanoseconds)
        var time = timeval(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_usec: Int((nanoseconds % 1_000_000_000 + 999) / 1000))
        event_add(event, &time)
    }

    package func cancel() {
        loop.checkIsolated()
        event_del(event)
    }
}
