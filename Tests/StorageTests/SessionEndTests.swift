import Foundation
import Model
import Testing

@testable import Storage

/// Which end of a session counts, in whatever order facts arrive.
@Suite struct SessionEndTests {
    private static let other = NodeID(digest: Digest256(bytes: [UInt8](repeating: 0xcd, count: 32))!)

    /// A session of one chunk that was stopped, and an end of the same author that tells of less.
    private func facts(_ scratch: Scratch) async throws -> (session: SessionID, facts: [[UInt8]]) {
        let source = try await scratch.open("source")
        let session = try await source.startSession(opening)
        _ = try await source.commit([batch(session, rows: ["1"])])
        _ = try await source.endSession(session, reason: SessionEnd.Reason.stopped)
        let early = SessionEnd(reason: SessionEnd.Reason.interrupted, streams: ["data": SessionEnd.Totals()])
        try await source.record(.end(early), in: session)
        return (session, try await source.facts(after: 0, limit: 100).filter { $0.kind != "chunk" }.map(\.bytes))
    }

    @Test("every node takes the same end for the one that counts, the session's fact first or last")
    func order() async throws {
        let scratch = try Scratch()
        let (session, facts) = try await facts(scratch)
        #expect(facts.count == 3)
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let name = "copy\(order.map(String.init).joined())"
            let copy = try await scratch.open(name, node: Self.other)
            for position in order { _ = try await copy.receive([facts[position]]) }
            #expect(try await copy.session(session).end?.reason == SessionEnd.Reason.stopped, "\(order)")
        }
    }
}
