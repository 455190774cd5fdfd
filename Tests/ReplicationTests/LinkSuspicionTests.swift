import Model
import Testing

@testable import Replication

@Suite struct LinkSuspicionTests {
    private let start = Sample.time(100)

    private func at(_ seconds: Double) -> MonotonicTime { Sample.time(100 + seconds) }
    private func pulse(heard: Double?, moved: Double? = nil, roundTrip: Duration = .zero) -> LinkPulse {
        var pulse = LinkPulse()
        pulse.lastHeard = heard.map(at)
        pulse.lastMoved = moved.map(at)
        pulse.roundTrip = roundTrip
        return pulse
    }
    private func beating() -> LinkSuspicion {
        var suspicion = LinkSuspicion()
        suspicion.expectsBeats = true
        return suspicion
    }
    private func isSuspect(
        after pulse: LinkPulse, _ awaited: LinkSuspicion.Awaited, _ now: MonotonicTime, _ suspicion: inout LinkSuspicion
    ) -> Bool {
        if case .suspect = suspicion.assess(pulse, awaiting: awaited, now: now) { true } else { false }
    }

    @Test("a link that beats is suspect after a second of silence, and looked at just then")
    func second() {
        var suspicion = beating()
        let events = LinkSuspicion.Awaited(since: start)
        #expect(
            suspicion.assess(pulse(heard: 0.2), awaiting: events, now: at(0.5)) == .trusted(lookAgain: at(1.2)))
        #expect(
            suspicion.assess(pulse(heard: 0.2), awaiting: events, now: at(1.2))
                == .suspect(silence: .seconds(1), lookAgain: at(1.2).advanced(by: Limits.hurriedDialInterval)))
        // It speaks again.
        #expect(
            suspicion.assess(pulse(heard: 1.3), awaiting: events, now: at(1.3)) == .trusted(lookAgain: at(2.3)))
        #expect(suspicion.assess(pulse(heard: 1.3), awaiting: events, now: at(6.3)) == .stalled(on: "heartbeat"))
    }

    @Test("a slow link is given four of its round trips and a heartbeat")
    func slow() {
        var suspicion = beating()
        let events = LinkSuspicion.Awaited(since: start)
        let slow = pulse(heard: 0, roundTrip: .milliseconds(300))
        #expect(suspicion.assess(slow, awaiting: events, now: at(1.5)) == .trusted(lookAgain: at(1.6)))
        #expect(isSuspect(after: slow, events, at(1.6), &suspicion))
        let quick = pulse(heard: 0, roundTrip: .milliseconds(50))
        #expect(isSuspect(after: quick, events, at(1), &suspicion))
    }

    @Test("a peer that does not beat is not suspected for its silence, and nobody is of whom nothing is awaited")
    func patient() {
        var old = LinkSuspicion()
        let events = LinkSuspicion.Awaited(since: start)
        #expect(old.assess(pulse(heard: 0), awaiting: events, now: at(14)) == .trusted(lookAgain: at(15)))
        var suspicion = beating()
        #expect(suspicion.assess(pulse(heard: 0), awaiting: nil, now: at(60)) == .trusted(lookAgain: at(61)))
        // What is awaited since just now may be silent for as long as anything else.
        let fresh = LinkSuspicion.Awaited(since: at(60))
        #expect(suspicion.assess(pulse(heard: 0), awaiting: fresh, now: at(60.5)) == .trusted(lookAgain: at(61)))
    }

    @Test("a question that nobody answers is a stall after five seconds in which nothing moved, whatever beats")
    func stall() {
        for suspicion in [LinkSuspicion(), beating()] {
            var suspicion = suspicion
            let question = LinkSuspicion.Awaited(since: start, question: .init(name: "facts", since: at(1)))
            func verdict(_ pulse: LinkPulse, _ seconds: Double) -> LinkSuspicion.Verdict {
                suspicion.assess(pulse, awaiting: question, now: at(seconds))
            }
            #expect(verdict(pulse(heard: 5.9), 5.9) == .trusted(lookAgain: at(6.9)))
            #expect(verdict(pulse(heard: 5.9), 6) == .stalled(on: "facts"))
            // Bytes of answers and chunks are movement.
            #expect(verdict(pulse(heard: 5.9, moved: 4), 6) == .trusted(lookAgain: verdictTime(suspicion, 5.9, 6)))
            #expect(verdict(pulse(heard: 8.9, moved: 4), 9) == .stalled(on: "facts"))
        }
    }

    private func verdictTime(_ suspicion: LinkSuspicion, _ heard: Double, _ now: Double) -> MonotonicTime {
        suspicion.expectsBeats ? at(heard + 1) : at(now + 1)
    }

    @Test("a question that waits for its turn under our own cap is nobody's stall: its time begins when it is asked")
    func held() {
        var suspicion = beating()
        let question = LinkSuspicion.Awaited(since: start, question: .init(name: "facts", since: start))
        var pulse = pulse(heard: 0)
        for second in stride(from: 1.0, to: 40, by: 1) {
            pulse.heldUntil = at(second)
            #expect(!isSuspect(after: pulse, question, at(second), &suspicion))
        }
        #expect(isSuspect(after: pulse, question, at(40.5), &suspicion))
        #expect(suspicion.assess(pulse, awaiting: question, now: at(44)) == .stalled(on: "facts"))
    }

    @Test("where the way to the peer may have changed, only what is heard since counts")
    func doubt() {
        var suspicion = beating()
        let events = LinkSuspicion.Awaited(since: start)
        suspicion.doubt(now: at(0.5))
        #expect(isSuspect(after: pulse(heard: 0.4), events, at(0.5), &suspicion))
        #expect(isSuspect(after: pulse(heard: 0.4), events, at(0.7), &suspicion))
        #expect(!isSuspect(after: pulse(heard: 0.8), events, at(0.8), &suspicion))
        #expect(!isSuspect(after: pulse(heard: 0.8), events, at(1.7), &suspicion))
    }
}

@Suite struct NetworkEffectTests {
    private func interface(
        _ index: Int32, _ addresses: [[UInt8]], carrier: Bool = true, loopback: Bool = false
    ) -> LocalNetwork.Interface {
        LocalNetwork.Interface(
            index: index, name: "if\(index)", isLoopback: loopback, hasCarrier: carrier, addresses: Set(addresses))
    }
    private let lo: [UInt8] = [127, 0, 0, 1]
    private let a: [UInt8] = [10, 0, 0, 1]
    private let b: [UInt8] = [10, 0, 1, 1]
    private let six: [UInt8] = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
    private func end(_ address: [UInt8], interface: Int32? = nil, inHost: Bool = false) -> LocalEnd {
        LocalEnd(address: address, interface: interface, staysInHost: inHost)
    }
    private var before: LocalNetwork {
        LocalNetwork([interface(1, [lo], loopback: true), interface(2, [a, six]), interface(3, [b, six])])
    }

    @Test("a link ends with its carrier or its address, and only then")
    func gone() {
        let unplugged = LocalNetwork([
            interface(1, [lo], loopback: true), interface(2, [a, six], carrier: false), interface(3, [b, six]),
        ])
        #expect(unplugged.effect(since: before, on: end(a)) == .gone(reason: "no carrier on if2"))
        #expect(unplugged.effect(since: before, on: end(six, interface: 2)) == .gone(reason: "no carrier on if2"))
        // The same address on another interface is another link.
        #expect(unplugged.effect(since: before, on: end(six, interface: 3)) == .none)
        #expect(unplugged.effect(since: before, on: end(b)) == .doubt)
        #expect(unplugged.effect(since: before, on: end(lo)) == .none)
        #expect(unplugged.effect(since: before, on: end(a, inHost: true)) == .none)
        #expect(unplugged.effect(since: before, on: nil) == .doubt)
        let moved = LocalNetwork([interface(1, [lo], loopback: true), interface(2, [[10, 0, 0, 9], six])])
        #expect(moved.effect(since: before, on: end(a)) == .gone(reason: "its address is no longer this host's"))
        #expect(moved.effect(since: before, on: end(six, interface: 3)) != .none)
        #expect(moved.effect(since: before, on: end(six, interface: 2)) == .none)
    }

    @Test("an address of the other family changes no route of this one")
    func families() {
        let more = LocalNetwork([
            interface(1, [lo], loopback: true), interface(2, [a, six, six.dropLast() + [7]]), interface(3, [b, six]),
        ])
        #expect(more.effect(since: before, on: end(a)) == .none)
        #expect(more.effect(since: before, on: end(six, interface: 2)) == .doubt)
        #expect(more.effect(since: before, on: end(six, interface: 3)) == .none)
        #expect(before.effect(since: before, on: nil) == .none)
    }
}

@Suite struct DialRotaTests {
    private func tokens(_ count: Int) -> [PeerDirectory.Token] { (0..<count).map { PeerDirectory.Token(number: $0) } }

    @Test("places are given to whom was met before, then to who has fewest, then to who waits for longest")
    func order() {
        var rota = DialRota(places: 3)
        let peers = tokens(5)
        func take(_ number: Int, _ isKnown: Bool) -> Bool { rota.take(peers[number], isKnown: isKnown) }
        for peer in [0, 0, 1] { #expect(take(peer, false)) }
        for peer in [0, 2, 3] { #expect(!take(peer, false)) }
        #expect(!take(4, true))
        // The one who was met before, although last.
        #expect(rota.give(peers[1]) == peers[4])
        #expect(!take(2, false))
        #expect(take(4, true))
        #expect(rota.give(peers[0]) == peers[2])
        #expect(!take(0, false))
        #expect(take(2, false))
        // Whoever does not want any more is in nobody's way.
        #expect(rota.give(peers[4]) == peers[3])
        #expect(rota.leave(peers[3]) == peers[0])
        #expect(take(0, false))
        #expect(rota.taken == 3)
    }

    @Test("of many peers that are not there, each is dialled as often as any other")
    func fairness() {
        var rota = DialRota(places: 8)
        let peers = tokens(50)
        var counts = [Int](repeating: 0, count: peers.count)
        var underWay: [PeerDirectory.Token] = []
        for _ in 0..<2_000 {
            for peer in peers where rota.take(peer, isKnown: false) {
                counts[peer.number] += 1
                underWay.append(peer)
            }
            #expect(rota.taken <= 8)
            _ = rota.give(underWay.removeFirst())
        }
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
    }
}
