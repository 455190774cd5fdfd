internal import Model
package import Storage

/// Frames that came and wait for the disk, in their order, and how the tail ended.
package struct TailInbox: Sendable {
    private var frames: [TailFrame] = []
    private var bytes = 0
    /// Behind the last frame that was put, the peer had nothing more to say.
    package private(set) var isCaughtUp = false
    /// Seals that came and are not made yet.
    private var seals = 0
    /// What ended the tail; what came before it is still taken.
    package private(set) var end: (any Error)?

    package init() {}

    package var isEmpty: Bool { frames.isEmpty }
    package var isFull: Bool { bytes >= Limits.tailInboxBytes || seals >= Limits.tailSealsWaiting }

    package mutating func put(_ frame: TailFrame) {
        frames.append(frame)
        isCaughtUp = frame == .caughtUp
        bytes += Self.size(frame)
        if case .sealed = frame { seals += 1 }
    }

    package mutating func isSealed() { seals -= 1 }

    package mutating func close(_ error: any Error) { end = end ?? error }

    /// All that has gathered, in steps that keep its order: commits that follow each other become durable together.
    package mutating func take() -> [Step] {
        let taken = frames
        (frames, bytes) = ([], 0)
        var steps: [Step] = []
        for frame in taken {
            guard case .commit(let piece, _) = frame else {
                if frame != .caughtUp { steps.append(.other(frame)) }
                continue
            }
            if case .append(var pieces)? = steps.last {
                steps.removeLast()
                pieces.append(piece)
                steps.append(.append(pieces))
            } else {
                steps.append(.append([piece]))
            }
        }
        return steps
    }

    package enum Step: Sendable {
        /// Pieces of any number of chunks.
        case append([CopyPiece])
        case other(TailFrame)
    }

    private static func size(_ frame: TailFrame) -> Int {
        switch frame {
        case .commit(let piece, _): piece.bytes.count + Limits.tailLineBytes
        case .session(let fact), .sealed(_, let fact): fact.count + Limits.tailLineBytes
        case .dropped, .beyond, .caughtUp, .heartbeat: Limits.tailLineBytes
        }
    }
}
