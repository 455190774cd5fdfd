import Model
import Testing

@testable import Replication

@Suite struct DialScheduleTests {
    private let a = Endpoint(host: "10.0.0.1", port: 1)
    private let b = Endpoint(host: "10.0.0.2", port: 1)
    private let c = Endpoint(host: "10.0.0.3", port: 1)

    private func dials(_ schedule: inout DialSchedule, from start: Double, count: Int) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        var now = Sample.time(start)
        for _ in 0..<count * 4 where endpoints.count < count {
            switch schedule.next(now: now) {
            case .dial(let endpoint): endpoints.append(endpoint)
            case .wait(let until): now = until
            case .idle: return endpoints
            }
        }
        return endpoints
    }

    @Test("all addresses in turn, every half second, the last good one first")
    func rotation() {
        var schedule = DialSchedule()
        #expect(schedule.next(now: Sample.time(0)) == .idle)
        schedule.setEndpoints([a, b, c])
        #expect(schedule.next(now: Sample.time(0)) == .dial(a))
        #expect(schedule.next(now: Sample.time(0.1)) == .wait(until: Sample.time(0.5)))
        #expect(dials(&schedule, from: 0.5, count: 4) == [b, c, a, b])
        schedule.connected(to: c)
        #expect(dials(&schedule, from: 10, count: 4) == [c, a, b, c])
        schedule.setEndpoints([a, b])
        #expect(dials(&schedule, from: 20, count: 3) == [a, b, a])
    }

    @Test("a new address is dialled first and at once; haste has its bounds")
    func hurry() {
        var schedule = DialSchedule()
        schedule.setEndpoints([a, b])
        #expect(dials(&schedule, from: 0, count: 2) == [a, b])
        schedule.connected(to: b)
        #expect(dials(&schedule, from: 10, count: 1) == [b])
        schedule.setEndpoints([a, b, c])
        #expect(schedule.next(now: Sample.time(10.05)) == .wait(until: Sample.time(10.1)))
        #expect(schedule.next(now: Sample.time(10.1)) == .dial(c))
        #expect(schedule.next(now: Sample.time(10.2)) == .wait(until: Sample.time(10.6)))
        schedule.hurry()
        #expect(schedule.isDue(now: Sample.time(10.2)) && schedule.pause(now: Sample.time(10.15)) == .milliseconds(50))
        #expect(schedule.next(now: Sample.time(10.2)) == .dial(b))
        // The clock is not wound forward by more than there is to wait.
        schedule.hurry()
        #expect(schedule.next(now: Sample.time(10.25)) == .wait(until: Sample.time(10.3)))
        // Who refused is left in peace, whatever the network does.
        schedule.refused(by: a, now: Sample.time(10.3))
        schedule.hurry()
        #expect(dials(&schedule, from: 10.3, count: 2) == [c, b])
    }

    @Test("an address that refuses is asked less and less often, the others as before; never given up")
    func refusals() {
        var schedule = DialSchedule()
        schedule.setEndpoints([a, b])
        var now = Sample.time(0)
        var times: [MonotonicTime] = []
        for _ in 0..<400 {
            switch schedule.next(now: now) {
            case .dial(let endpoint):
                if endpoint == a {
                    times.append(now)
                    schedule.refused(by: a, now: now)
                }
                now = now.advanced(by: Limits.dialInterval)
            case .wait(let until): now = until
            case .idle: Issue.record("gave up")
            }
        }
        let gaps = zip(times, times.dropFirst()).map { $0.duration(to: $1) }
        #expect(gaps.count > 5)
        #expect(zip(gaps, gaps.dropFirst()).allSatisfy { $0 <= $1 + Limits.dialInterval })
        #expect(gaps.allSatisfy { $0 <= Limits.refusalCeiling + Limits.dialInterval })
        #expect(gaps.last! >= Limits.refusalCeiling)
        schedule.forgive()
        #expect(schedule.next(now: now) == .dial(a) || schedule.next(now: now.advanced(by: .seconds(1))) == .dial(a))
    }
}

@Suite struct PeerDirectoryTests {
    private let own = Sample.node(99)
    private let a = Endpoint(host: "10.0.0.1", port: 9150)
    private let b = Endpoint(host: "10.0.0.2", port: 9150)

    private func greeting(_ node: NodeID, _ role: Role = .vehicle) -> PeerGreeting {
        PeerGreeting(id: node, name: "n", role: role, version: "1", epoch: Sample.process(1), head: 0)
    }
    private func sighting(_ node: NodeID, _ endpoints: [Endpoint], role: Role? = .vehicle) -> PeerSighting {
        PeerSighting(instance: "i-\(node.short)", idPrefix: node.short, role: role, boot: nil, endpoints: endpoints)
    }
    private func started(_ changes: [PeerDirectory.Change]) -> [PeerDirectory.Token] {
        changes.compactMap { if case .start(let token, _) = $0 { token } else { nil } }
    }

    @Test("two addresses of one node are one peer")
    func twoAddresses() {
        var directory = PeerDirectory(own: own, policy: .everyone)
        directory.configure([a, b])
        let tokens = started(directory.changes())
        #expect(tokens.count == 2)
        let now = Sample.time(0)
        #expect(directory.met(tokens[0], greeting(Sample.node(1)), at: a, now: now) == .follow(.everything))
        #expect(directory.met(tokens[1], greeting(Sample.node(1)), at: b, now: now) == .duplicate)
        #expect(directory.changes() == [.stop(tokens[1]), .setEndpoints(tokens[0], [a, b])])
        #expect(directory.changes().isEmpty)
    }

    @Test("an announcement of a node that is connected adds an address, not a peer")
    func sightedAgain() {
        var directory = PeerDirectory(own: own, policy: .everyone)
        directory.configure([a])
        let token = started(directory.changes())[0]
        _ = directory.met(token, greeting(Sample.node(1)), at: a, now: Sample.time(0))
        directory.sighted(sighting(Sample.node(1), [b]), now: Sample.time(1))
        #expect(directory.changes() == [.setEndpoints(token, [a, b])])
        directory.vanished(instance: "i-\(Sample.node(1).short)")
        #expect(directory.changes() == [.setEndpoints(token, [a])])
    }

    @Test("a node ignores its own announcement, and leaves an address alone where it met itself")
    func itself() {
        var directory = PeerDirectory(own: own, policy: .everyone)
        directory.sighted(sighting(own, [a]), now: Sample.time(0))
        #expect(directory.changes().isEmpty)
        directory.configure([a])
        let token = started(directory.changes())[0]
        #expect(directory.met(token, greeting(own), at: a, now: Sample.time(0)) == .yourself)
        #expect(directory.changes() == [.setEndpoints(token, [])])
        directory.configure([a])
        directory.sighted(sighting(Sample.node(3), [a]), now: Sample.time(1))
        #expect(started(directory.changes()).isEmpty)
    }

    @Test("another node at a known address is reported, and becomes a peer of its own")
    func replaced() {
        var directory = PeerDirectory(own: own, policy: .everyone)
        directory.configure([a])
        let token = started(directory.changes())[0]
        let (old, new) = (Sample.node(1), Sample.node(2))
        #expect(directory.met(token, greeting(old), at: a, now: Sample.time(0)) == .follow(.everything))
        directory.left(token)
        let verdict = directory.met(token, greeting(new), at: a, now: Sample.time(1))
        #expect(verdict == .wrongIdentity(expected: old.description))
        let changes = directory.changes()
        let other = started(changes)[0]
        #expect(changes == [.setEndpoints(token, []), .start(other, [a])])
        #expect(directory.met(other, greeting(new), at: a, now: Sample.time(2)) == .follow(.everything))
    }

    @Test("an announcement that lies is not believed again for a while")
    func lies() {
        var directory = PeerDirectory(own: own, policy: .everyone)
        directory.sighted(sighting(Sample.node(1), [a]), now: Sample.time(0))
        let token = started(directory.changes())[0]
        guard case .wrongIdentity = directory.met(token, greeting(Sample.node(2)), at: a, now: Sample.time(0)) else {
            Issue.record("believed")
            return
        }
        _ = directory.changes()
        directory.sighted(sighting(Sample.node(1), [a]), now: Sample.time(1))
        #expect(directory.changes().isEmpty)
        directory.sighted(sighting(Sample.node(1), [a]), now: Sample.time(100))
        #expect(directory.changes() == [.setEndpoints(token, [a])])
    }

    @Test("whom policy does not follow is not dialled, unless a person named it")
    func policy() {
        var directory = PeerDirectory(
            own: own, policy: FollowPolicy(configured: .everything, vehicles: .nothing, topsides: .ownFacts))
        directory.sighted(sighting(Sample.node(1), [a], role: .vehicle), now: Sample.time(0))
        #expect(directory.changes().isEmpty)
        directory.sighted(sighting(Sample.node(2), [b], role: .topside), now: Sample.time(0))
        let token = started(directory.changes())[0]
        let met = directory.met(token, greeting(Sample.node(2), .topside), at: b, now: Sample.time(0))
        #expect(met == .follow(.ownFacts))
        directory.configure([a])
        #expect(started(directory.changes()).count == 1)
        // A role that was claimed wrongly.
        directory.sighted(sighting(Sample.node(3), [Endpoint(host: "x", port: 1)], role: .topside), now: Sample.time(0))
        let liar = started(directory.changes())[0]
        let verdict = directory.met(
            liar, greeting(Sample.node(3), .vehicle), at: Endpoint(host: "x", port: 1), now: Sample.time(0))
        #expect(verdict == .unfollowed)
        #expect(directory.changes() == [.stop(liar)])
    }

    @Test("a peer that a person names while it is connected is met anew, since it is followed further then")
    func namedWhileConnected() {
        var directory = PeerDirectory(own: own, policy: .named)
        directory.sighted(sighting(Sample.node(2), [b], role: .topside), now: Sample.time(0))
        let token = started(directory.changes())[0]
        let met = directory.met(token, greeting(Sample.node(2), .topside), at: b, now: Sample.time(0))
        #expect(met == .follow(.ownFacts))
        #expect(directory.changes().isEmpty)
        directory.configure([b])
        #expect(directory.changes().contains(.meetAnew(token)))
        #expect(!directory.changes().contains(.meetAnew(token)))
        directory.left(token)
        let again = directory.met(token, greeting(Sample.node(2), .topside), at: b, now: Sample.time(1))
        #expect(again == .follow(.everything))
        #expect(directory.changes().isEmpty)
    }

    @Test("a flood of announcements neither grows without bound nor drives out who is connected or configured")
    func flood() {
        var directory = PeerDirectory(own: own, policy: .everyone)
        directory.configure([a])
        let token = started(directory.changes())[0]
        _ = directory.met(token, greeting(Sample.node(1)), at: a, now: Sample.time(0))
        var running: Set<PeerDirectory.Token> = [token]
        for number in 1_000..<1_320 {
            let endpoints = (0..<40).map { Endpoint(host: "h\(number)-\($0)", port: 1) }
            directory.sighted(sighting(Sample.node(number), endpoints), now: Sample.time(1))
            for change in directory.changes() {
                switch change {
                case .start(let token, let endpoints):
                    running.insert(token)
                    #expect(endpoints.count <= Limits.endpointsPerPeer)
                case .stop(let token): running.remove(token)
                case .meetAnew: break
                case .setEndpoints: break
                }
            }
        }
        #expect(directory.entries.count <= Limits.peers)
        #expect(running.count <= Limits.peers)
        #expect(running.contains(token) && directory.entries[token]?.isLive == true)
    }
}
