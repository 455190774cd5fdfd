internal import CLinux
internal import Glibc

/// Calls its body on the loop after an interface or an address of this host changed (rtnetlink). What changed is not
/// said: look again.
package final class NetworkChanges {
    private let socket: Socket
    private let watch: DescriptorWatch
    private let settle: LoopTimer

    /// The descriptor in a box, since a closure cannot own a noncopyable value.
    private final class Socket {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

        /// Takes what is there; whether it was anything. The kernel has dropped messages (`ENOBUFS`): that is a change,
        /// too.
        func drain() throws(SyscallError) -> Bool {
            var changed = false
            while true {
                do throws(SyscallError) {
                    guard let bytes = try descriptor.readAvailable(atMost: 8192) else { return changed }
                    guard !bytes.isEmpty else { return changed }
                } catch {
                    guard error.code == ENOBUFS else { throw error }
                }
                changed = true
            }
        }
    }

    /// Call on the loop. `failed` is told of an error of the socket, after which nothing more is called.
    package init(
        on loop: EventLoop, failed: @escaping (SyscallError) -> Void, _ body: @escaping () -> Void
    ) throws(SyscallError) {
        let socket = Socket(Descriptor(adopting: try retrying("socket") { qn_network_changes_open() }))
        // One change comes as several messages: link, IPv4, IPv6.
        let settle = LoopTimer(on: loop, body)
        let pause = Pause()
        let watch = DescriptorWatch(on: loop, descriptor: socket.descriptor.raw, for: .read) {
            do throws(SyscallError) {
                if try socket.drain() { settle.set(after: .milliseconds(20)) }
            } catch {
                pause.watch?.pause()
                failed(error)
            }
        }
        pause.watch = watch
        self.socket = socket
        self.settle = settle
        self.watch = watch
        watch.resume()
    }

    private final class Pause { weak var watch: DescriptorWatch? }
}
