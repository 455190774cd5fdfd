package import Model
package import Storage

/// When an open chunk is full: at an age or at a size, whichever comes first.
package struct SealPolicy: Hashable, Sendable {
    package let interval: Duration
    package let size: Int64

    /// What lies outside the limits is brought inside.
    package init(interval: Duration = .seconds(60), size: Int64 = 5_000_000) {
        self.interval = min(max(interval, Limits.chunkInterval.lowerBound), Limits.chunkInterval.upperBound)
        self.size = min(max(size, Limits.chunkSizeFloor), Limits.chunkSizeCeiling)
    }

    /// Age counts from the first row, on the clock that no one sets.
    package func isDue(_ chunk: OpenChunkState, at now: ClockReading) -> Bool {
        chunk.rows > 0 && (chunk.bytes >= size || age(chunk, at: now) >= interval)
    }

    /// Time until the oldest of these is due by age.
    package func delay(until chunks: some Sequence<OpenChunkState>, at now: ClockReading) -> Duration? {
        chunks.filter { $0.rows > 0 }.map { max(.zero, interval - age($0, at: now)) }.min()
    }

    private func age(_ chunk: OpenChunkState, at now: ClockReading) -> Duration {
        .nanoseconds(now.boottime - chunk.first.boottime)
    }
}
