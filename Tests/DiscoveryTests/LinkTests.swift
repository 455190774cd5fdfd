import Glibc
import Model
import Reactor
import TestSupport
import Testing

/// Real multicast DNS between processes in network namespaces of the test's own.
@Suite(.serialized, .enabled(if: Lab.obstacle == nil, "\(Lab.excuse)"))
struct LinkTests {
    @Test("two embedded responders on the loopback find each other")
    func loopback() async throws {
        try await Lab.run { lab in
            let a = try await lab.probe("a", "alpha", id: 1, mode: "embedded", interfaces: ["lo"])
            let b = try await lab.probe("a", "beta", id: 2, role: .topside, mode: "auto", interfaces: ["lo"])
            let atA = try await a.report("beta is seen") { $0.peer(2) != nil }
            let atB = try await b.report("alpha is seen") { $0.peer(1) != nil }
            #expect(atA.peer(2)?.endpoints == ["127.0.0.1:9002"])
            #expect(atA.peer(2)?.role == "topside")
            #expect(atB.peer(1)?.endpoints == ["127.0.0.1:9001"])
            #expect(atB.responder == "embedded")
            #expect(atB.peers.count == 1, "a node sees itself")
            figure("embedded, both on lo", atA, atB)
            let c = try await lab.probe("a", "gamma", id: 3, mode: "embedded", interfaces: ["lo"])
            figure("embedded on lo, the others already there", try await c.report("both") { $0.peers.count == 2 })
        }
    }

    @Test("embedded responders on two hosts find each other, with all addresses in order")
    func embedded() async throws {
        try await Lab.run { lab in
            try await lab.ip("b", "addr add fd77::2/64 dev tether nodad")
            let a = try await lab.probe("a", "alpha", id: 1)
            let b = try await lab.probe("b", "beta", id: 2, role: .topside)
            let atA = try await a.report("beta is seen") { $0.peer(2) != nil }
            let atB = try await b.report("alpha is seen") { $0.peer(1) != nil }
            figure("embedded, two hosts", atA, atB)
            #expect(atA.responder == "embedded")
            let all = try await a.report("three addresses of beta") { $0.peer(2)?.endpoints.count == 3 }
            let endpoints = all.peer(2)?.endpoints ?? []
            #expect(endpoints.first == "10.77.0.2:9002")
            #expect(endpoints.dropFirst().first == "[fd77::2]:9002")
            #expect(endpoints.last?.hasPrefix("[fe80::") == true && endpoints.last?.hasSuffix("%tether]:9002") == true)
            // Goodbye.
            let seen = await a.lineCount
            let before = SystemClock.monotonic()
            try await b.stop()
            try await a.report("beta is gone", after: seen) { $0.peer(2) == nil }
            print("discovery: goodbye seen after \(before.duration(to: SystemClock.monotonic()))")
        }
    }

    @Test("clients of two avahi-daemons find each other")
    func daemons() async throws {
        try await Lab.run { lab in
            for side in ["a", "b"] {
                _ = try await lab.bus(side)
                _ = try await lab.daemon(side)
            }
            let a = try await lab.probe("a", "alpha", id: 1)
            let b = try await lab.probe("b", "beta", id: 2)
            let atA = try await a.report("beta is seen") { $0.peer(2) != nil }
            let atB = try await b.report("alpha is seen") { $0.peer(1) != nil }
            #expect(atA.responder == "daemon" && atB.responder == "daemon")
            #expect(atA.peer(2)?.endpoints.first?.hasSuffix(":9002") == true)
            figure("daemons on two hosts", atA, atB)
            let seen = await a.lineCount
            let before = SystemClock.monotonic()
            try await b.stop()
            try await a.report("beta is gone", after: seen) { $0.peer(2) == nil }
            print("discovery: goodbye through daemons seen after \(before.duration(to: SystemClock.monotonic()))")
        }
    }

    @Test("a client of an avahi-daemon and an embedded responder find each other, across a link and on one host")
    func mixed() async throws {
        try await Lab.run { lab in
            _ = try await lab.bus("a")
            _ = try await lab.daemon("a")
            let a = try await lab.probe("a", "alpha", id: 1)
            let b = try await lab.probe("b", "beta", id: 2)
            let atA = try await a.report("beta is seen") { $0.peer(2) != nil }
            let atB = try await b.report("alpha is seen") { $0.peer(1) != nil }
            #expect(atA.responder == "daemon" && atB.responder == "embedded")
            figure("daemon here, embedded there", atA, atB)
            // The same host, beside the daemon.
            let c = try await lab.probe("a", "gamma", id: 3, mode: "embedded")
            let atC = try await c.report("both are seen") { $0.peer(1) != nil && $0.peer(2) != nil }
            figure("embedded beside a daemon on one host", atC)
            try await a.report("gamma is seen") { $0.peer(3) != nil }
            try await b.report("gamma is seen") { $0.peer(3) != nil }
            // Two clients of one daemon.
            let d = try await lab.probe("a", "delta", id: 4)
            try await d.report("the other client") { $0.responder == "daemon" && $0.peer(1) != nil }
            try await a.report("the other client") { $0.peer(4) != nil }
            let settled = try await c.report("gamma is announced") { $0.announcedAs != nil }
            #expect(settled.announcedAs == "gamma" && settled.fault == nil)
        }
    }

    @Test("the embedded responder takes over when the daemon stops, and gives way when it returns")
    func takeover() async throws {
        try await Lab.run { lab in
            let bus = try await lab.bus("a")
            let daemon = try await lab.daemon("a")
            let a = try await lab.probe("a", "alpha", id: 1)
            let b = try await lab.probe("b", "beta", id: 2)
            try await a.report("beta, through the daemon") { $0.responder == "daemon" && $0.peer(2) != nil }
            try await b.report("alpha") { $0.peer(1) != nil }

            var atA = await a.lineCount
            var begun = SystemClock.monotonic()
            try await daemon.stop()
            try await a.report("beta, embedded", after: atA) { $0.responder == "embedded" && $0.peer(2) != nil }
            print("discovery: daemon gone, found again after \(begun.duration(to: SystemClock.monotonic()))")
            let c = try await lab.probe("b", "gamma", id: 3)
            try await c.report("alpha, embedded") { $0.peer(1) != nil }
            try await a.report("announced", after: atA) { $0.announcedAs == "alpha" }

            atA = await a.lineCount
            begun = SystemClock.monotonic()
            _ = try await lab.daemon("a")
            try await a.report("beta, through the daemon again", after: atA) {
                $0.responder == "daemon" && $0.peer(2) != nil
            }
            print("discovery: daemon back, found again after \(begun.duration(to: SystemClock.monotonic()))")
            try await a.report("announced", after: atA) { $0.responder == "daemon" && $0.announcedAs == "alpha" }
            let d = try await lab.probe("b", "delta", id: 4)
            try await d.report("alpha, through the daemon") { $0.peer(1) != nil }
            #expect(await b.lineCount > 0)

            // The bus itself goes, and with it the way to learn of its return: that is asked for.
            atA = await a.lineCount
            try await bus.stop()
            try await a.report("beta, embedded", after: atA) { $0.responder == "embedded" && $0.peer(2) != nil }
        }
    }

    @Test("a named interface alone is announced on and listened to")
    func restriction() async throws {
        try await Lab.run { lab in
            try await lab.cable("spare", "10.78.0")
            let a = try await lab.probe("a", "alpha", id: 1, interfaces: ["spare"])
            let b = try await lab.probe("b", "beta", id: 2)
            let atB = try await b.report("alpha with its IPv6 address") { $0.peer(1)?.endpoints.count == 2 }
            #expect(atB.peer(1)?.endpoints.first == "10.78.0.1:9001")
            #expect(atB.peer(1)?.endpoints.last?.hasSuffix("%spare]:9001") == true)
            let atA = try await a.report("beta") { $0.peer(2) != nil }
            #expect(atA.peer(2)?.endpoints.contains("10.77.0.2:9002") == false)
        }
    }

    @Test("a link that was unplugged is announced on again, and a new address as well")
    func unplugged() async throws {
        try await Lab.run { lab in
            let a = try await lab.probe("a", "alpha", id: 1)
            let b = try await lab.probe("b", "beta", id: 2)
            try await a.report("beta") { $0.peer(2) != nil }
            try await b.report("alpha") { $0.peer(1) != nil }

            var (atA, atB) = (await a.lineCount, await b.lineCount)
            var begun = SystemClock.monotonic()
            try await lab.ip("b", "link set tether down")
            try await a.report("beta is gone", after: atA) { $0.peers.isEmpty }
            print("discovery: unplugged, seen after \(begun.duration(to: SystemClock.monotonic()))")
            try await b.report("alpha is gone", after: atB) { $0.peers.isEmpty }
            (atA, atB) = (await a.lineCount, await b.lineCount)
            begun = SystemClock.monotonic()
            try await lab.ip("b", "link set tether up")
            try await a.report("beta is back", after: atA) { $0.peer(2)?.endpoints.first == "10.77.0.2:9002" }
            try await b.report("alpha is back", after: atB) { $0.peer(1)?.endpoints.first == "10.77.0.1:9001" }
            print("discovery: plugged in, found after \(begun.duration(to: SystemClock.monotonic()))")

            atA = await a.lineCount
            begun = SystemClock.monotonic()
            try await lab.ip("b", "addr add 10.79.0.2/24 dev tether")
            try await a.report("the second address", after: atA) {
                $0.peer(2)?.endpoints.contains("10.79.0.2:9002") == true
            }
            print("discovery: new address, seen after \(begun.duration(to: SystemClock.monotonic()))")
            atA = await a.lineCount
            try await lab.ip("b", "addr del 10.79.0.2/24 dev tether")
            try await a.report("it is withdrawn", after: atA) {
                $0.peer(2)?.endpoints.contains("10.79.0.2:9002") == false
            }
            // As by DHCP: without any IPv4 address for a moment, in which nothing can be taken back.
            atA = await a.lineCount
            begun = SystemClock.monotonic()
            try await lab.ip("b", "addr del 10.77.0.2/24 dev tether")
            try await lab.ip("b", "addr add 10.77.0.3/24 dev tether")
            try await a.report("the other address alone", after: atA) { report in
                report.peer(2)?.endpoints.filter { !$0.hasPrefix("[") } == ["10.77.0.3:9002"]
            }
            print("discovery: address replaced, seen after \(begun.duration(to: SystemClock.monotonic()))")
        }
    }

    @Test("two nodes of one name are told apart, embedded and through daemons")
    func collision() async throws {
        try await Lab.run { lab in
            _ = try await lab.bus("b")
            _ = try await lab.daemon("b")
            let a = try await lab.probe("a", "twin", id: 1)
            try await a.report("announced") { $0.announcedAs == "twin" }
            let b = try await lab.probe("b", "twin", id: 2)
            let c = try await lab.probe("a", "twin", id: 3)
            // Who keeps the name is between them: one that hears of another late gives way after it was announced.
            for (node, others) in [(a, [2, 3]), (b, [1, 3]), (c, [1, 2])] as [(Child, [UInt64])] {
                try await node.report("both others, by different names") { report in
                    let names = others.compactMap { report.peer($0)?.instance }
                    return Set(names).union([report.announcedAs ?? ""]).count == 3 && names.count == 2
                }
            }
        }
    }

    @Test("a wall clock that is set back or forward by an hour neither stalls discovery nor makes it spin")
    func steppedClock() async throws {
        try await Lab.run { lab in
            let clock = try await lab.clock()
            let a = try await lab.probe("a", "alpha", id: 1, environment: clock.environment)
            let b = try await lab.probe("b", "beta", id: 2)
            try await a.report("beta") { $0.peer(2) != nil }
            try await b.report("alpha") { $0.peer(1) != nil }
            let steps: [(UInt64, Int64)] = [(3, -3600), (4, 0), (5, 3600), (6, 86_400 * 365 * 30)]
            for (number, seconds) in steps {
                try clock.set(seconds)
                let seen = await a.lineCount
                let newcomer = try await lab.probe("b", "newcomer", id: number)
                try await newcomer.report("alpha") { $0.peer(1) != nil }
                try await a.report("both, at \(seconds)", after: seen) { $0.peer(2) != nil && $0.peer(number) != nil }
                try await newcomer.stop()
            }
            #expect(try await a.processorTime() < .milliseconds(500))
        }
    }

    private func figure(_ what: String, _ reports: Report...) {
        print("discovery: cold, \(what): \(reports.map { "\($0.at) ms" }.joined(separator: " and "))")
    }
}
