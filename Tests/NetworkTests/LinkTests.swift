import Gateway
import Glibc
import Model
import Reactor
import TestSupport
import Testing

/// What a tether does to a link that stands: how soon it is noticed, and how soon bytes flow again. The times are
/// printed; what is held to them is held with room for a busy machine.
@Suite(.serialized, .enabled(if: Lab.obstacle == nil, "\(Lab.excuse)"))
struct LinkTests {
    private func pair(_ lab: Lab) async throws -> Mirror {
        let mirror = Mirror(vehicle: try await .vehicle(lab), topside: try await .topside(lab))
        try await mirror.topside.facts(until: "chunk")
        return mirror
    }

    /// Waits until there is a backlog, so that bytes can flow as soon as the link does.
    private func backlog(_ mirror: Mirror) async throws {
        let held = try await chunks(mirror.topside)
        try await mirror.vehicle.status("a backlog") { $0.store.chunks > held }
    }

    private func chunks(_ node: LabNode) async throws -> Int64 {
        try await node.get(NodeStatusForm.self, "/v1/status").store.chunks
    }

    /// From `begun` until a chunk more is held by the topside than when it was unplugged.
    private func flows(_ mirror: Mirror, beyond held: Int64, since begun: MonotonicTime) async throws -> Duration {
        try await mirror.topside.status("something arrives") { $0.store.chunks > held }
        return begun.duration(to: SystemClock.monotonic())
    }

    @Test("loss of carrier is noticed at once, and verified bytes flow again within a second of its return")
    func carrier() async throws {
        try await Lab.run(.bridge) { lab in
            let mirror = try await pair(lab)
            var times: [(Duration, Duration)] = []
            for outage in [Duration.seconds(5), .milliseconds(300), .seconds(2)] {
                var begun = SystemClock.monotonic()
                try await lab.pullCable("b")
                try await mirror.topside.status("noticed") { $0.live("vehicle") == nil }
                let noticed = begun.duration(to: SystemClock.monotonic())
                try await lab.loop.sleep(for: outage)
                try await backlog(mirror)
                let held = try await chunks(mirror.topside)
                begun = SystemClock.monotonic()
                try await lab.plugCable("b")
                times.append((noticed, try await flows(mirror, beyond: held, since: begun)))
            }
            for (noticed, flowed) in times {
                print("network: cable out of the topside: noticed after \(noticed.rounded), back: \(flowed.rounded)")
                #expect(noticed < .seconds(2) && flowed < .seconds(2))
            }
            let errors = try await mirror.topside.get(NodeStatusForm.self, "/v1/status").peers.first?.errors
            #expect(errors?["broken"] ?? 0 >= 3 && errors?["silent"] == nil)
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test("silence without loss of carrier is noticed within a second and a half, and ends nothing that it must not")
    func silence() async throws {
        try await Lab.run(.bridge) { lab in
            let mirror = try await pair(lab)
            // Between the switch and the vehicle: neither the topside nor its port sees anything.
            var begun = SystemClock.monotonic()
            try await lab.unplug()
            _ = try await mirror.topside.process.wait("suspicion") { lines in
                lines.first { $0.contains("a link is suspect") }
            }
            let noticed = begun.duration(to: SystemClock.monotonic())
            try await mirror.topside.status("given up") { $0.live("vehicle") == nil }
            let given = begun.duration(to: SystemClock.monotonic())
            try await backlog(mirror)
            let held = try await chunks(mirror.topside)
            begun = SystemClock.monotonic()
            try await lab.plugIn()
            let flowed = try await flows(mirror, beyond: held, since: begun)
            print(
                "network: silence: suspect after \(noticed.rounded), given up after \(given.rounded), "
                    + "back: \(flowed.rounded)")
            #expect(noticed < .seconds(2.5) && given < .seconds(8) && flowed < .seconds(3))
            let errors = try await mirror.topside.get(NodeStatusForm.self, "/v1/status").peers.first?.errors
            #expect(errors?["silent"] == 1)
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test("an outage too short to give the link up costs at most one connection")
    func hiccup() async throws {
        try await Lab.run(.bridge) { lab in
            let mirror = try await pair(lab)
            for outage in [300, 1_500, 3_000] {
                try await lab.unplug()
                try await lab.loop.sleep(for: .milliseconds(Int64(outage)))
                try await backlog(mirror)
                let held = try await chunks(mirror.topside)
                let begun = SystemClock.monotonic()
                try await lab.plugIn()
                let flowed = try await flows(mirror, beyond: held, since: begun)
                print("network: silent for \(outage) ms and until there was a backlog, back: \(flowed.rounded)")
                #expect(flowed < .seconds(3))
            }
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test("a vehicle whose address changes on a switch, unseen by the topside's own interface")
    func moved() async throws {
        try await Lab.run(.bridge) { lab in
            for side in ["a", "b"] { try await lab.switchOffIPv6(side) }
            let mirror = try await pair(lab)
            let begun = SystemClock.monotonic()
            try await lab.ip("a", "addr del 10.77.0.1/24 dev tether")
            try await lab.ip("a", "addr add 10.77.0.9/24 dev tether")
            _ = try await mirror.topside.process.wait("the announcement") { lines in
                lines.first { $0.contains("addresses changed") && $0.contains("10.77.0.9:9150") }
            }
            let announced = SystemClock.monotonic()
            let held = try await chunks(mirror.topside)
            let flowed = try await flows(mirror, beyond: held, since: announced)
            print(
                "network: the vehicle's address changed on a switch: announced after "
                    + "\(begun.duration(to: announced).rounded), bytes \(flowed.rounded) later")
            #expect(flowed < .seconds(3))
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test("a cable that goes in and out twice a second stalls nothing for longer, and fills no places")
    func flapping() async throws {
        try await Lab.run(.bridge) { lab in
            let mirror = try await pair(lab)
            for _ in 0..<12 {
                try await lab.pullCable("b")
                try await lab.loop.sleep(for: .milliseconds(500))
                try await lab.plugCable("b")
                try await lab.loop.sleep(for: .milliseconds(500))
            }
            let held = try await chunks(mirror.topside)
            let flowed = try await flows(mirror, beyond: held, since: SystemClock.monotonic())
            print("network: out and in twelve times: the next chunk after \(flowed.rounded)")
            #expect(flowed < .seconds(4))
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test("IPv6 link-local alone: the cable out and back, and the address known to the next process")
    func linkLocal() async throws {
        try await Lab.run(.bridge) { lab in
            for side in ["a", "b"] { try await lab.ip(side, "-4 addr flush dev tether") }
            let first = try await pair(lab)
            try await lab.pullCable("b")
            try await first.topside.status("noticed") { $0.live("vehicle") == nil }
            try await backlog(first)
            let held = try await chunks(first.topside)
            let begun = SystemClock.monotonic()
            try await lab.plugCable("b")
            let flowed = try await flows(first, beyond: held, since: begun)
            print("network: link-local, cable out of the topside, back: \(flowed.rounded)")
            #expect(flowed < .seconds(4))
            try await first.topside.process.kill9()
            let second = Mirror(vehicle: first.vehicle, topside: try await .topside(lab, options: ["--mdns", "off"]))
            let status = try await second.topside.status("remembered") { $0.live("vehicle") != nil }
            let endpoint = try #require(status.live("vehicle")?.endpoint)
            #expect(endpoint.host.hasPrefix("fe80::") && endpoint.host.hasSuffix("%tether"))
            // A person may name it so, too.
            try await second.topside.process.kill9()
            let named = try await LabNode.topside(
                lab, name: "named", options: ["--mdns", "off", "--peer", "\(endpoint)"])
            try await Mirror(vehicle: first.vehicle, topside: named).converged()
        }
    }

    @Test("a vehicle that restarts while its cable is out of the switch: the half-open link is replaced")
    func halfOpen() async throws {
        try await Lab.run(.bridge) { lab in
            let first = try await pair(lab)
            try await lab.unplug()
            try await first.vehicle.process.kill9()
            let mirror = Mirror(
                vehicle: try await .vehicle(lab), topside: first.topside)
            try await mirror.vehicle.status("it records") { $0.recording?.sealedChunks ?? 0 >= 1 }
            let held = try await chunks(mirror.topside)
            let begun = SystemClock.monotonic()
            try await lab.plugIn()
            let flowed = try await flows(mirror, beyond: held, since: begun)
            print("network: half-open, the vehicle restarted meanwhile: bytes after \(flowed.rounded)")
            #expect(flowed < .seconds(3))
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test("a vehicle whose process stands still is noticed, and followed when it goes on")
    func frozen() async throws {
        try await Lab.run { lab in
            let mirror = try await pair(lab)
            await mirror.vehicle.process.signal(SIGSTOP)
            var begun = SystemClock.monotonic()
            try await mirror.topside.status("given up") { $0.live("vehicle") == nil }
            let given = begun.duration(to: SystemClock.monotonic())
            let held = try await chunks(mirror.topside)
            await mirror.vehicle.process.signal(SIGCONT)
            begun = SystemClock.monotonic()
            let flowed = try await flows(mirror, beyond: held, since: begun)
            print("network: the vehicle froze: given up after \(given.rounded), bytes after \(flowed.rounded)")
            #expect(given < .seconds(8) && flowed < .seconds(3))
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test("connections of a peer that is gone leave the vehicle within half a minute or so")
    func lingering() async throws {
        try await Lab.run(.bridge) { lab in
            let mirror = try await pair(lab)
            try await lab.unplug()
            let begun = SystemClock.monotonic()
            try await mirror.topside.process.kill9()
            let space = lab.space("a")
            try await mirror.vehicle.within("no connection") {
                while true {
                    do {
                        let command = "ip netns exec \(space) ss -Htn state established '( sport = :9150 )'"
                        try await lab.shell("test -z \"$(\(command))\"")
                        return
                    } catch { try await lab.loop.sleep(for: .milliseconds(200)) }
                }
            }
            let time = begun.duration(to: SystemClock.monotonic())
            print("network: the topside vanished: its connections left the vehicle after \(time.rounded)")
            #expect(time < .seconds(50))
        }
    }
}
