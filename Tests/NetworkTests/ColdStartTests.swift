import Gateway
import Model
import Reactor
import TestSupport
import Testing

/// Two real nodes that never met, on every kind of link that a tether may be.
@Suite(.serialized, .enabled(if: Lab.obstacle == nil, "\(Lab.excuse)"))
struct ColdStartTests {
    @Test("two hosts, each its own embedded mDNS: the first chunk arrives")
    func embedded() async throws {
        try await Lab.run { lab in
            let mirror = Mirror(vehicle: try await .vehicle(lab), topside: try await .topside(lab))
            try await mirror.firstChunk("embedded, two hosts")
            let status = try await mirror.topside.status("announced") { $0.discovery.announcedAs != nil }
            #expect(status.discovery.responder == "embedded")
            // The vehicle learns what is safe.
            try await mirror.vehicle.status("acknowledged") { status in
                status.recording?.sealedChunks ?? 0 > 0 && status.peers.contains { $0.unacknowledged == 0 }
            }
            try await mirror.converged()
            for node in [mirror.vehicle, mirror.topside] {
                let peers = try await node.get(NodeStatusForm.self, "/v1/status").peers
                #expect(peers.count == 1 && peers.allSatisfy { $0.errors["refused_fact"] == nil }, "\(peers)")
            }
        }
    }

    @Test("two hosts, an avahi-daemon on each: the first chunk arrives")
    func daemons() async throws {
        try await Lab.run { lab in
            for side in ["a", "b"] {
                _ = try await lab.bus(side)
                _ = try await lab.daemon(side)
            }
            let mirror = Mirror(vehicle: try await .vehicle(lab), topside: try await .topside(lab))
            try await mirror.firstChunk("avahi-daemons, two hosts")
            for node in [mirror.vehicle, mirror.topside] {
                let status = try await node.status("announced") { $0.discovery.announcedAs != nil }
                #expect(status.discovery.responder == "daemon")
            }
        }
    }

    @Test("both nodes on one host, embedded beside an avahi-daemon: the first chunk arrives")
    func oneHost() async throws {
        try await Lab.run { lab in
            _ = try await lab.bus("a")
            _ = try await lab.daemon("a")
            let mirror = Mirror(
                vehicle: try await .vehicle(lab, "a", options: ["--mdns", "embedded"]),
                topside: try await .topside(lab, "a", options: ["--listen", "[::]:9151"]))
            try await mirror.firstChunk("one host, embedded beside a daemon")
            #expect(try await mirror.vehicle.get(NodeStatusForm.self, "/v1/status").discovery.responder == "embedded")
            #expect(try await mirror.topside.get(NodeStatusForm.self, "/v1/status").discovery.responder == "daemon")
        }
    }

    @Test("a link with IPv6 link-local addresses alone", arguments: ["embedded", "daemon"])
    func linkLocal(_ responder: String) async throws {
        try await Lab.run { lab in
            for side in ["a", "b"] {
                try await lab.ip(side, "-4 addr flush dev tether")
                guard responder == "daemon" else { continue }
                _ = try await lab.bus(side)
                _ = try await lab.daemon(side)
            }
            let mirror = Mirror(vehicle: try await .vehicle(lab), topside: try await .topside(lab))
            try await mirror.firstChunk("\(responder), IPv6 link-local alone")
            let endpoint = try await mirror.topside.status("live") { $0.live("vehicle") != nil }.live("vehicle")?
                .endpoint
            #expect(endpoint?.host.hasPrefix("fe80::") == true && endpoint?.host.hasSuffix("%tether") == true)
        }
    }

    @Test("hosts without IPv6")
    func version4() async throws {
        try await Lab.run { lab in
            for side in ["a", "b"] { try await lab.switchOffIPv6(side) }
            let mirror = Mirror(vehicle: try await .vehicle(lab), topside: try await .topside(lab))
            try await mirror.firstChunk("embedded, IPv4 alone")
            let status = try await mirror.topside.status("live") { $0.live("vehicle") != nil }
            #expect(status.live("vehicle")?.endpoint == Endpoint("10.77.0.1:9150"))
        }
    }

    @Test("--peer reaches a node where multicast is blocked, and nothing else does")
    func blocked() async throws {
        try await Lab.run(.deafBridge) { lab in
            let vehicle = try await LabNode.vehicle(lab)
            let deaf = try await LabNode.topside(lab, name: "deaf", options: ["--listen", "[::]:9151"])
            let told = try await LabNode.topside(lab, name: "told", options: ["--peer", "10.77.0.1"])
            try await Mirror(vehicle: vehicle, topside: told).firstChunk("--peer, multicast blocked")
            let status = try await deaf.status("announced") { $0.discovery.announcedAs != nil }
            #expect(!status.discovery.seen.contains { $0.hasPrefix("vehicle") } && status.live("vehicle") == nil)
            #expect(
                try await !told.get(NodeStatusForm.self, "/v1/status").discovery.seen
                    .contains { $0.hasPrefix("vehicle") })
        }
    }
}
