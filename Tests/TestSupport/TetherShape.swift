internal import Model

/// What one direction of a tether does to Ethernet frames.
package struct TetherShape: Sendable, Equatable {
    package var delay: Duration
    /// Added to the delay: drawn evenly from zero to this, for each frame.
    package var jitter: Duration
    /// Where not, jitter lets a frame overtake another.
    package var keepsOrder: Bool
    /// The share of frames that are lost, each drawn for itself by the tether's seed.
    package var loss: Double
    package var duplication: Double
    /// Zero: as fast as it goes.
    package var bitsPerSecond: Int64
    /// What waits for the rate at most; a frame that would be beyond it is dropped.
    package var queueBytes: Int64

    package init(
        delay: Duration = .zero, jitter: Duration = .zero, keepsOrder: Bool = true, loss: Double = 0,
        duplication: Double = 0, bitsPerSecond: Int64 = 0, queueBytes: Int64 = 262_144
    ) {
        self.delay = delay
        self.jitter = jitter
        self.keepsOrder = keepsOrder
        self.loss = loss
        self.duplication = duplication
        self.bitsPerSecond = bitsPerSecond
        self.queueBytes = queueBytes
    }

    var settings: String {
        "delay_us=\(delay.nanoseconds / 1000) jitter_us=\(jitter.nanoseconds / 1000)"
            + " order=\(keepsOrder ? "keep" : "free") loss=\(loss) duplicate=\(duplication)"
            + " rate_bps=\(bitsPerSecond) queue_bytes=\(queueBytes)"
    }
}

/// What one direction of a tether did since it began: frames, and bytes as a host's interface sees them (from the
/// destination address to the end of the payload).
package struct TetherCounts: Sendable, Equatable {
    package let takenFrames: Int64
    package let takenBytes: Int64
    package let deliveredFrames: Int64
    package let deliveredBytes: Int64
    /// Drawn by the seed.
    package let lostFrames: Int64
    /// Beyond the queue.
    package let overflowFrames: Int64
    /// Came, or were on their way, while the tether was out or silent.
    package let cutFrames: Int64
    package let duplicatedFrames: Int64
    /// Not taken by the other host's interface, which was down.
    package let refusedFrames: Int64
    /// More on their way than the tether has memory for: a test that sees any asked for too much.
    package let unplacedFrames: Int64

    init?(_ words: [Substring]) {
        var values: [Substring: Int64] = [:]
        for word in words {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let value = Int64(parts[1]) else { return nil }
            values[parts[0]] = value
        }
        guard let takenFrames = values["taken_frames"], let takenBytes = values["taken_bytes"],
            let deliveredFrames = values["delivered_frames"], let deliveredBytes = values["delivered_bytes"],
            let lost = values["lost"], let overflow = values["overflow"], let cut = values["cut"],
            let duplicated = values["duplicated"], let refused = values["refused"], let unplaced = values["unplaced"]
        else { return nil }
        self.takenFrames = takenFrames
        self.takenBytes = takenBytes
        self.deliveredFrames = deliveredFrames
        self.deliveredBytes = deliveredBytes
        lostFrames = lost
        overflowFrames = overflow
        cutFrames = cut
        duplicatedFrames = duplicated
        refusedFrames = refused
        unplacedFrames = unplaced
    }
}

/// Ethernet bytes that came out of a tether in each 10 ms.
package struct TetherTrace: Sendable {
    package static let step = Duration.milliseconds(10)

    package let bytes: [Int64]

    package init(bytes: [Int64]) { self.bytes = bytes }

    package var total: Int64 { bytes.reduce(0, +) }

    /// The sum of each window of this length, beginning with each 10 ms; a window that is not whole is left out.
    package func windows(of length: Duration) -> [Int64] {
        let count = Int(length.nanoseconds / Self.step.nanoseconds)
        guard count > 0, bytes.count >= count else { return [] }
        var sum = bytes[..<count].reduce(0, +)
        var windows = [sum]
        for end in count..<bytes.count {
            sum += bytes[end] - bytes[end - count]
            windows.append(sum)
        }
        return windows
    }
}
