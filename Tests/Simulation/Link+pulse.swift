import Model
import Reactor
import Replication

extension Link {
    /// What its client's kernel would know of it.
    func pulse() async -> LinkPulse {
        var pulse = LinkPulse()
        pulse.lastHeard = lastHeard.map { MonotonicTime(nanoseconds: $0) }
        pulse.lastMoved = lastMoved.map { MonotonicTime(nanoseconds: $0) }
        pulse.roundTrip = network.path(client.node.number, server.node.number).weather.latency * 2
        return pulse
    }
}
