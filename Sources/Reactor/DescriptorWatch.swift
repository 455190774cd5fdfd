internal import CLibevent
internal import Glibc

/// Calls its body on the loop whenever a descriptor can be read or written. The descriptor stays its owner's.
package final class DescriptorWatch {
    package enum Readiness: Sendable { case read, write }

    private let loop: EventLoop
    private let body: () -> Void
    private var event: OpaquePointer?

    /// Call on the loop. Nothing is watched until `resume()`.
    package init(on loop: EventLoop, descriptor: Int32, for readiness: Readiness, _ body: @escaping () -> Void) {
        loop.checkIsolated()
        self.loop = loop
        self.body = body
        let flags = Int16(EV_PERSIST) | Int16(readiness == .read ? EV_READ : EV_WRITE)
        event = event_new(
            loop.base, descriptor, flags,
            { _, _, context in Unmanaged<DescriptorWatch>.fromOpaque(context!).takeUnretainedValue().fire() },
            Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        loop.checkIsolated()
        event_free(event)
    }

    private func fire() { withExtendedLifetime(self) { body() } }

    package func resume() {
        loop.checkIsolated()
        event_add(event, nil)
    }

    /// Nothing is called until `resume()`: back-pressure is not reading.
    package func pause() {
        loop.checkIsolated()
        event_del(event)
    }
}
