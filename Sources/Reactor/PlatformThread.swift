internal import CLinux
internal import Glibc

/// Starts a joinable thread with a name for debuggers and a stack of its own size.
func startPlatformThread(
    named name: String, stackBytes: Int, _ body: @escaping @Sendable () -> Void
) -> pthread_t {
    final class Context {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackBytes)
    defer { pthread_attr_destroy(&attributes) }
    let context = Unmanaged.passRetained(Context(name: name, body: body)).toOpaque()
    let failure = pthread_create(
        &thread, &attributes,
        { context in
            let context = Unmanaged<Context>.fromOpaque(context!).takeRetainedValue()
            qn_thread_name(context.name)
            context.body()
            return nil
        }, context)
    precondition(failure == 0, "the system refuses another thread")
    return thread
}
