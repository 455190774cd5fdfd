internal import HTTP
package import Model
internal import Reactor
package import Replication

extension HTTPPeerLink {
    /// Connections that carry an endless stream: their bytes answer no question.
    private var streams: Set<ObjectIdentifier> {
        eventConnection.map { tailConnections.union([ObjectIdentifier($0)]) } ?? tailConnections
    }

    package func pulse() async -> LinkPulse {
        var pulse = LinkPulse()
        let now = SystemClock.monotonic()
        let streams = streams
        for connection in idle + busy.values {
            guard let reading = await connection.transport else { continue }
            let at = now.advanced(by: .zero - reading.silence)
            pulse.lastHeard = max(pulse.lastHeard ?? at, at)
            pulse.roundTrip = max(pulse.roundTrip, reading.roundTrip)
            if !streams.contains(ObjectIdentifier(connection)) { pulse.lastMoved = max(pulse.lastMoved ?? at, at) }
        }
        pulse.heldUntil = turn.waited(now: now)
        return pulse
    }

    static func tell(_ turn: PullTurn) -> @Sendable (Bool) -> Void {
        { turn.awaits($0, now: SystemClock.monotonic()) }
    }

    package func localEnd() async -> LocalEnd? {
        for connection in idle + busy.values {
            if let end = await connection.localEnd { return end }
        }
        return nil
    }
}
