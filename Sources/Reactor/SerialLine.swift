internal import CLinux
internal import Glibc
package import Model

/// An open serial line: raw, 8N1, exclusive to this process, on the event loop. Made, used and freed there.
///
/// Bytes are handed over as they arrive, with the clocks read once at their arrival. After a hang-up nothing more is
/// called; a removed adapter's path is opened anew by whoever wants it back.
package final class SerialLine {
    package enum Event: Sendable {
        case received([UInt8], at: ClockReading)
        /// The line is gone: the adapter was pulled out, or the other end of a pseudo-terminal closed.
        case hungUp(SerialLineError)
    }

    package let path: String
    private let loop: EventLoop
    private let receive: (Event) -> Void
    private var state: State
    private var outgoing: [UInt8] = []

    private enum State {
        case open(OpenLine)
        case closed
    }

    /// What lives as long as the line is open. The watches are freed before the descriptor is closed.
    private final class OpenLine {
        let descriptor: Descriptor
        var reading: DescriptorWatch?
        var writing: DescriptorWatch?

        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

        func release() {
            (reading, writing) = (nil, nil)
            // Both fail on a line that is gone already, which is no news. Without the first, close(2) may wait for the
            // device to take what is queued; without the second, a pseudo-terminal stays exclusive for as long as its
            // other end lives.
            _ = qn_tty_discard_output(descriptor.raw)
            _ = qn_tty_shared(descriptor.raw)
        }
    }

    /// Opens `path` and begins to read. Call on the loop; `receive` is called there, never before this returns.
    package static func open(
        _ path: String, baud: Int, on loop: EventLoop, receive: @escaping (Event) -> Void
    ) throws(SerialLineError) -> SerialLine {
        loop.checkIsolated()
        let descriptor = try openDescriptor(path)
        guard isatty(descriptor.raw) == 1 else { throw .notATerminal(path: path) }
        do {
            // TIOCEXCL does not stop root, flock does not stop those who do not ask: together they serve.
            guard try descriptor.lockExclusively() else { throw SerialLineError.busy(path: path) }
        } catch let error as SyscallError {
            throw .system(error, path: path)
        } catch {
            throw .busy(path: path)
        }
        let raw = descriptor.raw
        do {
            _ = try retrying("ioctl TIOCEXCL") { qn_tty_exclusive(raw) }
            _ = try retrying("tcsetattr") { qn_tty_raw(raw, Int32(clamping: baud)) }
        } catch {
            throw error.code == EINVAL ? .unsupportedBaud(path: path, baud: baud) : .system(error, path: path)
        }
        return SerialLine(path: path, descriptor: descriptor, loop: loop, receive: receive)
    }

    private static func openDescriptor(_ path: String) throws(SerialLineError) -> Descriptor {
        do {
            // Without O_NONBLOCK, open(2) waits for a carrier that three-wire cables never have.
            let flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC
            return Descriptor(adopting: try retrying("open") { qn_openat(AT_FDCWD, path, flags, 0) })
        } catch {
            throw SerialLineError(opening: path, error)
        }
    }

    private init(path: String, descriptor: consuming Descriptor, loop: EventLoop, receive: @escaping (Event) -> Void) {
        self.path = path
        self.loop = loop
        self.receive = receive
        let line = OpenLine(descriptor)
        state = .open(line)
        line.reading = DescriptorWatch(on: loop, descriptor: line.descriptor.raw, for: .read) { [unowned self] in
            readable()
        }
        line.writing = DescriptorWatch(on: loop, descriptor: line.descriptor.raw, for: .write) { [unowned self] in
            flush()
        }
        line.reading?.resume()
    }

    deinit {
        loop.checkIsolated()
        close()
    }

    /// Sends `bytes` after what still waits; what the device does not take at once waits, up to a limit.
    package func send(_ bytes: [UInt8]) throws(SerialLineError) {
        loop.checkIsolated()
        guard case .open = state else { throw .closed(path: path) }
        guard outgoing.count + bytes.count <= Limits.serialSendBytes else { throw .stalled(path: path) }
        outgoing += bytes
        flush()
    }

    /// No event comes after this.
    package func close() {
        loop.checkIsolated()
        guard case .open(let line) = state else { return }
        state = .closed
        outgoing = []
        line.release()
    }

    private func readable() {
        guard case .open(let line) = state else { return }
        let at = SystemClock.reading()
        do {
            // VMIN is 1: an idle line has nothing to give, and an empty read means that it is gone.
            guard let bytes = try line.descriptor.readAvailable(atMost: 4096) else { return }
            if bytes.isEmpty { hungUp(.absent(path: path)) } else { receive(.received(bytes, at: at)) }
        } catch {
            hungUp(SerialLineError(opening: path, error))
        }
    }

    private func flush() {
        guard case .open(let line) = state else { return }
        do {
            outgoing.removeFirst(try line.descriptor.writeAvailable(outgoing[...]))
        } catch {
            return hungUp(SerialLineError(opening: path, error))
        }
        if outgoing.isEmpty { line.writing?.pause() } else { line.writing?.resume() }
    }

    private func hungUp(_ error: SerialLineError) {
        close()
        receive(.hungUp(error))
    }
}
