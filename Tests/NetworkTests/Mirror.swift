import Gateway
import HTTP
import Model
import Reactor
import TestSupport
import Testing

/// A vehicle and the topside that mirrors it.
struct Mirror: Sendable {
    let vehicle: LabNode
    let topside: LabNode

    /// When the later of the two was started.
    var startedAt: MonotonicTime { max(vehicle.startedAt, topside.startedAt) }

    /// Waits for the first chunk that the topside's log holds; prints how long it took from the later start, of which
    /// the sensor's first row and the chunk's interval are the vehicle's own.
    func firstChunk(_ what: String) async throws {
        try await topside.status("met") { $0.live(vehicle.name) != nil }
        let met = startedAt.duration(to: SystemClock.monotonic())
        try await topside.facts(until: "chunk")
        let pulled = startedAt.duration(to: SystemClock.monotonic())
        print("network: \(what): met after \(met.rounded), first chunk pulled after \(pulled.rounded)")
    }

    /// Waits for a chunk at the topside that was sealed later than everything that the vehicle's log holds now.
    func laterChunk() async throws -> MonotonicTime {
        let newest = SystemClock.reading().realtime
        try await topside.facts(until: "chunk") { $0.at.realtime > newest }
        return SystemClock.monotonic()
    }

    /// Stops the recording, waits until the topside holds its end and every chunk, and compares the two stores byte by
    /// byte. Gives the vehicle's sessions.
    @discardableResult
    func converged(isRecording: Bool = true) async throws -> [SessionForm] {
        if isRecording { try await vehicle.call(HTTPClientRequest(.delete, "/v1/recordings/current")) }
        let recorded = try await vehicle.get([SessionForm].self, "/v1/sessions")
        for session in recorded {
            let mirrored = try await topside.within("session \(session.id) complete") {
                while true {
                    let sessions = try await topside.get([SessionForm].self, "/v1/sessions")
                    if let mirrored = sessions.first(where: { $0.id == session.id }),
                        mirrored.endedAt != nil, mirrored.streams.mapValues(\.rows) == session.streams.mapValues(\.rows)
                    {
                        return mirrored
                    }
                    try await topside.lab.loop.sleep(for: .milliseconds(50))
                }
            }
            #expect(mirrored.complete && mirrored.missingChunks == 0)
        }
        try await topside.lab.shell("diff -r \(vehicle.data)/chunks \(topside.data)/chunks")
        #expect(try await topside.get(NodeStatusForm.self, "/v1/status").store.quarantined == 0)
        return recorded
    }
}

extension Duration {
    /// In seconds, for people.
    var rounded: String {
        let milliseconds = nanoseconds / 1_000_000
        return "\(milliseconds / 1000).\(String(milliseconds % 1000 + 1000).dropFirst()) s"
    }
}
