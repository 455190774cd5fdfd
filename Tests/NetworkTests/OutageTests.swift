import Gateway
import Glibc
import Model
import Reactor
import TestSupport
import Testing

/// Two real nodes, and what happens to hosts, links and addresses at sea.
@Suite(.serialized, .enabled(if: Lab.obstacle == nil, "\(Lab.excuse)"))
struct OutageTests {
    private func pair(_ lab: Lab) async throws -> Mirror {
        let mirror = Mirror(vehicle: try await .vehicle(lab), topside: try await .topside(lab))
        try await mirror.topside.facts(until: "chunk")
        return mirror
    }

    @Test("a topside finds the vehicle by its last good address, without mDNS and without being told")
    func remembered() async throws {
        try await Lab.run { lab in
            let first = try await pair(lab)
            // Not told to end: what it knows is in its data directory by now, or never.
            try await first.topside.within("peers.json") {
                while access("\(first.topside.data)/peers.json", F_OK) != 0 {
                    try await lab.loop.sleep(for: .milliseconds(20))
                }
            }
            try await first.topside.process.kill9()
            let mirror = Mirror(vehicle: first.vehicle, topside: try await .topside(lab, options: ["--mdns", "off"]))
            let pulled = try await mirror.laterChunk()
            #expect(try await mirror.topside.get(NodeStatusForm.self, "/v1/status").discovery.responder == "off")
            print(
                "network: topside restarted without mDNS: next chunk after "
                    + mirror.startedAt.duration(to: pulled).rounded)
        }
    }

    @Test("a vehicle that was killed and comes back is dialled and followed again")
    func killed() async throws {
        try await Lab.run { lab in
            let first = try await pair(lab)
            try await first.vehicle.process.kill9()
            try await first.topside.status("the vehicle is gone") { $0.live("vehicle") == nil }
            let mirror = Mirror(vehicle: try await .vehicle(lab), topside: first.topside)
            try await mirror.topside.status("the vehicle is back") { $0.live("vehicle") != nil }
            let met = mirror.startedAt.duration(to: SystemClock.monotonic())
            let pulled = try await mirror.laterChunk()
            print(
                "network: vehicle killed and started again: met after \(met.rounded), next chunk after "
                    + mirror.startedAt.duration(to: pulled).rounded)
            // The same recording goes on: it was an interruption of seconds.
            #expect(try await mirror.converged().count == 1)
        }
    }

    @Test(
        "a link that is unplugged in mid-recording costs nothing, and what was missed follows when it is back",
        arguments: [Lab.Wiring.cable, .bridge])
    func unplugged(_ wiring: Lab.Wiring) async throws {
        try await Lab.run(wiring) { lab in
            let mirror = try await pair(lab)
            try await lab.unplug()
            let before = try await mirror.vehicle.get(NodeStatusForm.self, "/v1/status")
            let sealed = before.recording?.sealedChunks ?? 0
            try await mirror.vehicle.status("it records on") { $0.recording?.sealedChunks ?? 0 >= sealed + 4 }
            let held = try await mirror.topside.get(NodeStatusForm.self, "/v1/status").store.chunks
            let begun = SystemClock.monotonic()
            try await lab.plugIn()
            try await mirror.topside.status("something arrives") { $0.store.chunks > held }
            let pulled = begun.duration(to: SystemClock.monotonic())
            print("network: \(wiring), unplugged for four chunks and plugged in: next chunk after \(pulled.rounded)")

            #expect(try await mirror.converged().count == 1)
            let facts = try await mirror.vehicle.facts(until: "end")
            let gaps = facts.filter { if case .gap = $0.body { true } else { false } }
            #expect(gaps.isEmpty)
            #expect(try await mirror.vehicle.get(NodeStatusForm.self, "/v1/status").recording?.rowsLost == 0)
            // The one process of each that was started here ends in order.
            for node in [mirror.topside, mirror.vehicle] { #expect(try await node.process.stop() == 0) }
        }
    }

    @Test("a vehicle whose address changes while it records is found again by mDNS")
    func moved() async throws {
        try await Lab.run { lab in
            // There is no other way to it.
            for side in ["a", "b"] { try await lab.switchOffIPv6(side) }
            let mirror = try await pair(lab)
            let begun = SystemClock.monotonic()
            try await lab.ip("a", "addr del 10.77.0.1/24 dev tether")
            try await lab.ip("a", "addr add 10.77.0.9/24 dev tether")
            try await mirror.topside.status("the other address") {
                $0.live("vehicle")?.endpoint == Endpoint("10.77.0.9:9150")
            }
            let met = begun.duration(to: SystemClock.monotonic())
            try await mirror.topside.status("the backlog is pulled") { $0.live("vehicle")?.backlogCount == 0 }
            print("network: the vehicle's address changed: met there after \(met.rounded)")
            #expect(try await mirror.converged().count == 1)
        }
    }
}
