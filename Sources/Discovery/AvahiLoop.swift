internal import CAvahi
internal import CLibevent
internal import Glibc
internal import Model
internal import Reactor

/// Avahi's main-loop interface (`AvahiPoll`) on the event loop.
///
/// Avahi's time-outs are absolute wall-clock times. Each is turned into a delay when it is set, so that a clock that is
/// set afterwards neither stalls nor hastens it; what remains are the times that Avahi keeps to itself, see
/// `WallClockGauge`.
final class AvahiLoop {
    let poll: UnsafeMutablePointer<AvahiPoll>
    private let core: Core

    /// What the C functions are handed: the loop, and whom to tell of a stepped clock.
    fileprivate final class Core {
        let base: OpaquePointer
        var gauge = WallClockGauge()
        let stepped: (Duration) -> Void
        init(base: OpaquePointer, stepped: @escaping (Duration) -> Void) {
            self.base = base
            self.stepped = stepped
        }

        func look() {
            let reading = SystemClock.reading()
            if let step = gauge.step(realtime: reading.realtime, boottime: reading.boottime) { stepped(step) }
        }
    }

    /// Call on the loop. `stepped` is called, within a call of Avahi's, when the wall clock was found set by that much.
    init(on loop: EventLoop, stepped: @escaping (Duration) -> Void) {
        loop.checkIsolated()
        core = Core(base: loop.base, stepped: stepped)
        poll = .allocate(capacity: 1)
        poll.initialize(
            to: AvahiPoll(
                userdata: Unmanaged.passUnretained(core).toOpaque(), watch_new: avahiWatchNew,
                watch_update: avahiWatchUpdate, watch_get_events: avahiWatchEvents, watch_free: avahiWatchFree,
                timeout_new: avahiTimeoutNew, timeout_update: avahiTimeoutUpdate, timeout_free: avahiTimeoutFree))
    }

    deinit { poll.deallocate() }
}

/// A descriptor that Avahi waits for.
private final class Watch {
    private let base: OpaquePointer
    private let descriptor: Int32
    private let callback: AvahiWatchCallback
    private let context: UnsafeMutableRawPointer?
    private var event: OpaquePointer?
    /// Whether packets from the network come by it.
    private let isScreened: Bool
    /// What happened, while the callback runs.
    private(set) var current: UInt32 = 0

    init(
        base: OpaquePointer, descriptor: Int32, callback: @escaping AvahiWatchCallback,
        context: UnsafeMutableRawPointer?
    ) {
        self.base = base
        self.descriptor = descriptor
        self.callback = callback
        self.context = context
        var domain: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        let known = getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0
        isScreened = known && (domain == AF_INET || domain == AF_INET6)
    }

    deinit { if let event { event_free(event) } }

    func listen(for wanted: UInt32) {
        if let event { event_free(event) }
        var flags = Int16(EV_PERSIST)
        if wanted & UInt32(POLLIN) != 0 { flags |= Int16(EV_READ) }
        // The D-Bus glue of avahi-common 0.8 passes D-Bus's flag for "writable" here untranslated, which is POLLPRI.
        if wanted & UInt32(POLLOUT | POLLPRI) != 0 { flags |= Int16(EV_WRITE) }
        event = event_new(
            base, descriptor, flags,
            { _, what, context in
                guard let context else { return }
                Unmanaged<Watch>.fromOpaque(context).takeUnretainedValue().fire(what)
            }, Unmanaged.passUnretained(self).toOpaque())
        event_add(event, nil)
    }

    private func fire(_ what: Int16) {
        if isScreened, what & Int16(EV_READ) != 0, !PacketScreen.admits(from: descriptor) { return }
        // The callback may free this watch.
        withExtendedLifetime(self) {
            current =
                (what & Int16(EV_READ) != 0 ? UInt32(POLLIN) : 0) | (what & Int16(EV_WRITE) != 0 ? UInt32(POLLOUT) : 0)
            callback(handle, descriptor, AvahiWatchEvent(rawValue: current), context)
            current = 0
        }
    }

    func retire() {
        if let event { event_free(event) }
        event = nil
    }

    private var handle: OpaquePointer { OpaquePointer(Unmanaged.passUnretained(self).toOpaque()) }

    static func of(_ handle: OpaquePointer?) -> Unmanaged<Watch> {
        guard let handle else { preconditionFailure("Avahi names the watch it means") }
        return Unmanaged.fromOpaque(UnsafeRawPointer(handle))
    }
}

private func avahiWatchNew(
    _ api: UnsafePointer<AvahiPoll>?, _ descriptor: Int32, _ wanted: AvahiWatchEvent,
    _ callback: AvahiWatchCallback?, _ context: UnsafeMutableRawPointer?
) -> OpaquePointer? {
    guard let core = loopCore(api), let callback else { return nil }
    let watch = Watch(base: core.base, descriptor: descriptor, callback: callback, context: context)
    watch.listen(for: wanted.rawValue)
    return OpaquePointer(Unmanaged.passRetained(watch).toOpaque())
}

private func avahiWatchUpdate(_ handle: OpaquePointer?, _ wanted: AvahiWatchEvent) {
    Watch.of(handle).takeUnretainedValue().listen(for: wanted.rawValue)
}

private func avahiWatchEvents(_ handle: OpaquePointer?) -> AvahiWatchEvent {
    AvahiWatchEvent(rawValue: Watch.of(handle).takeUnretainedValue().current)
}

private func avahiWatchFree(_ handle: OpaquePointer?) {
    let reference = Watch.of(handle)
    reference.takeUnretainedValue().retire()
    reference.release()
}

private func loopCore(_ api: UnsafePointer<AvahiPoll>?) -> AvahiLoop.Core? {
    guard let context = api?.pointee.userdata else { return nil }
    return Unmanaged<AvahiLoop.Core>.fromOpaque(context).takeUnretainedValue()
}

/// A time that Avahi waits for.
private final class Timeout {
    private let core: AvahiLoop.Core
    private let callback: AvahiTimeoutCallback
    private let context: UnsafeMutableRawPointer?
    private var event: OpaquePointer?

    init(core: AvahiLoop.Core, callback: @escaping AvahiTimeoutCallback, context: UnsafeMutableRawPointer?) {
        self.core = core
        self.callback = callback
        self.context = context
        event = event_new(
            core.base, -1, 0,
            { _, _, context in
                guard let context else { return }
                Unmanaged<Timeout>.fromOpaque(context).takeUnretainedValue().fire()
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func set(_ time: UnsafePointer<timeval>?) {
        core.look()
        guard let time else {
            event_del(event)
            return
        }
        let microseconds = WallClockGauge.delayMicroseconds(
            untilSeconds: Int64(time.pointee.tv_sec), microseconds: Int64(time.pointee.tv_usec),
            realtime: SystemClock.reading().realtime)
        var delay = timeval(tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
        // libevent reckons from the beginning of this turn of the loop: a callback a little early makes Avahi wait
        // anew, and again.
        event_base_update_cache_time(core.base)
        event_add(event, &delay)
    }

    private func fire() {
        core.look()
        withExtendedLifetime(self) { callback(handle, context) }
    }

    func retire() {
        if let event { event_free(event) }
        event = nil
    }

    private var handle: OpaquePointer { OpaquePointer(Unmanaged.passUnretained(self).toOpaque()) }

    static func of(_ handle: OpaquePointer?) -> Unmanaged<Timeout> {
        guard let handle else { preconditionFailure("Avahi names the time-out it means") }
        return Unmanaged.fromOpaque(UnsafeRawPointer(handle))
    }
}

private func avahiTimeoutNew(
    _ api: UnsafePointer<AvahiPoll>?, _ time: UnsafePointer<timeval>?, _ callback: AvahiTimeoutCallback?,
    _ context: UnsafeMutableRawPointer?
) -> OpaquePointer? {
    guard let core = loopCore(api), let callback else { return nil }
    let timeout = Timeout(core: core, callback: callback, context: context)
    timeout.set(time)
    return OpaquePointer(Unmanaged.passRetained(timeout).toOpaque())
}

private func avahiTimeoutUpdate(_ handle: OpaquePointer?, _ time: UnsafePointer<timeval>?) {
    Timeout.of(handle).takeUnretainedValue().set(time)
}

private func avahiTimeoutFree(_ handle: OpaquePointer?) {
    let reference = Timeout.of(handle)
    reference.takeUnretainedValue().retire()
    reference.release()
}
