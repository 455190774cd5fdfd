import Model
import Reactor
import Replication

/// All ways between all nodes, and the links that stand on them.
final class Network: @unchecked Sendable {
    let sim: Simulator
    /// Sees what is said and carried.
    weak var oracle: Oracle?
    /// What nodes state arrives with more than they said.
    var lies = false
    var nodes: [SimulatedNode] = []
    private(set) var links: [Link] = []
    private var paths: [Pair: Path] = [:]
    private var linkCount = 0

    struct Pair: Hashable {
        let low: Int
        let high: Int
        init(_ one: Int, _ other: Int) {
            low = min(one, other)
            high = max(one, other)
        }
    }

    init(_ sim: Simulator) { self.sim = sim }

    func path(_ one: Int, _ other: Int) -> Path {
        if let path = paths[Pair(one, other)] { return path }
        let path = Path(Weather(sim, isRough: false))
        paths[Pair(one, other)] = path
        return path
    }

    func setWeather(_ weather: Weather, _ one: Int, _ other: Int) { paths[Pair(one, other)] = Path(weather) }

    var openLinks: [Link] { links.filter { !$0.isOver } }

    func forget(_ link: Link) { links.removeAll { $0 === link } }

    // MARK: Cuts

    func cut(_ one: Int, _ other: Int, _ cut: Path.Cut) {
        let path = path(one, other)
        path.cut = cut
        for link in links where link.joins(one, other) {
            switch cut {
            case .silent: break
            case .loud: link.breakOff()
            case .forgetful: link.isHole = true
            }
        }
    }

    func mend(_ one: Int, _ other: Int) {
        let path = path(one, other)
        path.cut = nil
        let held = path.held
        path.held = []
        // What TCP repeats does not come at once.
        for body in held { sim.after(sim.seconds(0...2), body) }
    }

    func mendAll() {
        for one in nodes.indices { for other in nodes.indices where one < other { mend(one, other) } }
    }

    /// A node's process is gone: its links end, or nobody says so.
    func drop(_ process: NodeProcess, isTold: Bool) {
        for link in links where link.client === process || link.server === process {
            if link.client === process { link.end(with: .closed) }
            if isTold || link.client === process { link.breakOff() } else { link.isHole = true }
        }
    }

    // MARK: Messages

    /// Carries a message, late or never as the weather is. `isHeld` has to be looked at when it arrives, since the way
    /// may be cut by then.
    func send(_ bytes: Int, from one: Int, to other: Int, on link: Link?, _ arrive: @escaping () -> Void) {
        let path = path(one, other)
        let weather = path.weather
        if link?.isHole == true || sim.chance(weather.vanishing) { return }
        if let link, sim.chance(weather.breaking) {
            sim.after(weather.latency) { link.breakOff() }
            return
        }
        var delay = weather.latency + weather.jitter * Double.random(in: 0..<1, using: &sim.random)
        if sim.chance(weather.loss) { delay += .milliseconds(sim.number(200...1200)) }
        let begin = max(sim.now, path.busyUntil[one < other] ?? 0)
        let end = begin + Int64(Double(bytes + 100) / weather.rate * 1e9)
        path.busyUntil[one < other] = end
        sim.at(end + delay.nanoseconds) { [sim] in
            if link?.isHole == true { return }
            guard path.cut == nil else {
                if path.held.count < 200 { path.held.append(arrive) }
                return
            }
            sim.trace.mix(UInt64(bytes))
            arrive()
        }
    }

    /// How long what is sent now waits for what was sent before.
    func queue(from one: Int, to other: Int) -> Duration {
        .nanoseconds(max(0, (path(one, other).busyUntil[one < other] ?? 0) - sim.now))
    }

    // MARK: Dials

    struct Dialer: PeerDialing {
        let network: Network
        let process: NodeProcess

        func dial(_ endpoint: Endpoint) async throws -> any PeerLink {
            try await network.dial(endpoint, by: process)
        }
    }

    private func dial(_ endpoint: Endpoint, by client: NodeProcess) async throws -> any PeerLink {
        let inbox = Inbox<Link>()
        guard let target = nodes.first(where: { $0.endpoints.contains(endpoint) }) else {
            throw PeerLinkError.unreachable(reason: "nobody there")
        }
        let (here, there) = (client.node.number, target.number)
        let path = path(here, there)
        guard path.cut != .loud else { throw PeerLinkError.unreachable(reason: "no carrier") }
        send(60, from: here, to: there, on: nil) { [self] in
            let server = target.process
            send(60, from: there, to: here, on: nil) { [self] in
                guard let server, server.isServing, client.isAlive else {
                    return inbox.fail(PeerLinkError.unreachable(reason: "refused"))
                }
                linkCount += 1
                let link = Link(number: linkCount, network: self, client: client, server: server)
                links.append(link)
                sim.trace.note(sim.now, "link \(linkCount): \(here) to \(there) at \(endpoint)")
                inbox.put(link)
            }
        }
        guard let link = try await inbox.next() else { throw PeerLinkError.closed }
        return link
    }
}
