internal import Reactor

/// What a responder has to tell, handed over in batches by a turn of the loop of its own.
final class Outbox {
    private let timer: LoopTimer
    private let waiting: Waiting

    private final class Waiting {
        var events: [ResponderEvent] = []
        var chores: [() -> Void] = []
        let deliver: ([ResponderEvent]) -> Void
        init(deliver: @escaping ([ResponderEvent]) -> Void) { self.deliver = deliver }

        func flush() {
            let chores = chores
            self.chores = []
            for chore in chores { chore() }
            let events = events
            self.events = []
            if !events.isEmpty { deliver(events) }
        }
    }

    /// Call on the loop; `deliver` is called there.
    init(on loop: EventLoop, _ deliver: @escaping ([ResponderEvent]) -> Void) {
        let waiting = Waiting(deliver: deliver)
        self.waiting = waiting
        timer = LoopTimer(on: loop) { waiting.flush() }
    }

    func tell(_ event: ResponderEvent) {
        waiting.events.append(event)
        timer.set(after: .zero)
    }

    /// Something the responder does outside of Avahi's callbacks, before the events of this turn.
    func later(_ chore: @escaping () -> Void) {
        waiting.chores.append(chore)
        timer.set(after: .zero)
    }

    /// Nothing that waits is told or done.
    func close() {
        timer.cancel()
        waiting.events = []
        waiting.chores = []
    }
}

/// Lets a timer that is made in an `init` call the object that owns it.
final class Action {
    var body: () -> Void = {}
}
